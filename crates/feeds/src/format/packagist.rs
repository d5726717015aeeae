//! Packagist: FriendsOfPHP's advisories (YAML) and roave/security-advisories (the conflicts of a `composer.json`).
//!
//! FriendsOfPHP: a branch's versions are an AND list, branches are OR. Roave: `,` is AND, `|` is OR.

use super::ranges::{Set, split};
use super::{FeedContext, Problem, Records, records};
use serde::Deserialize;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Affected, FixState, IntervalEnd, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::version::VersionScheme;

#[derive(Deserialize)]
struct Record {
    title: Option<String>,
    link: Option<String>,
    cve: Option<String>,
    reference: Option<String>,
    branches: Option<BTreeMap<String, Branch>>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    time: Option<serde_json::Value>,
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct Composer {
    name: Option<String>,
    conflict: Option<BTreeMap<String, String>>,
}

/// Reads one advisory of FriendsOfPHP.
///
/// # Errors
/// When it is YAML of another shape, or a version constraint cannot be read.
pub(super) fn friends_of_php(
    name: &str,
    bytes: &[u8],
    feed: &FeedContext,
    records: &mut Records,
) -> Result<bool, Problem> {
    if !(name.ends_with(".yaml") || name.ends_with(".yml")) {
        return Ok(false);
    }
    let record: Record = tidewaiter_yaml::from_slice(bytes).map_err(|e| e.to_string())?;
    let (Some(reference), Some(branches)) = (&record.reference, &record.branches) else { return Ok(false) };
    let Some(package) = reference.strip_prefix("composer://") else { return Ok(false) };
    let mut set = Set::none(VersionScheme::Packagist);
    for branch in branches.values() {
        set = set.union(all_of(branch.versions.iter().map(String::as_str))?);
    }
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".yaml").trim_end_matches(".yml");
    let cve = record.cve.filter(|cve| cve.starts_with("CVE-"));
    let times = branches.values().filter_map(|b| b.time.as_ref()?.as_str());
    records.advisories.push(Advisory {
        id: cve.unwrap_or_else(|| format!("{package}/{stem}")),
        feed: feed.name.clone(),
        summary: record.title.unwrap_or_default(),
        published: times.clone().min().and_then(records::day),
        modified: times.max().map(|t| t.replacen(' ', "T", 1)).unwrap_or_default(),
        references: record.link.into_iter().collect(),
        affected: vec![row(package, &set)],
        ..Advisory::default()
    });
    Ok(true)
}

/// Reads the conflicts of roave/security-advisories: versions with some known vulnerability, without its name.
///
/// # Errors
/// When it is JSON of another shape, or a version constraint cannot be read.
pub(super) fn roave(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !name.ends_with("composer.json") {
        return Ok(false);
    }
    let composer: Composer = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let (Some(origin), Some(conflicts)) = (composer.name, composer.conflict) else { return Ok(false) };
    for (package, constraint) in conflicts {
        let mut set = Set::none(VersionScheme::Packagist);
        for alternative in constraint.split('|').filter(|a| !a.trim().is_empty()) {
            set = set.union(all_of(alternative.split([',', ' ']))?);
        }
        records.advisories.push(Advisory {
            id: format!("{origin}:{package}"),
            feed: feed.name.clone(),
            summary: format!("versions of {package} with known vulnerabilities ({origin})"),
            affected: vec![row(&package, &set)],
            ..Advisory::default()
        });
    }
    Ok(true)
}

fn all_of<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Set, String> {
    let mut set = Set::all(VersionScheme::Packagist);
    for part in parts.filter(|p| !p.trim().is_empty()) {
        let (operator, version) = split(part);
        let one = match (operator, version) {
            ("", "*") => Some(Set::all(VersionScheme::Packagist)),
            (_, version) if version.is_empty() || version.contains('*') => None,
            _ => Set::comparison(VersionScheme::Packagist, operator, version),
        };
        set = set.intersection(&one.ok_or_else(|| format!("constraint {part:?} cannot be read"))?);
    }
    Ok(set)
}

fn row(package: &str, set: &Set) -> Affected {
    let intervals = set.intervals();
    let fixed = intervals.iter().any(|i| matches!(i.end, IntervalEnd::Fixed(_)));
    Affected {
        intervals,
        fix_state: if fixed { FixState::Fixed } else { FixState::Unknown },
        ..Affected::new(Ecosystem::new(EcosystemBase::Packagist), package, KeyKind::Binary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;
    use tidewaiter_core::advisory::Interval;

    fn interval(from: Option<&str>, after: bool, end: IntervalEnd) -> Interval {
        Interval { introduced: from.map(str::to_owned), after, end }
    }

    fn fixed(version: &str) -> IntervalEnd {
        IntervalEnd::Fixed(version.to_owned())
    }

    #[test]
    fn branches_are_alternatives() {
        let check = |branches: &str, expected: Result<&[Interval], ()>| {
            let text = format!("title: T\ncve: CVE-1\nreference: composer://Symfony/Yaml\nbranches:\n{branches}");
            let mut records = Records::default();
            let read = friends_of_php("symfony/yaml/CVE-1.yaml", text.as_bytes(), &feed("php", &[]), &mut records)
                .map_err(drop);
            let row = records.advisories.first().map(|a| &a.affected[0]);
            assert_eq!(read.map(|_| row.unwrap().intervals.as_slice()), expected, "{branches}");
            assert!(row.is_none_or(|r| r.package == "symfony/yaml"));
        };
        check(
            "    2.0.x:\n        time: 2023-02-01 08:00:00\n        versions: ['>=2.0.0', '<2.1.0']\n    2.1.x:\n        time: ~\n        versions: ['>=2.1.0', '<2.2.5']\n    3.x:\n        versions: ['>3.0', '<=3.1']\n",
            Ok(&[
                interval(Some("2.0.0"), false, fixed("2.2.5")),
                interval(Some("3.0"), true, IntervalEnd::LastAffected("3.1".into())),
            ]),
        );
        check("    m:\n        versions: ['~1.2']\n", Err(()));
    }

    #[test]
    fn conflicts_are_rows() {
        let check = |constraint: &str, expected: Result<&[Interval], ()>| {
            let text = format!(r#"{{"name":"roave/security-advisories","conflict":{{"a/b":"{constraint}"}}}}"#);
            let mut records = Records::default();
            let read = roave("composer.json", text.as_bytes(), &feed("roave", &[]), &mut records).map_err(drop);
            let rows = records.advisories.first().map(|a| a.affected[0].intervals.as_slice());
            assert_eq!(read.map(|_| rows.unwrap()), expected, "{constraint}");
        };
        check(
            "<1.4.3|>=1.5,<1.5.1|==2021.10",
            Ok(&[
                interval(None, false, fixed("1.4.3")),
                interval(Some("1.5"), false, fixed("1.5.1")),
                interval(Some("2021.10"), false, IntervalEnd::LastAffected("2021.10".into())),
            ]),
        );
        check("*", Ok(&[Interval::until(IntervalEnd::Open)]));
        check("^2", Err(()));
    }
}
