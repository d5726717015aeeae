//! Packages × rows → findings. Pure look-ups and comparisons; the database is the only input besides the packages.
//!
//! ```text
//! packages → subjects (one source package each) → queries (by source, by binary) → hits → groups (one per CVE) → findings
//! ```

mod artifact;
mod denial;
mod duplicate;
mod explain;
mod finding;
mod gaps;
mod group;
mod hit;
mod kernel;
mod lookup;
mod ownership;
mod rebuild;
mod rematch;
mod rows;
mod subject;

use crate::error::DatabaseError;
use crate::reader::Database;
use denial::Denials;
pub use explain::{ExplainedRow, explain};
use hit::{Hit, ScopeMatch};
pub use lookup::{Lookup, lookups};
use ownership::Ownership;
use rebuild::Rebuild;
pub use rematch::{Rematched, rematch};
use rows::EcosystemRows;
use subject::{Query, Subject};
use tidewaiter_core::advisory::{Advisory, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::finding::Finding;
use tidewaiter_core::package::Package;
use tidewaiter_core::report::{Gap, Inventory, Report, SupportPeriod};

/// Matches an inventory: the report with findings, counts and gaps.
///
/// # Errors
/// When the database file is corrupt.
pub fn match_inventory(inventory: Inventory, db: &Database) -> Result<Report, DatabaseError> {
    let os = inventory.os.as_ref();
    let mut found = Vec::new();
    let rows = EcosystemRows::new(db);
    let ownership = Ownership::of(&inventory, &rows);
    // Before the inventory is moved into the report; gaps of single rows follow.
    let mut gaps = gaps::of(&inventory, &rows, &ownership);
    let matchable = inventory.packages.iter().filter(|p| is_matchable(p, os) && !ownership.covers(p));
    for (subject, packages) in subject::all(matchable) {
        let matched = match_subject(&rows, &subject, &packages, os)?;
        found.extend(matched.findings.into_iter().map(|finding| (subject.kind, finding)));
        gaps.extend(matched.gaps);
    }
    let support = support(os, db);
    // Duplicates last: a program is compared with the findings of all packages.
    let mut report = Report::new(inventory, db.info(), duplicate::removed(found), gaps);
    report.support = support;
    Ok(report)
}

/// Whether advisories can cover a package: none cover the image's own code, a distribution's do not cover other vendors'
/// packages, and a kernel's do not cover its headers.
fn is_matchable(package: &Package, os: Option<&Os>) -> bool {
    let comparable = package.is_judged()
        && !package.advisory_version().is_empty()
        && !package.is_unreleased()
        && !kernel::is_headers(package);
    comparable && (!package.kind.is_os() || os.is_none_or(|os| package.is_covered_by(os)))
}

fn support(os: Option<&Os>, db: &Database) -> Option<SupportPeriod> {
    db.meta().support_of(&os?.ecosystem()?).cloned()
}

#[derive(Default)]
struct Matched {
    findings: Vec<Finding>,
    gaps: Vec<Gap>,
}

/// A subject is vulnerable when it is in any of the ecosystems that its packages may be of.
fn match_subject(
    rows: &EcosystemRows<'_>,
    subject: &Subject,
    packages: &[&Package],
    os: Option<&Os>,
) -> Result<Matched, DatabaseError> {
    let mut all = Matched::default();
    let rebuild = Rebuild::of(rows, subject, packages, os)?;
    for ecosystem in rebuild.ecosystems(subject, os) {
        let matched = match_ecosystem(rows, &ecosystem, subject, packages, &rebuild, os)?;
        all.gaps.extend(matched.gaps);
        if all.findings.is_empty() {
            all.findings = matched.findings;
        } else {
            matched.findings.into_iter().for_each(|finding| finding::add(&mut all.findings, finding));
        }
    }
    Ok(all)
}

fn match_ecosystem(
    rows: &EcosystemRows<'_>,
    ecosystem: &Ecosystem,
    subject: &Subject,
    packages: &[&Package],
    rebuild: &Rebuild,
    os: Option<&Os>,
) -> Result<Matched, DatabaseError> {
    let Some(order) = ecosystem.version_scheme() else { return Ok(Matched::default()) };
    let queries = subject.queries(packages, ecosystem);
    let mut gaps = Vec::new();
    let mut hits: Vec<(Advisory, Hit<'_>)> = Vec::new();
    for query in &queries {
        for hit in hit::of(rows, ecosystem, query, order) {
            let advisory = hit.row.advisory()?;
            match hit.scope {
                ScopeMatch::Unclear => gaps.push(gaps::unclear(&advisory, &hit)),
                _ => hits.push((advisory, hit)),
            }
        }
    }
    // Most packages have no hit: marks of "never affected" need not be read for them.
    if hits.is_empty() {
        return Ok(Matched { findings: Vec::new(), gaps });
    }
    let denials = queries.iter().map(|q| Denials::of(rows, ecosystem, q)).collect::<Result<Vec<_>, _>>()?;
    let mut findings = Vec::new();
    for group in group::by_vulnerability(hits.iter().map(|(advisory, _)| advisory)) {
        if rebuild.reason(ecosystem, group.names()).is_some() {
            continue;
        }
        let denied = |hit: &Hit<'_>| denials.iter().any(|denials| denials.reason(group.names(), hit).is_some());
        let members = group.members.iter().filter_map(|i| hits.get(*i)).filter(|(_, hit)| !denied(hit));
        let facts = finding::facts(rows.db, group.names())?;
        let members: Vec<_> = members.collect();
        let context = finding::FindingContext { ecosystem, order, subject, packages, os };
        findings.extend(context.finding(group.vulnerability, &members, facts));
    }
    Ok(Matched { findings, gaps })
}

/// The records that apply to one package, by either of its names, for spot checks. Of a package built in a module, also
/// those that may apply.
///
/// # Errors
/// When the database file is corrupt.
pub fn vulnerabilities(
    db: &Database,
    ecosystem: &Ecosystem,
    package: &str,
    version: &str,
) -> Result<Vec<Advisory>, DatabaseError> {
    let Some(order) = ecosystem.version_scheme() else { return Ok(Vec::new()) };
    let query = |key| Query::plain(key, &ecosystem.normalize(package), version);
    let rows = EcosystemRows::new(db);
    let mut out = Vec::new();
    for query in [query(KeyKind::Source), query(KeyKind::Binary)] {
        for hit in hit::of(&rows, ecosystem, &query, order) {
            out.push(hit.row.advisory()?);
        }
    }
    Ok(out)
}
