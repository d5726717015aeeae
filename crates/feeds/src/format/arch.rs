//! Arch Linux security tracker: `all.json`, a list of groups (AVG), each of some packages and the CVEs that they share.

use super::{FeedContext, Problem, Records};
use serde::Deserialize;
use tidewaiter_core::advisory::{Advisory, Affected, FixState, Interval, IntervalEnd, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::severity::{Rating, Severity};

#[derive(Deserialize)]
struct Group {
    name: String,
    packages: Vec<String>,
    status: String,
    #[serde(default)]
    severity: String,
    /// The first version that is not vulnerable.
    fixed: Option<String>,
    #[serde(default)]
    issues: Vec<String>,
    #[serde(default, rename = "type")]
    summary: String,
}

/// Reads the list.
///
/// # Errors
/// When it is JSON of another shape.
pub(super) fn parse(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !(name.ends_with(".json") || name == "json") {
        return Ok(false);
    }
    let groups: Vec<Group> = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    for group in groups {
        if group.issues.iter().any(|issue| issue.starts_with("CVE-")) {
            records.advisories.push(advisory(group, &feed.name));
        } else {
            records.skip("names no CVE");
        }
    }
    Ok(true)
}

fn advisory(group: Group, feed: &str) -> Advisory {
    let affected = group.packages.iter().map(|package| row(package, &group)).collect();
    let rating = group.severity.parse().ok().filter(|severity| *severity != Severity::Unknown);
    Advisory {
        references: vec![format!("https://security.archlinux.org/{}", group.name)],
        id: group.name,
        feed: feed.to_owned(),
        upstream: group.issues,
        ratings: rating.map(|severity| Rating::of_level(feed, severity)).into_iter().collect(),
        summary: group.summary,
        affected,
        ..Advisory::default()
    }
}

/// `affected` of a group is the version that was examined; earlier ones are not known to be safe.
fn row(package: &str, group: &Group) -> Affected {
    let row = Affected::new(Ecosystem::new(EcosystemBase::ArchLinux), package, KeyKind::Binary);
    match &group.fixed {
        _ if group.status == "Not affected" => Affected { never_affected: true, ..row },
        Some(fixed) => row.fixed_in(fixed),
        None => Affected { intervals: vec![Interval::until(IntervalEnd::Open)], fix_state: FixState::NotFixed, ..row },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;

    #[test]
    fn groups_become_rows_of_their_packages() {
        let check = |fields: &str, expected: (Option<IntervalEnd>, FixState, bool)| {
            let json = format!(
                r#"[{{"name":"AVG-1","packages":["openssl","lib32-openssl"],"severity":"Critical","type":"arbitrary code execution",
                "affected":"3.0-1","issues":["CVE-1","CVE-2"],"advisories":[],{fields}}}]"#
            );
            let mut records = Records::default();
            assert!(parse("all.json", json.as_bytes(), &feed("arch", &[]), &mut records).unwrap());
            let advisory = &records.advisories[0];
            assert_eq!(advisory.vulnerabilities(), ["CVE-1", "CVE-2"]);
            assert_eq!(advisory.ratings[0].severity, Severity::Critical);
            let names: Vec<&str> = advisory.affected.iter().map(|row| row.package.as_str()).collect();
            assert_eq!(names, ["openssl", "lib32-openssl"]);
            let row = &advisory.affected[1];
            let end = row.intervals.first().map(|i| i.end.clone());
            assert_eq!((end, row.fix_state, row.never_affected), expected, "{fields}");
        };
        let fixed = IntervalEnd::Fixed("3.0-2".into());
        check(r#""status":"Fixed","fixed":"3.0-2""#, (Some(fixed.clone()), FixState::Fixed, false));
        check(r#""status":"Testing","fixed":"3.0-2""#, (Some(fixed), FixState::Fixed, false));
        check(r#""status":"Vulnerable","fixed":null"#, (Some(IntervalEnd::Open), FixState::NotFixed, false));
        check(r#""status":"Unknown","fixed":null"#, (Some(IntervalEnd::Open), FixState::NotFixed, false));
        check(r#""status":"Not affected","fixed":null"#, (None, FixState::Unknown, true));
    }

    #[test]
    fn other_documents_are_named() {
        let check = |name: &str, text: &str, expected: Result<bool, ()>| {
            let mut records = Records::default();
            assert_eq!(parse(name, text.as_bytes(), &feed("f", &[]), &mut records).map_err(drop), expected, "{text}");
        };
        check("a.txt", "", Ok(false));
        check("a.json", "{}", Err(()));
        check("a.json", r#"[{"name":"AVG-2","packages":[],"status":"Fixed","issues":[]}]"#, Ok(true));
    }
}
