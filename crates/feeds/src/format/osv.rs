//! OSV schema, JSON and YAML.

use super::Records;
use serde::Deserialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Affected, End, FixState, Interval, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::{Rating, Severity};

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
    affected: Option<Vec<RawAffected>>,
    #[serde(default)]
    severity: Option<Vec<RawSeverity>>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    database_specific: Option<BTreeMap<String, serde_json::Value>>,
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
    database_specific: Option<BTreeMap<String, serde_json::Value>>,
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
    events: Vec<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RawSeverity {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Deserialize)]
struct Reference {
    url: String,
}

/// Reads one record; withdrawn ones count as read and say nothing.
///
/// # Errors
/// When it is JSON or YAML of another shape.
pub fn parse(name: &str, bytes: &[u8], feed: &str, records: &mut Records) -> Result<bool, String> {
    let record: Record = if name.ends_with(".json") {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())?
    } else if name.ends_with(".yaml") || name.ends_with(".yml") {
        serde_saphyr::from_slice(bytes).map_err(|e| e.to_string())?
    } else {
        return Ok(false);
    };
    let Some(id) = record.id.clone() else { return Ok(false) };
    if record.withdrawn.is_none() {
        records.advisories.push(advisory(id, record, feed));
    }
    Ok(true)
}

fn advisory(id: String, record: Record, feed: &str) -> Advisory {
    let mut ratings = ratings(record.severity.as_deref(), feed);
    ratings.extend(word(record.database_specific.as_ref(), feed));
    let affected = record.affected.unwrap_or_default();
    // A rating of one package replaces the record's; the worst of them rates the record for all others to see.
    ratings.extend(affected.iter().flat_map(|a| self::ratings(a.severity.as_deref(), feed)));
    let mut upstream = record.upstream.unwrap_or_default();
    // Distribution advisories name their CVEs as related; elsewhere "related" is no identity.
    if affected.iter().filter_map(|a| a.package.as_ref()).any(|p| p.ecosystem.starts_with("AlmaLinux")) {
        upstream.extend(record.related.unwrap_or_default());
    }
    upstream.sort();
    upstream.dedup();
    Advisory {
        feed: feed.to_owned(),
        aliases: record.aliases.unwrap_or_default(),
        upstream,
        summary: record.summary,
        modified: record.modified,
        references: record.references.unwrap_or_default().into_iter().map(|r| r.url).take(8).collect(),
        affected: rows(&affected),
        ratings,
        kev: None,
        id,
    }
}

/// RustSec's `unmaintained`, `unsound` and `notice` records are no vulnerabilities.
fn informational(affected: &RawAffected) -> bool {
    let value = affected.database_specific.as_ref().and_then(|d| d.get("informational"));
    value.is_some_and(|v| !v.is_null())
}

fn row(affected: &RawAffected) -> Option<Affected> {
    let package = affected.package.as_ref()?;
    let ecosystem = Ecosystem::from(package.ecosystem.as_str());
    let ranges = || affected.ranges.iter().flatten().filter(|r| r.kind != "GIT");
    let intervals: Vec<Interval> = ranges().flat_map(|range| intervals(range, &ecosystem)).collect();
    let mut events = ranges().flat_map(|range| range.events.iter().flatten().map(|(kind, _)| kind.as_str()));
    let fixed = events.any(|kind| kind == "fixed");
    let bounded = intervals.iter().any(|i| matches!(i.end, End::Fixed(_)));
    let versions = affected.versions.clone().unwrap_or_default();
    if intervals.is_empty() && versions.is_empty() {
        return None;
    }
    Some(Affected {
        package: ecosystem.normalize(&package.name),
        key: if source_keyed(ecosystem.base()) { KeyKind::Source } else { KeyKind::Binary },
        ecosystem,
        intervals,
        versions,
        never_affected: false,
        fix_state: match (fixed, bounded) {
            (true, _) => FixState::Fixed,
            // Bounded by a limit alone.
            (false, true) => FixState::NotFixed,
            (false, false) => FixState::Unknown,
        },
        severity: ratings(affected.severity.as_deref(), "").into_iter().map(|r| r.severity).max().unwrap_or_default(),
    })
}

