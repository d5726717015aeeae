//! Why a vulnerability is, or is not, reported: every row about it for an installed package, and the comparison.

use super::denial::{DenialReason, Denials};
use super::finding::because;
use super::group::{self, Group};
use super::hit::{self, Hit, ScopeMatch};
use super::is_matchable;
use super::rebuild::Rebuild;
use super::rows::EcosystemRows;
use super::subject::{self, Query, Subject};
use crate::error::DatabaseError;
use crate::reader::{Database, Row};
use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::Inventory;
use tidewaiter_core::version::VersionScheme;
use tidewaiter_core::version::span::{LowerBound, VersionSpan};

/// One row of the database, as it was compared with one installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExplainedRow {
    /// The name the row is keyed by: the source package or the installed one.
    pub package: String,
    /// The version that was compared.
    pub version: String,
    /// The ecosystem that was asked.
    pub ecosystem: Ecosystem,
    /// The record.
    pub advisory: String,
    /// The feed it is from.
    pub feed: String,
    /// Whether it applies to the package.
    pub applies: bool,
    /// The comparison that was made, as a person would write it.
    pub because: String,
}

/// Compares every row about `vulnerability`, by any of its names, with the packages of an inventory.
///
/// # Errors
/// When the database file is corrupt.
pub fn explain(inventory: &Inventory, db: &Database, vulnerability: &str) -> Result<Vec<ExplainedRow>, DatabaseError> {
    let os = inventory.os.as_ref();
    let rows = EcosystemRows::new(db);
    let mut out = Vec::new();
    for (subject, packages) in subject::all(inventory.packages.iter().filter(|p| is_matchable(p, os))) {
        let rebuild = Rebuild::of(&rows, &subject, &packages, os)?;
        for ecosystem in rebuild.ecosystems(&subject, os) {
            let queries = subject.queries(&packages, &ecosystem);
            out.extend(explain_queries(&rows, &ecosystem, &subject, &queries, &rebuild, vulnerability)?);
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

fn explain_queries(
    rows: &EcosystemRows<'_>,
    ecosystem: &Ecosystem,
    subject: &Subject,
    queries: &[Query],
    rebuild: &Rebuild,
    vulnerability: &str,
) -> Result<Vec<ExplainedRow>, DatabaseError> {
    let Some(order) = ecosystem.version_scheme() else { return Ok(Vec::new()) };
    let advisories = advisories(rows, ecosystem, queries, order)?;
    let comparison = Comparison {
        ecosystem,
        order,
        subject,
        rebuild,
        denials: queries.iter().map(|query| Denials::of(rows, ecosystem, query)).collect::<Result<_, _>>()?,
        groups: group::by_vulnerability(advisories.iter()),
    };
    let mut out = Vec::new();
    for query in queries {
        for row in hit::rows(rows, ecosystem, query) {
            let advisory = row.advisory()?;
            if !names(&advisory, vulnerability) {
                continue;
            }
            let (mut applies, mut because) = compare(&row, ecosystem, query, order, &advisory);
            let denied = || comparison.denied(&row, query, &advisory, vulnerability);
            if let Some(denied) = applies.then(denied).flatten() {
                (applies, because) = (false, format!("{because}, but {denied}"));
            }
            out.push(ExplainedRow {
                package: query.name.clone(),
                version: query.version.clone(),
                ecosystem: ecosystem.clone(),
                advisory: advisory.id,
                feed: advisory.feed,
                applies,
                because,
            });
        }
    }
    Ok(out)
}

/// Whether a row applies, and the comparison as a person would write it.
fn compare(
    row: &Row<'_>,
    ecosystem: &Ecosystem,
    query: &Query,
    order: VersionScheme,
    record: &Advisory,
) -> (bool, String) {
    let advisory = &record.id;
    let scope = hit::scope(row, query);
    let span = hit::matching(row, ecosystem, query, order);
    let applies = span.is_some() && scope == ScopeMatch::Inside && !row.never_affected();
    let because = match (span, scope) {
        _ if row.never_affected() => format!("{advisory}: {} was never affected", query.name),
        (_, ScopeMatch::Outside) => format!("{advisory}: it covers another module or architecture"),
        (_, ScopeMatch::Unclear) => format!("{advisory}: the stream of its module is not known"),
        (Some(span), _) => because(&Hit { row: *row, span, query, scope }, record),
        (None, _) => format!("{advisory}: {} {} is not in {}", query.name, query.version, ranges(row)),
    };
    (applies, because)
}

/// The records of the hits of a subject, as matching groups them.
fn advisories(
    rows: &EcosystemRows<'_>,
    ecosystem: &Ecosystem,
    queries: &[Query],
    order: VersionScheme,
) -> Result<Vec<Advisory>, DatabaseError> {
    let hits = queries.iter().flat_map(|query| hit::of(rows, ecosystem, query, order));
    hits.filter(|hit| hit.scope == ScopeMatch::Inside).map(|hit| hit.row.advisory()).collect()
}

/// What is known of a subject when one of its rows holds.
struct Comparison<'a> {
    ecosystem: &'a Ecosystem,
    order: VersionScheme,
    subject: &'a Subject,
    rebuild: &'a Rebuild,
    denials: Vec<Denials<'a>>,
    groups: Vec<Group<'a>>,
}

impl Comparison<'_> {
    /// Why matching takes away a row that holds, if it does: other rows deny the vulnerability, or all of its record where
    /// the record itself is asked for.
    fn denied(&self, row: &Row<'_>, query: &Query, advisory: &Advisory, asked: &str) -> Option<String> {
        let span = hit::matching(row, self.ecosystem, query, self.order)?;
        let hit = Hit { row: *row, span, query, scope: hit::scope(row, query) };
        let mut own = advisory.vulnerabilities();
        if own.iter().any(|name| name.eq_ignore_ascii_case(asked)) {
            own.retain(|name| name.eq_ignore_ascii_case(asked));
        }
        let reasons = own.into_iter().map(|name| self.reason(name, &hit)).collect::<Option<Vec<_>>>()?;
        Some(match reasons.first()? {
            DenialReason::NeverAffected => format!("another record says that {} was never affected", query.name),
            DenialReason::FixedInStream => {
                format!("{} has the fix that another record names for its own minor release", query.version)
            }
            DenialReason::FixedByRebuilder => {
                format!("{} has the fix of those who built it again", self.subject.version)
            }
            DenialReason::AbsentFromOriginal => {
                format!("by the records of its original, {} does not have it", self.subject.version)
            }
        })
    }

    /// Why a hit of one vulnerability is denied, by any of its names.
    fn reason(&self, vulnerability: &str, hit: &Hit<'_>) -> Option<DenialReason> {
        let group = self.groups.iter().find(|group| group.names().any(|name| name == vulnerability))?;
        let denials = || self.denials.iter().find_map(|denials| denials.reason(group.names(), hit));
        self.rebuild.reason(self.ecosystem, group.names()).or_else(denials)
    }
}

fn names(advisory: &Advisory, vulnerability: &str) -> bool {
    let all = std::iter::once(&advisory.id).chain(&advisory.aliases).chain(&advisory.upstream);
    all.into_iter().any(|name| name.eq_ignore_ascii_case(vulnerability))
}

/// The vulnerable versions of a row.
fn ranges(row: &Row<'_>) -> String {
    let all: Vec<String> = row.spans().map(range).collect();
    if all.is_empty() { "any vulnerable range".to_owned() } else { all.join(" or ") }
}

fn range(span: VersionSpan<'_>) -> String {
    match span {
        VersionSpan::Fixed(lo, end) => format!("{}< {end}", from(lo)),
        VersionSpan::Last(lo, last) => format!("{}<= {last}", from(lo)),
        VersionSpan::Open(lo) => format!("{}any", from(lo)),
        VersionSpan::Exact(exact) => format!("= {exact}"),
    }
}

fn from(lo: LowerBound<'_>) -> String {
    match lo {
        LowerBound::Start => String::new(),
        LowerBound::From(lo) => format!(">= {lo}, "),
        LowerBound::After(lo) => format!("> {lo}, "),
    }
}
