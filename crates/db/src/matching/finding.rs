//! One finding from the hits of one vulnerability, with the reason a person can check.

use super::hit::Hit;
use super::subject::{Query, Subject, without_epoch};
use crate::error::DatabaseError;
use crate::reader::Database;
use jiff::civil::Date;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use tidewaiter_core::advisory::{Advisory, CveFacts, FixState, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::finding::{Finding, InstalledPackage};
use tidewaiter_core::package::Package;
use tidewaiter_core::severity::{self, Severity};
use tidewaiter_core::version::VersionScheme;
use tidewaiter_core::version::span::{LowerBound, VersionSpan};

/// What the database knows of the CVEs among the names of a vulnerability.
pub(super) fn facts<'a>(db: &Database, names: impl Iterator<Item = &'a str>) -> Result<CveFacts, DatabaseError> {
    let mut all = CveFacts::default();
    let mut cves: Vec<&str> = names.filter(|n| n.starts_with("CVE-")).collect();
    cves.sort_unstable();
    cves.dedup();
    for cve in cves {
        let facts = db.cve(cve)?.unwrap_or_default();
        all.ratings.extend(facts.ratings);
        all.kev = all.kev.or(facts.kev);
        all.epss = all.epss.or(facts.epss);
        all.published = all.published.into_iter().chain(facts.published).min();
    }
    Ok(all)
}

/// Adds a finding of one subject. One vulnerability in several of its ecosystems is one finding, that of the first of them: with
/// the fixes of all, for any of them can be installed.
pub(super) fn add(findings: &mut Vec<Finding>, other: Finding) {
    let Some(known) = findings.iter_mut().find(|known| known.vulnerability == other.vulnerability) else {
        findings.push(other);
        return;
    };
    if known.fixed_versions.is_empty() && !other.fixed_versions.is_empty() {
        known.fix_state = other.fix_state;
    }
    known.fixed_versions.extend(other.fixed_versions);
    let mut seen = BTreeSet::new();
    known.fixed_versions.retain(|version| seen.insert(version.clone()));
    known.installed.extend(other.installed);
    known.installed.sort();
    known.installed.dedup();
    known.aliases.extend(other.aliases);
    known.aliases.sort();
    known.aliases.dedup();
    known.class = known.class.min(other.class);
    known.published = known.published.into_iter().chain(other.published).min();
    // A rating of its own in either counts.
    if other.severity > known.severity {
        (known.severity, known.severity_source) = (other.severity, other.severity_source);
    }
}

/// The earliest day that records name: aggregators date theirs by the day on which they imported it. A distribution's advisory
/// is published with its fix, whenever the CVE was; elsewhere, and where none has a date, the CVE's day counts, too.
fn published<'a>(
    records: impl Iterator<Item = &'a Advisory>,
    of_cve: Option<Date>,
    order: VersionScheme,
) -> Option<Date> {
    let own = records.filter_map(|advisory| advisory.published).min();
    let by_vendor = matches!(order, VersionScheme::Deb | VersionScheme::Apk | VersionScheme::Rpm | VersionScheme::Alpm);
    if by_vendor && own.is_some() { own } else { own.into_iter().chain(of_cve).min() }
}

/// What all findings of a subject have in common.
pub(super) struct FindingContext<'a> {
    pub(super) ecosystem: &'a Ecosystem,
    pub(super) order: VersionScheme,
    pub(super) subject: &'a Subject,
    pub(super) packages: &'a [&'a Package],
    pub(super) os: Option<&'a Os>,
}

