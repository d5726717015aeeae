//! OSV schema, JSON and YAML. The peculiarities of distributions are in one file for each family.

mod events;
mod extended_support;
mod rpm;

use super::{FeedContext, Problem, Records};
use crate::rpm_modules;
use events::intervals;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, AdvisoryClass, Affected, FixState, Interval, IntervalEnd, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::severity::{Rating, Severity};
use tidewaiter_core::version::VersionScheme;

#[derive(Deserialize)]
struct Record {
    id: Option<String>,
    #[serde(default)]
    modified: String,
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    related: Option<Vec<String>>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    affected: Option<Vec<RawAffected>>,
    #[serde(default)]
    severity: Option<Vec<RawSeverity>>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    database_specific: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct RawAffected {
    package: Option<RawPackage>,
    #[serde(default)]
    ranges: Option<Vec<Range>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    severity: Option<Vec<RawSeverity>>,
    #[serde(default)]
    database_specific: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct RawPackage {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct RawSeverity {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    score: Value,
}

#[derive(Deserialize)]
struct Reference {
    url: String,
}

/// Reads one record; a withdrawn one counts as read and has no rows.
///
/// # Errors
/// When it is JSON or YAML of another shape.
pub(super) fn parse(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    let record: Record = if name.ends_with(".json") {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())?
    } else if name.ends_with(".yaml") || name.ends_with(".yml") {
        serde_saphyr::from_slice(bytes).map_err(|e| e.to_string())?
    } else {
        return Ok(false);
    };
    let Some(id) = record.id.clone() else { return Ok(false) };
    if record.withdrawn.is_some() {
        return Ok(true);
    }
    let details = record.details.clone();
    let mut advisory = advisory(id, record, &feed.name);
    extended_support::paid(&mut advisory.affected);
    if !rpm::is_rpm(&advisory) {
        records.advisories.push(advisory);
    } else if advisory.vulnerabilities().iter().any(|id| id.starts_with("CVE-")) {
        records.advisories.extend(rpm::advisories(advisory, &details));
    } else {
        records.skip("names no CVE");
    }
    Ok(true)
}

fn advisory(id: String, record: Record, feed: &str) -> Advisory {
    let mut ratings = ratings(record.severity.as_deref(), feed);
    ratings.extend(word(record.database_specific.as_ref(), feed));
    let affected = record.affected.unwrap_or_default();
    // A rating of one package replaces the record's; the worst of them is shown as the record's.
    ratings.extend(affected.iter().flat_map(|a| self::ratings(a.severity.as_deref(), feed)));
    let aliases = record.aliases.unwrap_or_default();
    let malware = std::iter::once(&id).chain(&aliases).any(|name| name.starts_with(MALWARE));
    if malware {
        // These records have no vector: there is no degree of malice.
        ratings.push(Rating::of_level(feed, Severity::Critical));
    }
    let mut upstream: Vec<String> = record.upstream.unwrap_or_default().into_iter().map(plain_cve).collect();
    let of_rpm = |p: &RawPackage| Ecosystem::from(p.ecosystem.as_str()).version_scheme() == Some(VersionScheme::Rpm);
    // Distributions with rpm list their CVEs as related; elsewhere "related" does not mean the same vulnerability.
    if upstream.is_empty() && affected.iter().filter_map(|a| a.package.as_ref()).any(of_rpm) {
        upstream.extend(record.related.unwrap_or_default().into_iter().filter(|n| n.starts_with("CVE-")));
    }
    upstream.sort();
    upstream.dedup();
    // The vector of a record about several CVEs is that of the worst of them.
    if upstream.iter().filter(|name| name.starts_with("CVE-")).count() > 1 {
        ratings.retain(|rating| rating.vector.is_none());
    }
    Advisory {
        feed: feed.to_owned(),
        aliases,
        upstream,
        summary: record.summary,
        modified: record.modified,
        // Bounds the details of a finding: readers follow one or two.
        references: record.references.unwrap_or_default().into_iter().map(|r| r.url).take(8).collect(),
        class: if malware { AdvisoryClass::Malware } else { affected.iter().map(class).min().unwrap_or_default() },
        affected: rows(&affected),
        ratings,
        id,
    }
}

/// The CVE of a distribution's record about it: Ubuntu's notices name `UBUNTU-CVE-2021-3782`.
fn plain_cve(name: String) -> String {
    match name.split_once("-CVE-") {
        Some((distribution, number)) if distribution.bytes().all(|b| b.is_ascii_uppercase()) => format!("CVE-{number}"),
        _ => name,
    }
}

/// Records of malicious packages (OSV schema, "Database prefixes"; <https://github.com/ossf/malicious-packages>).
const MALWARE: &str = "MAL-";

/// RustSec's `unmaintained`, `unsound` and `notice` records are not vulnerabilities.
fn class(affected: &RawAffected) -> AdvisoryClass {
    let value = affected.database_specific.as_ref().and_then(|d| d.get("informational"));
    match value.filter(|v| !v.is_null()).map(|v| v.as_str().unwrap_or_default()) {
        None => AdvisoryClass::Vulnerability,
        Some("unmaintained") => AdvisoryClass::Unmaintained,
        Some("unsound") => AdvisoryClass::Unsound,
        Some(_) => AdvisoryClass::Notice,
    }
}

fn row(affected: &RawAffected) -> Option<Affected> {
    let package = affected.package.as_ref()?;
    let ecosystem = Ecosystem::from(package.ecosystem.as_str());
    let ranges = || affected.ranges.iter().flatten().filter(|r| r.kind != "GIT");
    let mut intervals: Vec<Interval> = ranges().flat_map(|range| intervals(range, &ecosystem)).collect();
    if let Some(last_known) = specific(affected.database_specific.as_ref(), "last_known_affected_version_range") {
        events::bound(&mut intervals, last_known);
    }
    let mut events = ranges().flat_map(|range| range.events.iter().flatten().map(|(kind, _)| kind.as_str()));
    let fixed = events.any(|kind| kind == "fixed");
    let bounded = intervals.iter().any(|i| matches!(i.end, IntervalEnd::Fixed(_)));
    let versions = affected.versions.clone().unwrap_or_default();
    // Versions that are listed nevertheless are vulnerable.
    let denied = versions.is_empty() && ranges().next().is_some() && ranges().all(events::is_denial);
    let never_affected = denied && is_distribution(&ecosystem);
    if intervals.is_empty() && versions.is_empty() && !never_affected {
        return None;
    }
    let key = if source_keyed(ecosystem.base()) { KeyKind::Source } else { KeyKind::Binary };
    Some(Affected {
        module: rpm_modules::of(&ecosystem, &intervals),
        intervals,
        versions,
        never_affected,
        fix_state: match (fixed, bounded) {
            _ if never_affected => FixState::Unknown,
            (true, _) => FixState::Fixed,
            // Bounded by a `limit` only.
            (false, true) => FixState::NotFixed,
            (false, false) => FixState::Unknown,
        },
        severity: ratings(affected.severity.as_deref(), "").into_iter().map(|r| r.severity).max().unwrap_or_default(),
        ..Affected::new(ecosystem, &package.name, key)
    })
}

/// One row for each package: branches that a record lists as separate entries belong together, so that the fixed versions
/// of all of them are known.
fn rows(affected: &[RawAffected]) -> Vec<Affected> {
    let mut out: Vec<Affected> = Vec::new();
    // Records that are not about a vulnerability have no ratings.
    let lowest = affected.iter().map(class).min();
    for row in affected.iter().filter(|a| Some(class(a)) == lowest).filter_map(row) {
        let same = |known: &&mut Affected| {
            (&known.ecosystem, &known.package, known.severity) == (&row.ecosystem, &row.package, row.severity)
                && (&known.module, known.never_affected) == (&row.module, row.never_affected)
        };
        match out.iter_mut().find(same) {
            Some(known) => {
                known.intervals.extend(row.intervals);
                known.versions.extend(row.versions);
                if row.fix_state == FixState::Fixed || known.fix_state == FixState::Unknown {
                    known.fix_state = row.fix_state;
                }
            }
            None => out.push(row),
        }
    }
    out.iter_mut().for_each(tidy);
    out
}

fn tidy(row: &mut Affected) {
    row.intervals.sort();
    row.intervals.dedup();
    if let Some(order) = row.ecosystem.version_scheme() {
        // Listed versions inside an interval are redundant: by the rule of matching, which finds them there.
        row.versions.retain(|v| !row.intervals.iter().any(|i| i.span().contains(v, order)));
    }
    row.versions.sort();
    row.versions.dedup();
}

/// Whether the vendor of the packages also writes the records about them.
fn is_distribution(ecosystem: &Ecosystem) -> bool {
    let scheme = ecosystem.version_scheme();
    scheme.is_some_and(|scheme| [VersionScheme::Deb, VersionScheme::Apk, VersionScheme::Rpm].contains(&scheme))
}

/// Distributions whose OSV records name source packages. AlmaLinux and Red Hat name the binary packages, Wolfi, Chainguard
/// and MinimOS the packages that an origin is split into (OSV schema, "Defined ecosystems").
fn source_keyed(base: &EcosystemBase) -> bool {
    use EcosystemBase as Base;
    matches!(
        base,
        Base::Debian
            | Base::Ubuntu
            | Base::Echo
            | Base::Alpine
            | Base::Alpaquita
            | Base::BellSoft
            | Base::RockyLinux
            | Base::Suse
            | Base::OpenSuse
            | Base::AzureLinux
            | Base::OpenEuler
            | Base::Mageia
    )
}

fn ratings(raw: Option<&[RawSeverity]>, feed: &str) -> Vec<Rating> {
    raw.unwrap_or_default().iter().filter_map(|severity| rating(severity, feed)).collect()
}

fn rating(raw: &RawSeverity, feed: &str) -> Option<Rating> {
    match raw.kind.starts_with("CVSS") {
        true => Rating::from_vector(feed, raw.score.as_str()?),
        false => raw.score.as_str()?.parse().ok().map(|severity| Rating::of_level(feed, severity)),
    }
}

/// GHSA's own level: LOW, MODERATE, HIGH, CRITICAL.
fn word(fields: Option<&BTreeMap<String, Value>>, feed: &str) -> Option<Rating> {
    Some(Rating::of_level(feed, specific(fields, "severity")?.parse().ok()?))
}

/// A text of `database_specific`, whose fields each database defines for itself.
fn specific<'a>(fields: Option<&'a BTreeMap<String, Value>>, name: &str) -> Option<&'a str> {
    fields?.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;

