//! Rows that are not the same in both databases.

use super::records::{Ranks, RecordDigest};
use super::{ChangedRows, Key, NamedPackage};
use crate::format::{DatabaseSection, PackageEntry};
use crate::reader::{Database, Row};
use crate::writer::{key_code, key_kind};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

/// The differences, once by package and once by record.
#[derive(Debug, Default)]
pub(super) struct RowDifferences<'a> {
    pub(super) by_package: BTreeMap<Key<'a>, ChangedRows<'a>>,
    pub(super) by_rank: BTreeMap<u32, BTreeSet<NamedPackage<'a>>>,
}

/// One database with the digests of its records.
#[derive(Clone, Copy)]
struct Side<'a, 'r> {
    db: &'a Database,
    said: &'r [RecordDigest],
}

impl<'a> Side<'a, '_> {
    fn key(self, package: &PackageEntry) -> Key<'a> {
        (self.db.text(package.ecosystem.get()), key_kind(package.key), self.db.text(package.name.get()))
    }

    /// The rows of a package with the digests of their records. A row without a record is one of a corrupt file.
    fn rows(self, package: Option<&PackageEntry>) -> impl Iterator<Item = (RecordDigest, Row<'a>)> {
        let rows = package.into_iter().flat_map(move |package| self.db.rows_of(package));
        rows.filter_map(move |row| Some((*self.said.get(row.advisory_index() as usize)?, row)))
    }
}

pub(super) fn changed<'a>(old: &'a Database, new: &'a Database, ranks: &Ranks) -> RowDifferences<'a> {
    let (before, after) = (Side { db: old, said: &ranks.old }, Side { db: new, said: &ranks.new });
    let mut found = RowDifferences::default();
    let mut a = old.records::<PackageEntry>(DatabaseSection::Packages).iter().peekable();
    let mut b = new.records::<PackageEntry>(DatabaseSection::Packages).iter().peekable();
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(a), Some(b)) => order(before.key(a)).cmp(&order(after.key(b))),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return found,
        };
        let x = if next.is_le() { a.next() } else { None };
        let y = if next.is_ge() { b.next() } else { None };
        let key = x.map(|x| before.key(x)).or(y.map(|y| after.key(y)));
        if let Some(key) = key {
            let one_sided = next.is_ne();
            package(key, one_sided, before.rows(x), after.rows(y), &mut found);
        }
    }
}

/// The order of the package index.
fn order((ecosystem, key, name): Key<'_>) -> impl Ord + '_ {
    (ecosystem, key_code(key), name)
}

/// Rows of a package are sorted by record; those of one record are compared as a whole.
fn package<'a>(
    key: Key<'a>,
    one_sided: bool,
    old: impl Iterator<Item = (RecordDigest, Row<'a>)>,
    new: impl Iterator<Item = (RecordDigest, Row<'a>)>,
    found: &mut RowDifferences<'a>,
) {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        let ranks = [old.peek().map(|(said, _)| said.rank), new.peek().map(|(said, _)| said.rank)];
        let Some(rank) = ranks.into_iter().flatten().min() else { return };
        take(&mut old, rank, &mut a);
        take(&mut new, rank, &mut b);
        if a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(a, b)) {
            continue;
        }
        let changed = found.by_package.entry(key).or_default();
        changed.one_sided |= one_sided;
        changed.rows.extend(a.iter().chain(&b).map(|(_, row)| *row));
        found.by_rank.entry(rank).or_default().insert(NamedPackage { ecosystem: key.0, name: key.2 });
    }
}

fn take<'a>(
    rows: &mut Peekable<impl Iterator<Item = (RecordDigest, Row<'a>)>>,
    rank: u32,
    into: &mut Vec<(RecordDigest, Row<'a>)>,
) {
    into.clear();
    into.extend(std::iter::from_fn(|| rows.next_if(|(said, _)| said.rank == rank)));
}

fn same((said, old): &(RecordDigest, Row<'_>), (says, new): &(RecordDigest, Row<'_>)) -> bool {
    !said.facts && !says.facts && said.hash == says.hash && old.equals(new)
}
