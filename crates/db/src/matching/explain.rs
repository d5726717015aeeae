//! Why a vulnerability is, or is not, reported: every row about it for an installed package, and the comparison.

use super::finding::because;
use super::hit::{self, Applicability, Hit};
use super::is_matchable;
use super::subject::{self, Query};
use crate::error::DatabaseError;
use crate::reader::{Database, LowerBound, Row, VersionSpan};
use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::Inventory;
use tidewaiter_core::version::VersionScheme;

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
    pub holds: bool,
    /// The comparison that was made, as a person would write it.
    pub because: String,
}

/// Compares every row about `vulnerability`, by any of its names, with the packages of an inventory.
///
/// # Errors
/// When the database file is corrupt.
pub fn explain(inventory: &Inventory, db: &Database, vulnerability: &str) -> Result<Vec<ExplainedRow>, DatabaseError> {
    let os = inventory.os.as_ref();
    let mut out = Vec::new();
    for (subject, packages) in subject::all(inventory.packages.iter().filter(|p| is_matchable(p, os))) {
        let Some((ecosystem, order)) = subject.kind.ecosystem(os).and_then(|e| e.version_scheme().map(|o| (e, o)))
        else {
            continue;
        };
        for query in &subject.queries(&packages, &ecosystem) {
            for row in hit::rows(db, &ecosystem, query) {
                let advisory = row.advisory()?;
                if !names(&advisory, vulnerability) {
                    continue;
                }
                let (holds, because) = compare(&row, &ecosystem, query, order, &advisory.id);
                out.push(ExplainedRow {
                    package: query.name.clone(),
                    version: query.version.clone(),
                    ecosystem: ecosystem.clone(),
                    advisory: advisory.id,
                    feed: advisory.feed,
                    holds,
                    because,
                });
            }
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

/// Whether a row applies, and the comparison as a person would write it.
fn compare(
    row: &Row<'_>,
    ecosystem: &Ecosystem,
    query: &Query,
    order: VersionScheme,
    advisory: &str,
) -> (bool, String) {
    let applies = hit::applies(row, query);
    let span = hit::matching(row, ecosystem, query, order);
    let holds = span.is_some() && applies == Applicability::Yes && !row.never_affected();
    let because = match (span, applies) {
        _ if row.never_affected() => format!("{advisory}: {} was never affected", query.name),
        (_, Applicability::No) => format!("{advisory}: it covers another module or architecture"),
        (_, Applicability::Unclear) => format!("{advisory}: the stream of its module is not known"),
        (Some(span), _) => because(&Hit { row: *row, span, query, applies }, advisory),
        (None, _) => format!("{advisory}: {} {} is not in {}", query.name, query.version, ranges(row)),
    };
    (holds, because)
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
