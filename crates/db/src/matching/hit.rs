//! Rows whose comparison says "vulnerable".

use super::subject::{Query, without_epoch};
use crate::reader::{Database, LowerBound, Row, RowModuleScope, VersionSpan};
use std::cmp::Ordering;
use tidewaiter_core::advisory::FixState;
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::version::VersionScheme;

/// A row that applies to a query.
pub(super) struct Hit<'a> {
    pub(super) row: Row<'a>,
    pub(super) span: VersionSpan<'a>,
    pub(super) query: &'a Query,
    pub(super) applies: Applicability,
}

/// Whether a row applies to a package, whatever the versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applicability {
    Yes,
    No,
    /// The record does not name its module's stream, or the package does not name its own.
    Unclear,
}

impl Hit<'_> {
    /// Whether a fixed version exists. Where the row says that none does, an upper bound is only the record's limit.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.span, VersionSpan::Fixed(..)) && self.offers_fix()
    }

    /// Whether the row's upper bounds are fixes for this release.
    pub(super) fn offers_fix(&self) -> bool {
        matches!(self.row.fix_state(), FixState::Fixed | FixState::Unknown)
    }
}

pub(super) fn of<'a>(
    db: &'a Database,
    ecosystem: &Ecosystem,
    query: &'a Query,
    order: VersionScheme,
) -> impl Iterator<Item = Hit<'a>> {
    let asked = ecosystem.clone();
    rows(db, ecosystem, query).filter(|row| !row.never_affected()).filter_map(move |row| {
        let span = matching(&row, &asked, query, order)?;
        let applies = applies(&row, query);
        (applies != Applicability::No).then_some(Hit { row, span, query, applies })
    })
}

/// The interval of a row that contains the version.
pub(super) fn matching<'a>(
    row: &Row<'a>,
    ecosystem: &Ecosystem,
    query: &Query,
    order: VersionScheme,
) -> Option<VersionSpan<'a>> {
    let oracle = *ecosystem.base() == EcosystemBase::OracleLinux;
    let comparable = |span: &VersionSpan<'_>| !oracle || same_flavour(span, &query.version);
    row.spans().find(|span| comparable(span) && contains(*span, query, order))
}

/// All rows of a name. A record without a release applies to all releases.
pub(super) fn rows<'a>(db: &'a Database, ecosystem: &Ecosystem, query: &'a Query) -> impl Iterator<Item = Row<'a>> {
    let names = ecosystems(ecosystem);
    names.into_iter().flat_map(move |eco| db.rows(&eco, query.key, &query.name).collect::<Vec<_>>())
}

/// The ecosystems that rows about packages of one ecosystem are keyed by.
pub(super) fn ecosystems(ecosystem: &Ecosystem) -> Vec<String> {
    let ecosystem = ecosystem.clone().canonical();
    let all = ecosystem.release().map(|_| ecosystem.base().to_string());
    std::iter::once(ecosystem.to_string()).chain(all).collect()
}

/// Oracle builds some packages again with live patching (ksplice) or certified cryptography (FIPS), with versions of
/// their own: they compare within one flavour only.
fn same_flavour(span: &VersionSpan<'_>, version: &str) -> bool {
    let flavour = |v: &str| (v.contains(".ksplice"), v.contains("_fips"));
    match span {
        VersionSpan::Fixed(_, bound) | VersionSpan::Last(_, bound) | VersionSpan::Exact(bound) => {
            flavour(bound) == flavour(version)
        }
        VersionSpan::Open(_) => true,
    }
}

fn contains(span: VersionSpan<'_>, query: &Query, order: VersionScheme) -> bool {
    let above = match span {
        VersionSpan::Fixed(lo, _) | VersionSpan::Last(lo, _) | VersionSpan::Open(lo) => is_above(lo, query, order),
        VersionSpan::Exact(_) => true,
    };
    above
        && match span {
            VersionSpan::Fixed(_, fixed) => compare(query, fixed, order) == Ordering::Less,
            VersionSpan::Last(_, last) => compare(query, last, order) != Ordering::Greater,
            VersionSpan::Open(_) => true,
            VersionSpan::Exact(exact) => compare(query, exact, order) == Ordering::Equal,
        }
}

fn is_above(lo: LowerBound<'_>, query: &Query, order: VersionScheme) -> bool {
    match lo {
        LowerBound::Start => true,
        LowerBound::From(lo) => compare(query, lo, order) != Ordering::Less,
        LowerBound::After(lo) => compare(query, lo, order) == Ordering::Greater,
    }
}

/// The queried version against a bound.
fn compare(query: &Query, bound: &str, order: VersionScheme) -> Ordering {
    let bound = if query.epoch_unknown { without_epoch(bound) } else { bound };
    order.compare(&query.version, bound)
}

/// Modules: a row of a module applies to packages of the same module and stream only; a row without one, to packages
/// outside of modules only. A package can be built in a module and carry no label (Oracle's default streams): then its
/// release says `.module`, and the stream follows from the version where versions begin with it.
pub(super) fn applies(row: &Row<'_>, query: &Query) -> Applicability {
    let inside = !query.module.is_empty() || query.version.contains(".module");
    let yes = |is| if is { Applicability::Yes } else { Applicability::No };
    if !row.covers_arch(&query.arch) {
        return Applicability::No;
    }
    match row.module() {
        RowModuleScope::Outside => yes(!inside),
        _ if !inside => Applicability::No,
        RowModuleScope::Unnamed => Applicability::Unclear,
        RowModuleScope::Streams(streams) if !query.module.is_empty() => {
            yes(streams.split(',').any(|s| s == query.module))
        }
        RowModuleScope::Streams(streams) => {
            let answers = streams.split(',').map(|s| unlabelled(s, row, query));
            answers.reduce(|a, b| if a == b { a } else { Applicability::Unclear }).unwrap_or(Applicability::Unclear)
        }
    }
}

fn unlabelled(module: &str, row: &Row<'_>, query: &Query) -> Applicability {
    let stream = module.split_once(':').map_or("", |(_, stream)| stream);
    let follows = |version: &str| {
        let rest = without_epoch(version).strip_prefix(stream);
        rest.is_some_and(|rest| !stream.is_empty() && !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let fixed = |span| if let VersionSpan::Fixed(_, fixed) = span { Some(fixed) } else { None };
    match (row.spans().filter_map(fixed).any(follows), follows(&query.version)) {
        (true, true) => Applicability::Yes,
        (true, false) => Applicability::No,
        (false, _) => Applicability::Unclear,
    }
}
