//! The difference between two databases, by content: order, file id and build time do not count.
//!
//! ```text
//! CVES × CVES              → CVEs with other facts
//! ADVISORIES × ADVISORIES  → one rank for each (id, feed), a hash of each record
//! PACKAGES × PACKAGES      → rows that one side alone has, by package and by record
//! META × META              → ecosystems with another coverage
//! ```
//!
//! Everything is sorted in the files, so each step walks both once, with one block of details in memory. The whole
//! comparison needs 28 bytes for each record, and the differences.

mod coverage;
mod records;
mod rows;

use crate::error::DatabaseError;
use crate::reader::{Database, Row};
pub use coverage::{Coverage, CoverageChange};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use tidewaiter_core::advisory::KeyKind;
use tidewaiter_core::ecosystem::Ecosystem;

/// How a record differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// Only the new database has it.
    Added,
    /// Only the old one.
    Removed,
    /// Both, with other content, or with other facts about its CVEs (ratings, exploitation).
    Changed,
}

/// One record that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryChange<'a> {
    /// How it differs.
    pub change: ChangeKind,
    /// The record's id.
    pub id: String,
    /// The feed it is from.
    pub feed: String,
    /// The packages of its added, removed or changed rows, sorted.
    pub packages: Vec<NamedPackage<'a>>,
}

/// A package as rows name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct NamedPackage<'a> {
    /// The ecosystem, release included where the record names one.
    pub ecosystem: &'a str,
    /// The name, normalised for the ecosystem.
    pub name: &'a str,
}

/// How rows are found: ecosystem, kind of name, name.
pub(crate) type Key<'a> = (&'a str, KeyKind, &'a str);

/// Rows of one package that are not the same in both.
#[derive(Debug, Default)]
pub(crate) struct ChangedRows<'a> {
    /// Of the old and of the new database.
    pub(crate) rows: Vec<Row<'a>>,
    /// Only one of both has any row of this package.
    pub(crate) one_sided: bool,
}

/// What differs.
#[derive(Debug)]
pub struct Delta<'a> {
    old: &'a Database,
    new: &'a Database,
    /// Records, by id and feed.
    pub advisories: Vec<AdvisoryChange<'a>>,
    /// Ecosystems that one of both names, and for which completeness, ratings or support differ; by name.
    pub coverage: Vec<CoverageChange>,
    rows: BTreeMap<Key<'a>, ChangedRows<'a>>,
    names: HashSet<&'a str>,
}

impl<'a> Delta<'a> {
    /// Compares two databases.
    ///
    /// # Errors
    /// When a file is corrupt.
    pub fn between(old: &'a Database, new: &'a Database) -> Result<Self, DatabaseError> {
        // Facts first: a record whose CVE has other ratings counts as changed although its own bytes are the same.
        let facts = records::changed_facts(old, new)?;
        let ranks = records::ranks(old, new, &facts)?;
        let found = rows::changed(old, new, &ranks);
        let advisories = records::named(old, new, &ranks, found.by_rank)?;
        let coverage = coverage::changes(old.meta(), new.meta());
        let names = found.by_package.keys().map(|(.., name)| *name).collect();
        Ok(Delta { old, new, advisories, coverage, rows: found.by_package, names })
    }

    /// The database before.
    pub fn old(&self) -> &'a Database {
        self.old
    }

    /// The database after.
    pub fn new_database(&self) -> &'a Database {
        self.new
    }

    /// Whether completeness, ratings or support of an ecosystem differ.
    pub fn coverage_differs(&self, ecosystem: &Ecosystem) -> bool {
        Coverage::of(self.old.meta(), ecosystem) != Coverage::of(self.new.meta(), ecosystem)
    }

    /// Names of packages with changed rows, of any ecosystem.
    pub fn names(&self) -> &HashSet<&'a str> {
        &self.names
    }

    /// The changed rows of one package.
    pub(crate) fn rows<'s>(&'s self, ecosystem: &'s str, key: KeyKind, name: &'s str) -> Option<&'s ChangedRows<'a>> {
        let rows: &'s BTreeMap<Key<'s>, ChangedRows<'a>> = &self.rows;
        rows.get(&(ecosystem, key, name))
    }
}
