//! Rows whose comparison says "vulnerable".

use super::subject::{Query, without_epoch};
use crate::reader::{Database, Low, Row, RowModule, Span};
use std::cmp::Ordering;
use tidewaiter_core::advisory::FixState;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::version::Order;

/// A row that holds for what was asked.
pub(super) struct Hit<'a> {
    pub(super) row: Row<'a>,
    pub(super) span: Span<'a>,
    pub(super) query: &'a Query,
    pub(super) applies: Applies,
}

/// Whether a row speaks of a package at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applies {
    Yes,
    No,
    /// The record does not tell its module's stream, or the package its own.
    Unclear,
}

impl Hit<'_> {
    /// Whether a fixed version exists. Where the row says that none does, an upper bound is only the record's limit.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.span, Span::Fixed(..)) && self.offers_fix()
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
    order: Order,
) -> impl Iterator<Item = Hit<'a>> {
    let asked = ecosystem.clone();
    rows(db, ecosystem, query).filter(|row| !row.never_affected()).filter_map(move |row| {
        let span = matching(&row, &asked, query, order)?;
        let applies = applies(&row, query);
        (applies != Applies::No).then_some(Hit { row, span, query, applies })
    })
}

/// The interval of a row that holds the version.
pub(super) fn matching<'a>(row: &Row<'a>, ecosystem: &Ecosystem, query: &Query, order: Order) -> Option<Span<'a>> {
    let oracle = ecosystem.base() == "Oracle Linux";
    let comparable = |span: &Span<'_>| !oracle || same_flavour(span, &query.version);
    row.spans().find(|span| comparable(span) && contains(*span, query, order))
}

/// All rows of a name. A record without a release speaks of all releases.
pub(super) fn rows<'a>(db: &'a Database, ecosystem: &Ecosystem, query: &'a Query) -> impl Iterator<Item = Row<'a>> {
    let names = ecosystems(ecosystem);
    names.into_iter().flat_map(move |eco| db.rows(&eco, query.key, &query.name).collect::<Vec<_>>())
}

/// The ecosystems, as rows are keyed by them, that speak of packages of one.
pub(super) fn ecosystems(ecosystem: &Ecosystem) -> Vec<String> {
    let ecosystem = ecosystem.clone().canonical();
    let all = ecosystem.release().map(|_| ecosystem.base().to_owned());
    std::iter::once(ecosystem.to_string()).chain(all).collect()
}

/// Oracle builds some packages again with live patching (ksplice) or certified cryptography (FIPS), with versions of
/// their own: they compare within one flavour only.
fn same_flavour(span: &Span<'_>, version: &str) -> bool {
    let flavour = |v: &str| (v.contains(".ksplice"), v.contains("_fips"));
    match span {
        Span::Fixed(_, bound) | Span::Last(_, bound) | Span::Exact(bound) => flavour(bound) == flavour(version),
        Span::Open(_) => true,
    }
}

fn contains(span: Span<'_>, query: &Query, order: Order) -> bool {
    let compare = |bound: &str| {
        let bound = if query.epoch_unknown { without_epoch(bound) } else { bound };
        order.compare(&query.version, bound)
    };
    let at_least = |lo: Low<'_>| match lo {
        Low::Start => true,
        Low::From(lo) => compare(lo) != Ordering::Less,
        Low::After(lo) => compare(lo) == Ordering::Greater,
    };
    match span {
        Span::Fixed(lo, fixed) => at_least(lo) && compare(fixed) == Ordering::Less,
        Span::Last(lo, last) => at_least(lo) && compare(last) != Ordering::Greater,
        Span::Open(lo) => at_least(lo),
        Span::Exact(exact) => compare(exact) == Ordering::Equal,
    }
}

/// Modules: a row of a module speaks of packages of the same module and stream only; a row without, of packages outside
/// of modules only. A package can be built in a module and carry no label (Oracle's default streams): then its release
/// says `.module`, and the stream is told by versions where they follow it.
pub(super) fn applies(row: &Row<'_>, query: &Query) -> Applies {
    let inside = !query.module.is_empty() || query.version.contains(".module");
    let yes = |is| if is { Applies::Yes } else { Applies::No };
    if !row.covers_arch(&query.arch) {
        return Applies::No;
    }
    match row.module() {
        RowModule::Outside => yes(!inside),
        _ if !inside => Applies::No,
        RowModule::Unnamed => Applies::Unclear,
        RowModule::Streams(streams) if !query.module.is_empty() => yes(streams.split(',').any(|s| s == query.module)),
        RowModule::Streams(streams) => {
            let answers = streams.split(',').map(|s| unlabelled(s, row, query));
            answers.reduce(|a, b| if a == b { a } else { Applies::Unclear }).unwrap_or(Applies::Unclear)
        }
    }
}

fn unlabelled(module: &str, row: &Row<'_>, query: &Query) -> Applies {
    let stream = module.split_once(':').map_or("", |(_, stream)| stream);
    let follows = |version: &str| {
        let rest = without_epoch(version).strip_prefix(stream);
        rest.is_some_and(|rest| !stream.is_empty() && !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let fixed = |span| if let Span::Fixed(_, fixed) = span { Some(fixed) } else { None };
    match (row.spans().filter_map(fixed).any(follows), follows(&query.version)) {
        (true, true) => Applies::Yes,
        (true, false) => Applies::No,
        (false, _) => Applies::Unclear,
    }
}