    #[test]
    fn entries_of_one_package_are_one_row() {
        let json = br#"{"id":"X-1","affected":[
            {"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"2.0.0"},{"fixed":"2.1.0"}]}]},
            {"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]},
            {"package":{"ecosystem":"npm","name":"b"},"severity":[{"type":"Ubuntu","score":"medium"}],"versions":["1.0.0"]},
            {"package":{"ecosystem":"npm","name":"c"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}"#;
        let mut records = Records::default();
        assert!(parse("a.json", json, &feed("osv", &[]), &mut records).unwrap());
        let rows = &records.advisories[0].affected;
        let found: Vec<_> = rows.iter().map(|r| (r.package.as_str(), r.intervals.len(), r.severity)).collect();
        assert_eq!(found, [("a", 2, Severity::Unknown), ("b", 0, Severity::Medium)]);
    }

    /// The rows of a record of one npm package with these fields.
    fn rows_of(fields: &str) -> Vec<Affected> {
        let json = format!(r#"{{"id":"X-1","affected":[{{"package":{{"ecosystem":"npm","name":"a"}},{fields}}}]}}"#);
        let mut records = Records::default();
        assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
        records.advisories.remove(0).affected
    }

    #[test]
    fn ranges_without_a_fix_end_where_the_database_says() {
        let check = |last_known: &str, events: &str, expected: IntervalEnd| {
            let rows = rows_of(&format!(
                r#""ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}}{events}]}}],
                "database_specific":{{"last_known_affected_version_range":"{last_known}"}}"#
            ));
            assert_eq!(rows[0].intervals, [Interval::until(expected)], "{last_known}");
            assert!(!matches!(rows[0].fix_state, FixState::Fixed) || !events.is_empty(), "{last_known}");
        };
        check("< 2.3.1", "", IntervalEnd::Fixed("2.3.1".into()));
        check("<= 2.3.1", "", IntervalEnd::LastAffected("2.3.1".into()));
        check("> 2.3.1", "", IntervalEnd::Open);
        check("< 2.3.1", r#",{"fixed":"2.0.0"}"#, IntervalEnd::Fixed("2.0.0".into()));
    }

    #[test]
    fn a_distribution_says_what_it_never_had() {
        let check = |ecosystem: &str, versions: &str, expected: Option<(KeyKind, bool)>| {
            let json = format!(
                r#"{{"id":"CGA-1","upstream":["CVE-1"],"affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"syncthing-compat"}},
                "versions":{versions},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"0"}}]}}]}}]}}"#
            );
            let mut records = Records::default();
            assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
            let row = records.advisories[0].affected.first();
            assert_eq!(row.map(|row| (row.key, row.never_affected)), expected, "{ecosystem}");
        };
        check("Chainguard", "[]", Some((KeyKind::Binary, true)));
        check("Wolfi", "[]", Some((KeyKind::Binary, true)));
        check("Alpine:v3.20", "[]", Some((KeyKind::Source, true)));
        check("Wolfi", r#"["1-r0"]"#, Some((KeyKind::Binary, false)));
        check("npm", "[]", None);
    }

    #[test]
    fn one_odd_value_does_not_lose_a_record() {
        let check = |fields: &str, expected: &[IntervalEnd]| {
            let ends: Vec<_> = rows_of(fields)[0].intervals.iter().map(|i| i.end.clone()).collect();
            assert_eq!(ends, expected, "{fields}");
        };
        let range = |fixed: &str| {
            format!(r#""ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}},{{"fixed":{fixed}}}]}}]"#)
        };
        check(&range("null"), &[IntervalEnd::Open]);
        check(&range("2"), &[IntervalEnd::Fixed("2".into())]);
        check(
            &format!(r#"{},"severity":[{{"type":"CVSS_V3","score":9.8}},{{"type":"CVSS_V3"}}]"#, range(r#""2.0.0""#)),
            &[IntervalEnd::Fixed("2.0.0".into())],
        );
    }

    #[test]
    fn records_of_a_distribution_are_about_the_cve_in_their_name() {
        let check = |upstream: &str, expected: &[&str]| {
            let json = format!(r#"{{"id":"USN-1-1","upstream":{upstream},"affected":[]}}"#);
            let mut records = Records::default();
            assert!(parse("a.json", json.as_bytes(), &feed("ubuntu", &[]), &mut records).unwrap());
            assert_eq!(records.advisories[0].upstream, expected, "{upstream}");
        };
        check(r#"["UBUNTU-CVE-2021-2","CVE-2021-1"]"#, &["CVE-2021-1", "CVE-2021-2"]);
        check(r#"["CVE-2021-1","DEBIAN-CVE-2021-1"]"#, &["CVE-2021-1"]);
        check(r#"["GHSA-a-CVE-1","DSA-1"]"#, &["DSA-1", "GHSA-a-CVE-1"]);
    }

    #[test]
    fn malicious_packages_are_a_class_of_their_own() {
        let check = |id: &str, aliases: &str, expected: (AdvisoryClass, Option<Severity>)| {
            let json = format!(
                r#"{{"id":"{id}","aliases":{aliases},"affected":[{{"package":{{"ecosystem":"npm","name":"a"}},"versions":["5.6.1"]}}]}}"#
            );
            let mut records = Records::default();
            assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
            let advisory = &records.advisories[0];
            assert_eq!((advisory.class, advisory.ratings.first().map(|r| r.severity)), expected, "{id}");
        };
        check("MAL-2025-46969", "[]", (AdvisoryClass::Malware, Some(Severity::Critical)));
        check("GHSA-1", r#"["MAL-2025-46969"]"#, (AdvisoryClass::Malware, Some(Severity::Critical)));
        check("GHSA-1", "[]", (AdvisoryClass::Vulnerability, None));
    }

    #[test]
    fn informational_records_are_a_class_of_their_own() {
        let check = |value: &str, expected: AdvisoryClass| {
            let json = format!(
                r#"{{"id":"RUSTSEC-1","affected":[{{"package":{{"ecosystem":"crates.io","name":"a"}},
                "ranges":[{{"type":"SEMVER","events":[{{"introduced":"0.0.0-0"}}]}}],"database_specific":{{"informational":{value}}}}}]}}"#
            );
            let mut records = Records::default();
            assert!(parse("a.json", json.as_bytes(), &feed("rustsec", &[]), &mut records).unwrap());
            assert_eq!((records.advisories[0].class, records.advisories[0].affected.len()), (expected, 1), "{value}");
        };
        check("null", AdvisoryClass::Vulnerability);
        check(r#""unmaintained""#, AdvisoryClass::Unmaintained);
        check(r#""unsound""#, AdvisoryClass::Unsound);
        check(r#""notice""#, AdvisoryClass::Notice);
        check(r#""something new""#, AdvisoryClass::Notice);
    }

    #[test]
    fn yaml_is_the_same_record() {
        let yaml = "id: PYSEC-1\naliases:\n- CVE-1\naffected:\n- package:\n    name: Foo.Bar\n    ecosystem: PyPI\n  versions:\n  - 1.0\n  - '2.10'\n";
        let mut records = Records::default();
        assert!(parse("a.yaml", yaml.as_bytes(), &feed("pypa", &[]), &mut records).unwrap());
        let row = &records.advisories[0].affected[0];
        assert_eq!(
            (row.package.as_str(), row.versions.as_slice()),
            ("foo-bar", &["1.0".to_owned(), "2.10".to_owned()][..])
        );
    }

    #[test]
    fn listed_versions_that_a_range_contains_are_dropped() {
        let check = |ecosystem: &str, versions: &str, expected: &[&str]| {
            let json = format!(
                r#"{{"id":"X-1","affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"a"}},"versions":{versions},
                "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"last_affected":"2.0"}}]}}]}}]}}"#
            );
            let mut records = Records::default();
            assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
            assert_eq!(records.advisories[0].affected[0].versions, expected, "{ecosystem} {versions}");
        };
        check("npm", r#"["1.0.0","2.0.0","3.0.0"]"#, &["3.0.0"]);
        // Matching finds a local build in the range of its release, and a branch in no range.
        check("PyPI", r#"["2.0+cu128","2.1+cu128"]"#, &["2.1+cu128"]);
        check("Packagist", r#"["1.0","2.0.0","dev-main"]"#, &["dev-main"]);
    }

    #[test]
    fn withdrawn_and_foreign_documents_say_nothing() {
        let check = |name: &str, text: &str, expected: Result<bool, ()>| {
            let mut records = Records::default();
            assert_eq!(parse(name, text.as_bytes(), &feed("osv", &[]), &mut records).map_err(drop), expected, "{name}");
            assert!(records.is_empty());
        };
        check("a.json", r#"{"id":"X","withdrawn":"2024-01-01T00:00:00Z"}"#, Ok(true));
        check("README.md", "# hi", Ok(false));
        check("a.json", "{", Err(()));
        check("schema.json", "{}", Ok(false));
    }
}