/// One row for each package: branches that a record lists as entries of their own belong together, so that the fixed
/// versions of all of them are known.
fn rows(affected: &[RawAffected]) -> Vec<Affected> {
    let mut out: Vec<Affected> = Vec::new();
    for row in affected.iter().filter(|a| !informational(a)).filter_map(row) {
        let same = |known: &&mut Affected| {
            (&known.ecosystem, &known.package, known.severity) == (&row.ecosystem, &row.package, row.severity)
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
    if let Some(order) = row.ecosystem.order() {
        // Listed versions that an interval holds anyway add nothing.
        row.versions.retain(|v| !row.intervals.iter().any(|i| holds(i, v, order)));
    }
    row.versions.sort();
    row.versions.dedup();
}

/// Distributions whose OSV records name source packages.
fn source_keyed(base: &str) -> bool {
    matches!(base, "Debian" | "Ubuntu" | "Alpine" | "Wolfi" | "Chainguard")
}

fn holds(interval: &Interval, version: &str, order: tidewaiter_core::version::Order) -> bool {
    let from = interval.introduced.as_deref().is_none_or(|lo| order.compare(version, lo) != Ordering::Less);
    from && match &interval.end {
        End::Fixed(end) => order.compare(version, end) == Ordering::Less,
        End::LastAffected(end) => order.compare(version, end) != Ordering::Greater,
        End::Open => true,
    }
}

/// Walks a range's events in version order.
fn intervals(range: &Range, ecosystem: &Ecosystem) -> Vec<Interval> {
    let compare = |a: &str, b: &str| compare(a, b, ecosystem);
    let mut events: Vec<(u8, &str)> = Vec::new();
    let mut limits: Vec<&str> = Vec::new();
    for (kind, version) in range.events.iter().flatten() {
        match kind.as_str() {
            "introduced" => events.push((0, version)),
            "last_affected" => events.push((1, version)),
            "fixed" => events.push((2, version)),
            "limit" => limits.push(version),
            _ => {}
        }
    }
    events.sort_by(|a, b| compare(a.1, b.1).then_with(|| rank(*a).cmp(&rank(*b))));
    let mut out = Vec::new();
    let mut open: Option<&str> = None;
    let mut fixed_already: Option<&str> = None;
    let interval = |from: &str, end| Interval { introduced: (from != "0").then(|| from.to_owned()), end };
    for (kind, version) in events {
        match (kind, open) {
            // Introduced where it is fixed: nothing.
            (0, None) if fixed_already.is_some_and(|fix| compare(fix, version) == Ordering::Equal) => {}
            (0, None) => open = Some(version),
            (1, Some(from)) => {
                out.push(interval(from, End::LastAffected(version.to_owned())));
                open = None;
            }
            (2, Some(from)) => {
                out.push(interval(from, End::Fixed(version.to_owned())));
                open = None;
            }
            (2, None) => fixed_already = Some(version),
            _ => {}
        }
    }
    out.extend(open.map(|from| interval(from, End::Open)));
    limited(out, &limits, ecosystem)
}

/// "0" is the beginning of all versions, even of those that sort below it.
fn compare(a: &str, b: &str, ecosystem: &Ecosystem) -> Ordering {
    match ecosystem.order() {
        _ if a == b => Ordering::Equal,
        _ if a == "0" => Ordering::Less,
        _ if b == "0" => Ordering::Greater,
        Some(order) => order.compare(a, b),
        None => Ordering::Equal,
    }
}

/// Cuts intervals off at the highest limit: versions from there on are not spoken of. `*` is no limit.
fn limited(intervals: Vec<Interval>, limits: &[&str], ecosystem: &Ecosystem) -> Vec<Interval> {
    let highest = limits.iter().max_by(|a, b| compare(a, b, ecosystem));
    let Some(limit) = highest.filter(|_| !limits.contains(&"*")) else { return intervals };
    let below = |version: &str| compare(version, limit, ecosystem) == Ordering::Less;
    let cut = |interval: Interval| {
        let inside = match &interval.end {
            End::Fixed(end) | End::LastAffected(end) => below(end),
            End::Open => false,
        };
        let end = if inside { interval.end } else { End::Fixed((*limit).to_owned()) };
        interval.introduced.as_deref().is_none_or(below).then_some(Interval { introduced: interval.introduced, end })
    };
    intervals.into_iter().filter_map(cut).collect()
}

/// At the same version: a fix closes what was open before an introduction opens anew; a last one closes after it.
const fn rank(event: (u8, &str)) -> u8 {
    match event.0 {
        2 => 0,
        0 => 1,
        _ => 2,
    }
}

fn ratings(raw: Option<&[RawSeverity]>, feed: &str) -> Vec<Rating> {
    let one = |s: &RawSeverity| match s.kind.as_str() {
        kind if kind.starts_with("CVSS") => Rating::from_vector(feed, &s.score),
        _ => {
            s.score.parse().ok().map(|severity| Rating { source: feed.to_owned(), severity, score: None, vector: None })
        }
    };
    raw.unwrap_or_default().iter().filter_map(one).collect()
}

/// GHSA's own word: LOW, MODERATE, HIGH, CRITICAL.
fn word(specific: Option<&BTreeMap<String, serde_json::Value>>, feed: &str) -> Option<Rating> {
    let severity: Severity = specific?.get("severity")?.as_str()?.parse().ok()?;
    Some(Rating { source: feed.to_owned(), severity, score: None, vector: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(from: Option<&str>, end: End) -> Interval {
        Interval { introduced: from.map(str::to_owned), end }
    }

    #[test]
    fn events_become_intervals() {
        let check = |events: &str, expected: &[Interval]| {
            let json = format!(
                r#"{{"id":"X-1","affected":[{{"package":{{"ecosystem":"npm","name":"a"}},"ranges":[
                {{"type":"GIT","events":[{{"introduced":"0"}}]}},{{"type":"SEMVER","events":{events}}}]}}]}}"#
            );
            let mut records = Records::default();
            assert!(parse("a.json", json.as_bytes(), "osv", &mut records).unwrap());
            let rows = &records.advisories[0].affected;
            assert_eq!(rows.first().map_or(&[][..], |r| &r.intervals), expected, "{events}");
        };
        let fixed = |v: &str| End::Fixed(v.into());
        check(r#"[{"introduced":"0"},{"fixed":"1.2.0"}]"#, &[interval(None, fixed("1.2.0"))]);
        check(
            r#"[{"introduced":"2.0.0"},{"fixed":"2.1.0"},{"introduced":"0"},{"fixed":"1.0.0"}]"#,
            &[interval(None, fixed("1.0.0")), interval(Some("2.0.0"), fixed("2.1.0"))],
        );
        check(
            r#"[{"introduced":"1.0.0"},{"last_affected":"1.5.0"}]"#,
            &[interval(Some("1.0.0"), End::LastAffected("1.5.0".into()))],
        );
        check(
            r#"[{"introduced":"1.0.0"},{"last_affected":"1.0.0"}]"#,
            &[interval(Some("1.0.0"), End::LastAffected("1.0.0".into()))],
        );
        check(r#"[{"introduced":"1.0.0"}]"#, &[interval(Some("1.0.0"), End::Open)]);
        check(r#"[{"introduced":"0"},{"limit":"3.0.0"}]"#, &[interval(None, fixed("3.0.0"))]);
        check(r#"[{"introduced":"0"},{"limit":"3.0.0"},{"limit":"*"}]"#, &[interval(None, End::Open)]);
        check(
            r#"[{"introduced":"0"},{"fixed":"1.0.0"},{"introduced":"2.0.0"},{"fixed":"4.0.0"},{"limit":"3.0.0"}]"#,
            &[interval(None, fixed("1.0.0")), interval(Some("2.0.0"), fixed("3.0.0"))],
        );
        check(r#"[{"introduced":"0"},{"limit":"1.0.0"},{"limit":"3.0.0"}]"#, &[interval(None, fixed("3.0.0"))]);
        check(r#"[{"introduced":"2.0.0"},{"fixed":"2.0.0"}]"#, &[]);
        check(
            r#"[{"introduced":"1.0.0"},{"fixed":"2.0.0"},{"introduced":"2.0.0"},{"fixed":"3.0.0"}]"#,
            &[interval(Some("1.0.0"), fixed("2.0.0")), interval(Some("2.0.0"), fixed("3.0.0"))],
        );
        check(r#"[{"fixed":"1.0.0"}]"#, &[]);
    }

    #[test]
    fn entries_of_one_package_are_one_row() {
        let json = br#"{"id":"X-1","affected":[
            {"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"2.0.0"},{"fixed":"2.1.0"}]}]},
            {"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]},
            {"package":{"ecosystem":"npm","name":"b"},"severity":[{"type":"Ubuntu","score":"medium"}],"versions":["1.0.0"]},
            {"package":{"ecosystem":"npm","name":"c"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}"#;
        let mut records = Records::default();
        assert!(parse("a.json", json, "osv", &mut records).unwrap());
        let rows = &records.advisories[0].affected;
        let found: Vec<_> = rows.iter().map(|r| (r.package.as_str(), r.intervals.len(), r.severity)).collect();
        assert_eq!(found, [("a", 2, Severity::Unknown), ("b", 0, Severity::Medium)]);
    }

    #[test]
    fn yaml_is_the_same_record() {
        let yaml = "id: PYSEC-1\naliases:\n- CVE-1\naffected:\n- package:\n    name: Foo.Bar\n    ecosystem: PyPI\n  versions:\n  - 1.0\n  - '2.10'\n";
        let mut records = Records::default();
        assert!(parse("a.yaml", yaml.as_bytes(), "pypa", &mut records).unwrap());
        let row = &records.advisories[0].affected[0];
        assert_eq!(
            (row.package.as_str(), row.versions.as_slice()),
            ("foo-bar", &["1.0".to_owned(), "2.10".to_owned()][..])
        );
    }

    #[test]
    fn withdrawn_and_foreign_documents_say_nothing() {
        let check = |name: &str, text: &str, expected: Result<bool, ()>| {
            let mut records = Records::default();
            assert_eq!(parse(name, text.as_bytes(), "osv", &mut records).map_err(drop), expected, "{name}");
            assert!(records.is_empty());
        };
        check("a.json", r#"{"id":"X","withdrawn":"2024-01-01T00:00:00Z"}"#, Ok(true));
        check("README.md", "# hi", Ok(false));
        check("a.json", "{", Err(()));
        check("schema.json", "{}", Ok(false));
    }
}
