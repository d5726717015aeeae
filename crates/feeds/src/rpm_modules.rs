//! Streams of modules that a record does not name, derived from other records of its feed.
//!
//! A record's rows are of one module. For each of them, the named streams whose records give the same package a version
//! of the same upstream `major.minor` are candidates; where no row has any, the streams without a number (`rhel8`, `DL1`)
//! that ever contained the record's packages are. A single candidate for the whole record is its stream; with none or
//! several, the stream stays unnamed, and matching reports a gap.

use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::advisory::{Advisory, Affected, Interval, IntervalEnd, ModuleScope};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::version::VersionScheme;

/// Stream → the upstream `major.minor` versions it gave a package.
type Streams = BTreeMap<String, BTreeSet<String>>;

/// Packages of modules have `.module` in their release: `.module_el8.6.0+2904+abc`, `.module+el8.10.0+1`. The stream is
/// named by the record, if at all.
pub(crate) fn of(ecosystem: &Ecosystem, intervals: &[Interval]) -> ModuleScope {
    let built =
        |i: &Interval| matches!(&i.end, IntervalEnd::Fixed(v) | IntervalEnd::LastAffected(v) if v.contains(".module"));
    if ecosystem.version_scheme() == Some(VersionScheme::Rpm) && intervals.iter().any(built) {
        ModuleScope::Unnamed
    } else {
        ModuleScope::Outside
    }
}

/// Names the streams that can be derived.
pub(crate) fn resolve(advisories: &mut [Advisory]) {
    // Other feeds than those of rpm end here.
    if !advisories.iter().flat_map(|a| &a.affected).any(|row| row.module == ModuleScope::Unnamed) {
        return;
    }
    let mut known: BTreeMap<(String, String), Streams> = BTreeMap::new();
    for row in advisories.iter().flat_map(|a| &a.affected) {
        if let ModuleScope::Streams(names) = &row.module
            && let [name] = names.as_slice()
        {
            known.entry(key(row)).or_default().entry(name.clone()).or_default().extend(branches(row));
        }
    }
    for advisory in advisories {
        let unnamed = |row: &&Affected| row.module == ModuleScope::Unnamed;
        let rows: Vec<&Affected> = advisory.affected.iter().filter(unnamed).collect();
        if let Some(stream) = stream(&rows, &known) {
            for row in advisory.affected.iter_mut().filter(|row| row.module == ModuleScope::Unnamed) {
                row.module = ModuleScope::Streams(vec![stream.clone()]);
            }
        }
    }
}

fn stream(rows: &[&Affected], known: &BTreeMap<(String, String), Streams>) -> Option<String> {
    let all = || rows.iter().filter_map(|row| known.get(&key(row)).map(|streams| (row, streams)));
    let fits = |row: &Affected, versions: &BTreeSet<String>| branches(row).any(|branch| versions.contains(&branch));
    let same = all().flat_map(|(row, streams)| streams.iter().filter(|(_, v)| fits(row, v)).map(|(name, _)| name));
    let mut candidates: BTreeSet<&String> = same.collect();
    if candidates.is_empty() {
        let numbered =
            |name: &str| name.rsplit(':').next().is_some_and(|s| s.starts_with(|c: char| c.is_ascii_digit()));
        candidates = all().flat_map(|(_, streams)| streams.keys()).filter(|name| !numbered(name)).collect();
    }
    let first = candidates.pop_first()?;
    candidates.is_empty().then(|| first.clone())
}

fn key(row: &Affected) -> (String, String) {
    (row.ecosystem.to_string(), row.package.clone())
}

/// `1:20.11.1-1.module_el9` → `20.11`.
fn branches(row: &Affected) -> impl Iterator<Item = String> {
    row.intervals.iter().filter_map(|interval| match &interval.end {
        IntervalEnd::Fixed(version) => Some(branch(version)),
        _ => None,
    })
}

fn branch(version: &str) -> String {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    let upstream = upstream.split('-').next().unwrap_or_default();
    upstream.split('.').take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::KeyKind;

    fn advisory(stream: Option<&str>, package: &str, version: &str) -> Advisory {
        let row = Affected::new(Ecosystem::from("AlmaLinux:8"), package, KeyKind::Binary).fixed_in(version);
        let module = stream.map_or(ModuleScope::Unnamed, |s| ModuleScope::Streams(vec![s.to_owned()]));
        Advisory { affected: vec![Affected { module, ..row }], ..Advisory::default() }
    }

    #[test]
    fn streams_are_told_by_other_records() {
        let check = |package: &str, version: &str, expected: Option<&str>| {
            let mut all = [
                advisory(Some("ruby:3.0"), "ruby", "3.0.7-1.module_el8"),
                advisory(Some("ruby:3.1"), "ruby", "3.1.5-1.module_el8"),
                advisory(Some("go-toolset:rhel8"), "golang", "1.19.1-1.module_el8"),
                advisory(None, package, version),
            ];
            resolve(&mut all);
            let expected = expected.map_or(ModuleScope::Unnamed, |s| ModuleScope::Streams(vec![s.to_owned()]));
            assert_eq!(all[3].affected[0].module, expected, "{package} {version}");
        };
        check("ruby", "3.1.4-142.module_el8", Some("ruby:3.1"));
        check("ruby", "3.3.1-1.module_el8", None);
        check("golang", "0:1.21.3-1.module_el8", Some("go-toolset:rhel8"));
        check("varnish", "6.0.13-1.module_el8", None);
    }
}