impl FindingContext<'_> {
    /// The finding; `None` without a hit.
    pub(super) fn finding(
        &self,
        vulnerability: &str,
        group: &[&(Advisory, Hit<'_>)],
        facts: CveFacts,
    ) -> Option<Finding> {
        // The first record leads; of those that know a fix, the first one names it.
        let (advisory, hit) = group.first()?;
        let fixing = group.iter().find(|(_, hit)| hit.is_fixed()).map_or(hit, |(_, hit)| hit);
        let records = || group.iter().map(|(a, _)| a);
        let mut aliases: Vec<String> =
            records().flat_map(|a| std::iter::once(&a.id).chain(&a.aliases)).cloned().collect();
        aliases.retain(|alias| alias != vulnerability);
        aliases.sort();
        aliases.dedup();
        let mut ratings = facts.ratings;
        ratings.extend(records().flat_map(|a| a.ratings.clone()));
        ratings.sort_by(|a, b| (&a.source, &a.vector, a.severity).cmp(&(&b.source, &b.vector, b.severity)));
        ratings.dedup();
        let row = group.iter().map(|(a, h)| (h.row.severity(), a.feed.as_str())).max_by_key(|(s, _)| *s);
        let rates = |feed: &&str| ratings.iter().any(|r| r.source == **feed && r.severity != Severity::Unknown);
        let own = records().map(|a| a.feed.as_str()).find(rates).unwrap_or(&advisory.feed);
        let (severity, severity_source) = severity::select(row, own, &ratings);
        Some(Finding {
            vulnerability: vulnerability.to_owned(),
            // A vulnerability in one record counts, whatever less the others call it.
            class: records().map(|a| a.class).min().unwrap_or_default(),
            fixed_versions: fixed_versions(fixing, self.order),
            because: because(hit, advisory),
            kev: facts.kev,
            epss: facts.epss,
            published: published(records(), facts.published, self.order),
            advisory: advisory.id.clone(),
            ecosystem: self.ecosystem.clone(),
            package: self.subject.name.clone(),
            installed_version: self.subject.version.clone(),
            installed: self.installed(group),
            fix_state: fix_state(fixing),
            severity_source: if severity == Severity::Unknown { String::new() } else { severity_source },
            summary: records().map(|a| &a.summary).find(|s| !s.is_empty()).cloned().unwrap_or_default(),
            references: records().map(|a| &a.references).find(|r| !r.is_empty()).cloned().unwrap_or_default(),
            feed: advisory.feed.clone(),
            aliases,
            severity,
            ratings,
        })
    }

    /// The packages of a finding: all of the source package, or those that records name.
    fn installed(&self, group: &[&(Advisory, Hit<'_>)]) -> Vec<InstalledPackage> {
        let queries = || group.iter().map(|(_, hit)| hit.query);
        let whole = queries().any(|q| q.key == KeyKind::Source);
        let named = |p: &Package| {
            let own = Query::binary(p, self.ecosystem);
            queries().any(|q| (&q.name, &q.version, &q.arch) == (&own.name, &own.version, &own.arch))
        };
        let mut out: Vec<InstalledPackage> = self
            .packages
            .iter()
            .filter(|p| whole || named(p))
            .map(|p| InstalledPackage {
                name: p.name.clone(),
                version: p.version.clone(),
                purl: p.purl(self.os),
                locations: p.locations.clone(),
            })
            .collect();
        out.sort();
        out.dedup();
        out
    }
}

fn fix_state(hit: &Hit<'_>) -> FixState {
    if hit.row.fix_state() == FixState::Unknown && hit.is_fixed() { FixState::Fixed } else { hit.row.fix_state() }
}

/// The end of the matched interval first, then the fixed versions of later branches, each above the installed one.
fn fixed_versions(hit: &Hit<'_>, order: VersionScheme) -> Vec<String> {
    if !hit.offers_fix() {
        return Vec::new();
    }
    let above = |fixed: &str| {
        let bound = if hit.query.epoch_unknown { without_epoch(fixed) } else { fixed };
        order.compare(bound, &hit.query.version) == Ordering::Greater
    };
    let mut later: Vec<&str> = hit
        .row
        .spans()
        .filter_map(|span| match span {
            VersionSpan::Fixed(_, fixed) if above(fixed) => Some(fixed),
            _ => None,
        })
        .collect();
    // The smallest first, and before all the end of the interval that the version is in: the fix of its own branch.
    later.sort_by(|a, b| order.compare(a, b));
    later.dedup();
    if let VersionSpan::Fixed(_, own) = hit.span {
        later.retain(|v| *v != own);
        later.insert(0, own);
    }
    later.into_iter().map(str::to_owned).collect()
}

/// The comparison that matched, as a person would write it: `CVE-1: openssl 1.0 <= 1.1 < 1.2 (fixed)`.
pub(super) fn because(hit: &Hit<'_>, record: &Advisory) -> String {
    let advisory = &record.id;
    let (name, version) = (&hit.query.name, &hit.query.version);
    match hit.span {
        VersionSpan::Fixed(lo, end) => {
            // Ubuntu's extended maintenance marks its versions; others' bounds are the record's limit.
            let what = match end {
                _ if hit.is_fixed() => "fixed",
                _ if hit.row.is_of_paid_feed(&record.feed) => "fixed for subscribers of extended support only",
                end if end.contains("esm") => "fixed for subscribers of Ubuntu Pro only",
                _ => "limit",
            };
            format!("{advisory}: {name} {}{version} < {end} ({what})", from(lo))
        }
        VersionSpan::Last(lo, last) => format!("{advisory}: {name} {}{version} <= {last} (last affected)", from(lo)),
        VersionSpan::Open(lo) => format!("{advisory}: {name} {}{version}, no fixed version", from(lo)),
        VersionSpan::Exact(exact) => format!("{advisory}: {name} {version} is listed as vulnerable ({exact})"),
    }
}

fn from(lo: LowerBound<'_>) -> String {
    match lo {
        LowerBound::Start => String::new(),
        LowerBound::From(lo) => format!("{lo} <= "),
        LowerBound::After(lo) => format!("{lo} < "),
    }
}
