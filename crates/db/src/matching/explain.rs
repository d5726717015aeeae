//! Why a vulnerability is, or is not, reported: every row about it for an installed package, and the comparison.

use super::finding::because;
use super::hit::{self, Applicability, Hit};
use super::{judged, subject};
use crate::Error;
use crate::reader::{Database, LowerBound, Row, VersionSpan};
use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::Inventory;

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
pub fn explain(inventory: &Inventory, db: &Database, vulnerability: &str) -> Result<Vec<ExplainedRow>, Error> {
    let os = inventory.os.as_ref();
    let mut out = Vec::new();
    for (subject, packages) in subject::all(inventory.packages.iter().filter(|p| judged(p, os))) {
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
                let applies = hit::applies(&row, query);
                let span = hit::matching(&row, &ecosystem, query, order);
                let holds = span.is_some() && applies == Applicability::Yes && !row.never_affected();
                let because = match (span, applies) {
                    _ if row.never_affected() => format!("{}: {} was never affected", advisory.id, query.name),
                    (_, Applicability::No) => format!("{}: it covers another module or architecture", advisory.id),
                    (_, Applicability::Unclear) => format!("{}: the stream of its module is not known", advisory.id),
                    (Some(span), _) => because(&Hit { row, span, query, applies }, &advisory.id),
                    (None, _) => {
                        format!("{}: {} {} is not in {}", advisory.id, query.name, query.version, ranges(&row))
                    }
                };
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

fn names(advisory: &Advisory, vulnerability: &str) -> bool {
    let all = std::iter::once(&advisory.id).chain(&advisory.aliases).chain(&advisory.upstream);
    all.into_iter().any(|name| name.eq_ignore_ascii_case(vulnerability))
}

/// The vulnerable versions of a row.
fn ranges(row: &Row<'_>) -> String {
    let from = |lo: LowerBound<'_>| match lo {
        LowerBound::Start => String::new(),
        LowerBound::From(lo) => format!(">= {lo}, "),
        LowerBound::After(lo) => format!("> {lo}, "),
    };
    let one = |span: VersionSpan<'_>| match span {
        VersionSpan::Fixed(lo, end) => format!("{}< {end}", from(lo)),
        VersionSpan::Last(lo, last) => format!("{}<= {last}", from(lo)),
        VersionSpan::Open(lo) => format!("{}any", from(lo)),
        VersionSpan::Exact(exact) => format!("= {exact}"),
    };
    let all: Vec<String> = row.spans().map(one).collect();
    if all.is_empty() { "any vulnerable range".to_owned() } else { all.join(" or ") }
}
