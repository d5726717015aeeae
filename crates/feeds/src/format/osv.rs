//! OSV schema, JSON and YAML. The peculiarities of distributions are in one file for each family.

mod events;
mod extended_support;
mod rebuilt;
mod rpm;
#[cfg(test)]
mod tests;

use super::{FeedContext, Problem, Records, records};
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
    #[serde(default)]
    published: Option<String>,
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
        tidewaiter_yaml::from_slice(bytes).map_err(|e| e.to_string())?
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
    if rebuilt::is_update(&advisory) {
        records.skip("names no CVE");
        return Ok(true);
    }
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
    upstream.extend(rebuilt::cve(&id).map(str::to_owned));
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
        published: record.published.as_deref().and_then(records::day),
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
    let key = if source_keyed(&ecosystem) { KeyKind::Source } else { KeyKind::Binary };
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
/// and MinimOS the packages that an origin is split into (OSV schema, "Defined ecosystems"). Root names the source packages
/// of systems, TuxCare the binary ones.
fn source_keyed(ecosystem: &Ecosystem) -> bool {
    use EcosystemBase as Base;
    let of_root = |original: Ecosystem| *ecosystem.base() == Base::Root && source_keyed(&original);
    let is_rebuilt = ecosystem.upstream().is_some_and(of_root);
    is_rebuilt
        || matches!(
            ecosystem.base(),
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
