//! The packages of one ecosystem in a database.

use super::{Database, Row};
use crate::format::PackageEntry;
use crate::writer::{key_code, key_kind};
use tidewaiter_core::advisory::KeyKind;

/// The packages of one ecosystem that rows are about. A look-up here compares names alone: the packages of an image are of few
/// ecosystems.
#[derive(Debug, Clone, Copy)]
pub struct EcosystemPackages<'a> {
    db: &'a Database,
    /// Where the ecosystem's name is: in a file that is not sorted, others may be among them.
    ecosystem: Option<u32>,
    /// Sorted by kind of key, then by name.
    entries: &'a [PackageEntry],
}

impl<'a> EcosystemPackages<'a> {
    /// Finds them; none where no row is about the ecosystem.
    pub(crate) fn of(db: &'a Database, all: &'a [PackageEntry], ecosystem: &str) -> Self {
        let place = |entry: &PackageEntry| db.bytes(entry.ecosystem.get()).cmp(ecosystem.as_bytes());
        let first = all.partition_point(|entry| place(entry).is_lt());
        let rest = all.get(first..).unwrap_or_default();
        let count = rest.partition_point(|entry| place(entry).is_eq());
        let entries = rest.get(..count).unwrap_or_default();
        EcosystemPackages { db, ecosystem: entries.first().map(|entry| entry.ecosystem.get()), entries }
    }

    /// All rows of one package. Allocates nothing.
    pub fn rows(self, key: KeyKind, name: &str) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let wanted = (key_code(key), name.as_bytes());
        let place = |entry: &PackageEntry| (entry.key, self.db.bytes(entry.name.get())).cmp(&wanted);
        let found = self.entries.binary_search_by(place).ok().and_then(|at| self.entries.get(at));
        let own = found.filter(|entry| Some(entry.ecosystem.get()) == self.ecosystem);
        own.into_iter().flat_map(move |entry| self.db.rows_of(entry))
    }

    /// Their names, with what they name, in order.
    pub fn names(self) -> impl Iterator<Item = (KeyKind, &'a str)> {
        self.entries.iter().map(move |entry| (key_kind(entry.key), self.db.text(entry.name.get())))
    }
}
