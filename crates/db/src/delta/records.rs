//! Records of both databases side by side.

use super::{AdvisoryChange, ChangeKind, NamedPackage};
use crate::error::DatabaseError;
use crate::format::{AdvisoryEntry, CveEntry, DatabaseSection};
use crate::reader::Database;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Details read in the order of the file: the block at hand is inflated once.
struct Details<'a> {
    db: &'a Database,
    at: Option<u32>,
    block: Vec<u8>,
}

impl<'a> Details<'a> {
    fn new(db: &'a Database) -> Self {
        Details { db, at: None, block: Vec::new() }
    }

    fn get(&mut self, entry: &AdvisoryEntry) -> Result<&[u8], DatabaseError> {
        let number = entry.block.get();
        if self.at != Some(number) {
            self.block = self.db.block(number).ok_or_else(|| self.corrupt())?;
            self.at = Some(number);
        }
        entry.range().and_then(|range| self.block.get(range)).ok_or_else(|| self.corrupt())
    }

    fn corrupt(&self) -> DatabaseError {
        self.db.corrupt("its details")
    }
}

/// CVEs with different facts in the two databases.
pub(super) fn changed_facts<'a>(old: &'a Database, new: &'a Database) -> Result<HashSet<&'a str>, DatabaseError> {
    let (mut before, mut after) = (Details::new(old), Details::new(new));
    let mut out = HashSet::new();
    let (a, b): (&[CveEntry], &[CveEntry]) = (old.records(DatabaseSection::Cves), new.records(DatabaseSection::Cves));
    let (mut i, mut j) = (0, 0);
    loop {
        let (x, y) = (a.get(i), b.get(j));
        let name = |db: &'a Database, cve: &CveEntry| db.text(cve.name.get());
        let next = match (x, y) {
            (Some(x), Some(y)) => name(old, x).cmp(name(new, y)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(out),
        };
        // Whichever name comes first is on this side alone; equal names are compared, and both sides go on.
        let (x, y) = (x.filter(|_| next.is_le()), y.filter(|_| next.is_ge()));
        let same = match (x, y) {
            (Some(x), Some(y)) => before.get(&x.details)? == after.get(&y.details)?,
            _ => false,
        };
        if !same {
            out.extend(x.map(|x| name(old, x)).or(y.map(|y| name(new, y))));
        }
        i += usize::from(x.is_some());
        j += usize::from(y.is_some());
    }
}

/// What rows of one record are compared by.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordDigest {
    /// The place of its (id, feed) among those of both databases. Some distributions use an id again for other releases.
    pub(super) rank: u32,
    /// A hash of its details.
    pub(super) hash: [u8; 16],
    /// The facts about its CVEs differ.
    pub(super) facts: bool,
}

/// The digests of the records of both files, by place.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    pub(super) old: Vec<RecordDigest>,
    pub(super) new: Vec<RecordDigest>,
}

#[derive(Deserialize)]
struct Names<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    feed: Cow<'a, str>,
    #[serde(borrow, default)]
    aliases: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    upstream: Vec<Cow<'a, str>>,
}

/// A record, as the walk returns it.
struct Record {
    id: String,
    feed: String,
    hash: [u8; 16],
    facts: bool,
}

struct Walk<'a> {
    details: Details<'a>,
    entries: std::slice::Iter<'a, AdvisoryEntry>,
    facts: &'a HashSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn new(db: &'a Database, facts: &'a HashSet<&'a str>) -> Self {
        Walk { details: Details::new(db), entries: db.records(DatabaseSection::Advisories).iter(), facts }
    }

    fn next(&mut self) -> Result<Option<Record>, DatabaseError> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        let db = self.details.db;
        let raw = self.details.get(entry)?;
        let names: Names<'_> = serde_json::from_slice(raw).map_err(|_| db.corrupt("the details of an advisory"))?;
        let mut all = std::iter::once(&names.id).chain(&names.aliases).chain(&names.upstream);
        let facts = !self.facts.is_empty() && all.any(|name| self.facts.contains(name.as_ref()));
        let mut hash = [0; 16];
        hash.iter_mut().zip(Sha256::digest(raw)).for_each(|(to, from)| *to = from);
        Ok(Some(Record { id: names.id.into_owned(), feed: names.feed.into_owned(), hash, facts }))
    }
}

/// Ranks the records of both.
pub(super) fn ranks(old: &Database, new: &Database, facts: &HashSet<&str>) -> Result<Ranks, DatabaseError> {
    let (mut before, mut after) = (Walk::new(old, facts), Walk::new(new, facts));
    let (mut a, mut b) = (before.next()?, after.next()?);
    let mut ranks = Ranks::default();
    let mut rank = 0;
    loop {
        let least = match (&a, &b) {
            (Some(a), Some(b)) => (&a.id, &a.feed).min((&b.id, &b.feed)),
            (Some(one), None) | (None, Some(one)) => (&one.id, &one.feed),
            (None, None) => return Ok(ranks),
        };
        let least = (least.0.clone(), least.1.clone());
        let is_least = |r: &Record| (&r.id, &r.feed) == (&least.0, &least.1);
        // A feed may use an id twice, for different releases: all records of an id have one rank.
        while let Some(record) = a.take_if(|r| is_least(r)) {
            ranks.old.push(RecordDigest { rank, hash: record.hash, facts: record.facts });
            a = before.next()?;
        }
        while let Some(record) = b.take_if(|r| is_least(r)) {
            ranks.new.push(RecordDigest { rank, hash: record.hash, facts: record.facts });
            b = after.next()?;
        }
        rank += 1;
    }
}

/// Gives changed ranks their names, walking both files once more.
pub(super) fn named<'a>(
    old: &Database,
    new: &Database,
    ranks: &Ranks,
    changed: BTreeMap<u32, BTreeSet<NamedPackage<'a>>>,
) -> Result<Vec<AdvisoryChange<'a>>, DatabaseError> {
    let (mut before, mut after) = (Details::new(old), Details::new(new));
    let place = |side: &[RecordDigest], rank: u32| {
        let place = side.partition_point(|said| said.rank < rank);
        side.get(place).filter(|said| said.rank == rank).map(|_| place)
    };
    let mut out = Vec::with_capacity(changed.len());
    for (rank, packages) in changed {
        let (a, b) = (place(&ranks.old, rank), place(&ranks.new, rank));
        let change = match (a, b) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        };
        let (details, index) = if b.is_some() { (&mut after, b) } else { (&mut before, a) };
        let entries: &[AdvisoryEntry] = details.db.records(DatabaseSection::Advisories);
        let entry = index.and_then(|index| entries.get(index)).ok_or_else(|| details.corrupt())?;
        let db = details.db;
        let names: Names<'_> =
            serde_json::from_slice(details.get(entry)?).map_err(|_| db.corrupt("the details of an advisory"))?;
        let (id, feed) = (names.id.into_owned(), names.feed.into_owned());
        out.push(AdvisoryChange { change, id, feed, packages: packages.into_iter().collect() });
    }
    Ok(out)
}
