//! Rows whose comparison says "vulnerable".

use super::rows::EcosystemRows;
use super::subject::{Query, without_epoch};
use crate::reader::{Row, RowModuleScope};
use std::cmp::Ordering;
use tidewaiter_core::advisory::FixState;
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase, Rebuilder};
use tidewaiter_core::version::VersionScheme;
use tidewaiter_core::version::span::VersionSpan;

/// A row that applies to a query.
pub(super) struct Hit<'a> {
    pub(super) row: Row<'a>,
    pub(super) span: VersionSpan<'a>,
    pub(super) query: &'a Query,
    pub(super) scope: ScopeMatch,
}

/// Whether a package is of the architectures and the module that a row is for, whatever the versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScopeMatch {
    Inside,
    Outside,
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
        offers_fix(&self.row)
    }
}

/// Whether a row's upper bounds are fixes for its release, and not only where the record ends.
pub(super) fn offers_fix(row: &Row<'_>) -> bool {
    matches!(row.fix_state(), FixState::Fixed | FixState::Unknown)
}

pub(super) fn of<'a>(
    rows: &'a EcosystemRows<'_>,
    ecosystem: &'a Ecosystem,
    query: &'a Query,
    order: VersionScheme,
) -> impl Iterator<Item = Hit<'a>> {
    let affecting = self::rows(rows, ecosystem, query).filter(|row| !row.never_affected());
    affecting.filter_map(move |row| hit(row, ecosystem, query, order))
}

fn hit<'a>(row: Row<'a>, ecosystem: &Ecosystem, query: &'a Query, order: VersionScheme) -> Option<Hit<'a>> {
    let span = matching(&row, ecosystem, query, order)?;
    let scope = scope(&row, query);
    (scope != ScopeMatch::Outside).then_some(Hit { row, span, query, scope })
}

/// The interval of a row that contains the version.
pub(super) fn matching<'a>(
    row: &Row<'a>,
    ecosystem: &Ecosystem,
    query: &Query,
    order: VersionScheme,
) -> Option<VersionSpan<'a>> {
    row.spans().find(|span| is_comparable(span, ecosystem, query) && is_in(*span, ecosystem, query, order))
}

/// Whether a span is about versions like the queried one.
pub(super) fn is_comparable(span: &VersionSpan<'_>, ecosystem: &Ecosystem, query: &Query) -> bool {
    *ecosystem.base() != EcosystemBase::OracleLinux || same_flavour(span, &query.version)
}

/// Whether a span of an ecosystem contains the queried version. Of two builds of Root's that are made from one original,
/// their marks tell which is the earlier one, and their order does not.
pub(super) fn is_in(span: VersionSpan<'_>, ecosystem: &Ecosystem, query: &Query, order: VersionScheme) -> bool {
    let by_marks = |fixed| match ecosystem.base() {
        EcosystemBase::Root => Rebuilder::Root.compare_marks(&query.version, fixed),
        _ => None,
    };
    match span {
        VersionSpan::Fixed(low, fixed) => match by_marks(fixed) {
            Some(Ordering::Less) => contains(VersionSpan::Open(low), query, order),
            Some(_) => false,
            None => contains(span, query, order),
        },
        _ => contains(span, query, order),
    }
}

/// All rows of a name. A record without a release applies to all releases.
pub(super) fn rows<'a>(
    rows: &'a EcosystemRows<'_>,
    ecosystem: &Ecosystem,
    query: &'a Query,
) -> impl Iterator<Item = Row<'a>> {
    let places = rows.of(ecosystem);
    // By number: the iterator keeps the list alive.
    let place = move |at| places.get(at).copied();
    (0..).map_while(place).flat_map(|packages| packages.rows(query.key, &query.name))
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

/// Whether a span contains the queried version.
pub(super) fn contains(span: VersionSpan<'_>, query: &Query, order: VersionScheme) -> bool {
    let span = if query.epoch_unknown { span.map(without_epoch) } else { span };
    span.contains(&query.version, order)
}

/// Modules: a row of a module applies to packages of the same module and stream only; a row without one, to packages
/// outside of modules only. A package can be built in a module and carry no label (Oracle's default streams): then its
/// release says `.module`, and the stream follows from the version where versions begin with it.
pub(super) fn scope(row: &Row<'_>, query: &Query) -> ScopeMatch {
    let inside = !query.module.is_empty() || query.version.contains(".module");
    let inside_if = |is| if is { ScopeMatch::Inside } else { ScopeMatch::Outside };
    if !row.covers_arch(&query.arch) {
        return ScopeMatch::Outside;
    }
    match row.module() {
        RowModuleScope::Outside => inside_if(!inside),
        _ if !inside => ScopeMatch::Outside,
        RowModuleScope::Unnamed => ScopeMatch::Unclear,
        RowModuleScope::Streams(streams) if !query.module.is_empty() => {
            inside_if(streams.split(',').any(|s| s == query.module))
        }
        RowModuleScope::Streams(streams) => {
            let answers = streams.split(',').map(|s| unlabelled(s, row, query));
            answers.reduce(|a, b| if a == b { a } else { ScopeMatch::Unclear }).unwrap_or(ScopeMatch::Unclear)
        }
    }
}

fn unlabelled(module: &str, row: &Row<'_>, query: &Query) -> ScopeMatch {
    let stream = module.split_once(':').map_or("", |(_, stream)| stream);
    let follows = |version: &str| {
        let rest = without_epoch(version).strip_prefix(stream);
        rest.is_some_and(|rest| !stream.is_empty() && !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let fixed = |span| if let VersionSpan::Fixed(_, fixed) = span { Some(fixed) } else { None };
    match (row.spans().filter_map(fixed).any(follows), follows(&query.version)) {
        (true, true) => ScopeMatch::Inside,
        (true, false) => ScopeMatch::Outside,
        (false, _) => ScopeMatch::Unclear,
    }
}
