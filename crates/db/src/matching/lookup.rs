//! The look-ups that matching makes for an inventory, as values that can be stored: a new database re-matches only those
//! inventories for which a look-up may return something else.

use super::artifact::{self, is_ungrouped};
use super::subject::{self, Query};
use super::{denial, hit, is_matchable, rebuild};
use crate::delta::Delta;
use crate::reader::Row;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tidewaiter_core::advisory::KeyKind;
use tidewaiter_core::ecosystem::{Ecosystem, Os};
use tidewaiter_core::package::Package;
use tidewaiter_core::report::Inventory;
use tidewaiter_core::version::VersionScheme;

/// One look-up. The report of an inventory depends on the database through its look-ups alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lookup(LookupKind);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum LookupKind {
    /// Is this ecosystem covered, rated, supported?
    #[serde(rename = "e")]
    Ecosystem(Ecosystem),
    /// Is there any row of this name? (ecosystem, kind of name, name)
    #[serde(rename = "x")]
    Exists(Ecosystem, KeyKind, String),
    /// Is there any artifact of this name, whatever its group is?
    #[serde(rename = "a")]
    Artifact(String),
    /// Which rows hold? (ecosystem, question)
    #[serde(rename = "q")]
    Rows(Ecosystem, Query),
    /// Which rows of this name are there, whether they hold or not? (ecosystem, kind of name, name)
    #[serde(rename = "n")]
    Named(Ecosystem, KeyKind, String),
}

impl Lookup {
    /// The package's name, as rows are keyed by it; empty for a look-up that names none.
    pub fn name(&self) -> &str {
        match &self.0 {
            LookupKind::Ecosystem(_) | LookupKind::Artifact(_) => "",
            LookupKind::Exists(_, _, name)
            | LookupKind::Named(_, _, name)
            | LookupKind::Rows(_, Query { name, .. }) => name,
        }
    }

    /// Whether the result may differ between the two databases. `false` is certain.
    pub fn answer_may_change(&self, delta: &Delta<'_>) -> bool {
        match &self.0 {
            LookupKind::Ecosystem(ecosystem) => delta.coverage_differs(ecosystem),
            LookupKind::Artifact(wanted) => delta.names().iter().any(|name| artifact::artifact(name) == wanted),
            LookupKind::Exists(ecosystem, key, name) => hit::ecosystems(ecosystem)
                .iter()
                .any(|eco| delta.rows(eco, *key, name).is_some_and(|changed| changed.one_sided)),
            LookupKind::Named(ecosystem, key, name) => {
                hit::ecosystems(ecosystem).iter().any(|eco| delta.rows(eco, *key, name).is_some())
            }
            LookupKind::Rows(ecosystem, query) => {
                hit::ecosystems(ecosystem).iter().any(|eco| rows_differ(delta, eco, ecosystem, query))
            }
        }
    }
}

/// Whether the query sees any of the changed rows, before or after.
fn rows_differ(delta: &Delta<'_>, keyed: &str, ecosystem: &Ecosystem, query: &Query) -> bool {
    let Some(order) = ecosystem.version_scheme() else { return false };
    let changed = delta.rows(keyed, query.key, &query.name);
    changed.into_iter().flat_map(|changed| &changed.rows).any(|row| is_seen(row, ecosystem, query, order))
}

fn is_seen(row: &Row<'_>, ecosystem: &Ecosystem, query: &Query, order: VersionScheme) -> bool {
    // A denial takes findings away, for versions that its row does not match.
    let counts = denial::may_deny(row, query) || hit::matching(row, ecosystem, query, order).is_some();
    counts && hit::scope(row, query) != hit::ScopeMatch::Outside
}

/// All look-ups of [`super::match_inventory`] for an inventory.
pub fn lookups(inventory: &Inventory) -> BTreeSet<Lookup> {
    let os = inventory.os.as_ref();
    let mut out = whole_inventory_lookups(inventory);
    for (subject, packages) in subject::all(inventory.packages.iter().filter(|p| is_matchable(p, os))) {
        let rebuilt = rebuild::builder(&packages, os).map(|(_, ecosystem)| ecosystem);
        let is_rebuilt = rebuilt.is_some();
        for ecosystem in subject.ecosystems(os).into_iter().chain(rebuilt) {
            let rows = |query: Query| match is_rebuilt {
                true => LookupKind::Named(ecosystem.clone(), query.key, query.name),
                false => LookupKind::Rows(ecosystem.clone(), query),
            };
            out.extend(subject.queries(&packages, &ecosystem).into_iter().map(rows).map(Lookup));
        }
    }
    out
}

/// The look-ups whose results count for more than one package.
pub(super) fn whole_inventory_lookups(inventory: &Inventory) -> BTreeSet<Lookup> {
    let os = inventory.os.as_ref();
    let own = os.and_then(Os::ecosystem);
    let ecosystems = inventory.ecosystems().into_iter().chain(own);
    let mut out: BTreeSet<LookupKind> = ecosystems.map(LookupKind::Ecosystem).collect();
    let ungrouped = inventory.packages.iter().filter(|package| is_ungrouped(package));
    out.extend(ungrouped.map(|package| LookupKind::Artifact(package.name.clone())));
    // Owners are looked up for the existence of any record, and so are programs that were built without a version.
    let owners: BTreeSet<&str> = inventory.packages.iter().map(|p| p.owner.as_str()).collect();
    let asked = |p: &&Package| owners.contains(p.name.as_str()) || p.is_unreleased();
    for package in inventory.packages.iter().filter(asked) {
        for ecosystem in package.ecosystems(os) {
            let exists = |key, name: &str| LookupKind::Exists(ecosystem.clone(), key, ecosystem.normalize(name));
            out.insert(exists(KeyKind::Source, package.advisory_name()));
            out.insert(exists(KeyKind::Binary, &package.original_name()));
        }
    }
    out.into_iter().map(Lookup).collect()
}
