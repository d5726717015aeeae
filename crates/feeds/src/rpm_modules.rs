//! Streams of modules that a record does not name, derived from other records of its feed.
//!
//! A record's rows are of one module. For each of them, the named streams whose records give the same package a version
//! of the same upstream `major.minor` are candidates; where no row has any, the streams without a number (`rhel8`, `DL1`)
//! that ever contained the record's packages are. A single candidate for the whole record is its stream; with none or
//! several, the stream stays unnamed, and matching reports a gap.

use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::advisory::{Affected, Interval, IntervalEnd, ModuleScope};
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

/// The streams that the records of a feed name, by ecosystem and package.
#[derive(Debug, Default)]
pub(crate) struct KnownStreams(BTreeMap<(String, String), Streams>);

impl KnownStreams {
    /// Learns from a row.
    pub(crate) fn learn(&mut self, row: &Affected) {
        if let ModuleScope::Streams(names) = &row.module
            && let [name] = names.as_slice()
        {
            self.0.entry(key(row)).or_default().entry(name.clone()).or_default().extend(branches(row));
        }
    }

    /// Names the stream of the rows of one record, if it can be derived.
    pub(crate) fn resolve(&self, rows: &mut [Affected]) {
        let unnamed: Vec<&Affected> = rows.iter().filter(|row| row.module == ModuleScope::Unnamed).collect();
        if let Some(stream) = stream(&unnamed, &self.0) {
            for row in rows.iter_mut().filter(|row| row.module == ModuleScope::Unnamed) {
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

fn branches(row: &Affected) -> impl Iterator<Item = String> {
    row.intervals.iter().filter_map(branch)
}

/// `1:20.11.1-1.module_el9` → `20.11`.
fn branch(interval: &Interval) -> Option<String> {
    let IntervalEnd::Fixed(version) = &interval.end else { return None };
    let upstream = version.split_once(':').map_or(version.as_str(), |(_, v)| v);
    let upstream = upstream.split('-').next().unwrap_or_default();
    Some(upstream.split('.').take(2).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::KeyKind;

    fn row(stream: Option<&str>, package: &str, version: &str) -> Affected {
        let row = Affected::new(Ecosystem::from("AlmaLinux:8"), package, KeyKind::Binary).fixed_in(version);
        let module = stream.map_or(ModuleScope::Unnamed, |s| ModuleScope::Streams(vec![s.to_owned()]));
        Affected { module, ..row }
    }

    #[test]
    fn streams_are_told_by_other_records() {
        let check = |package: &str, version: &str, expected: Option<&str>| {
            let mut all = [
                row(Some("ruby:3.0"), "ruby", "3.0.7-1.module_el8"),
                row(Some("ruby:3.1"), "ruby", "3.1.5-1.module_el8"),
                row(Some("go-toolset:rhel8"), "golang", "1.19.1-1.module_el8"),
                row(None, package, version),
            ];
            let mut known = KnownStreams::default();
            all.iter().for_each(|row| known.learn(row));
            known.resolve(&mut all[3..]);
            let expected = expected.map_or(ModuleScope::Unnamed, |s| ModuleScope::Streams(vec![s.to_owned()]));
            assert_eq!(all[3].module, expected, "{package} {version}");
        };
        check("ruby", "3.1.4-142.module_el8", Some("ruby:3.1"));
        check("ruby", "3.3.1-1.module_el8", None);
        check("golang", "0:1.21.3-1.module_el8", Some("go-toolset:rhel8"));
        check("varnish", "6.0.13-1.module_el8", None);
    }
}
