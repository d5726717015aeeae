//! Re-matching: only the inventories whose answers a new database may change are matched.

use super::encoding::{decoded, pack, unpack};
use super::inventories::body;
use super::open::{SqliteStore, TransactionError, reader};
use super::{StoreError, StoreLocation};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tidewaiter_core::image::Digest;
use tidewaiter_db::delta::Delta;
use tidewaiter_db::matching::{Lookup, Rematched, rematch as rematch_inventory};
use tidewaiter_scan::analyze;

/// An image whose report a new database changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedReport {
    /// Digest of the platform's manifest.
    pub image: Digest,
    /// What differs.
    pub how: Rematched,
}

/// The inventories that a re-match saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RematchSummary {
    /// The new database.
    pub database: String,
    /// Id of the last inventory; later ones were not seen.
    pub last: i64,
    /// Number of inventories.
    pub inventories: u64,
    /// Those that were re-matched.
    pub visited: u64,
    /// Those whose report changed.
    pub changed: u64,
}

/// A store of which one state is read, whatever is written meanwhile.
#[derive(Debug)]
pub struct OpenedStore {
    location: StoreLocation,
    connection: Connection,
}

impl StoreLocation {
    /// Opens every file that reading the store needs, and reads none of its inventories.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(&self) -> Result<OpenedStore, StoreError> {
        let connection = reader(&self.0)?;
        // A transaction begins, and the log of writes is opened, with the first read.
        let begun = connection.execute_batch("BEGIN; SELECT id FROM inventories LIMIT 1");
        begun.map_err(|e| TransactionError::from(e).at(&self.0))?;
        Ok(OpenedStore { location: self.clone(), connection })
    }
}

impl OpenedStore {
    /// Matches again the inventories that a delta concerns; calls `each` with every changed report. Memory holds one bit for each
    /// question and one inventory at a time.
    ///
    /// # Errors
    /// When the store or a database cannot be read, or `each` fails.
    pub fn rematch(
        &self,
        delta: &Delta<'_>,
        mut each: impl FnMut(ChangedReport) -> Result<(), StoreError>,
    ) -> Result<RematchSummary, StoreError> {
        rematch(&self.connection, delta, &mut each).map_err(|error| error.at(&self.location.0))
    }
}

fn rematch(
    transaction: &Connection,
    delta: &Delta<'_>,
    each: &mut dyn FnMut(ChangedReport) -> Result<(), StoreError>,
) -> Result<RematchSummary, TransactionError> {
    let concerned = concerned(transaction, delta)?;
    let database = delta.new_database().id().to_owned();
    let mut summary = RematchSummary { database, last: 0, inventories: 0, visited: 0, changed: 0 };
    let mut scan = transaction.prepare("SELECT id, asked FROM inventories WHERE analyzers = ?1 ORDER BY id")?;
    let mut rows = scan.query([analyze::VERSION])?;
    while let Some(row) = rows.next()? {
        summary.last = row.get(0)?;
        summary.inventories += 1;
        let asked = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        if !decoded(asked).any(|id| concerned.contains(id)) {
            continue;
        }
        summary.visited += 1;
        let inventory = body(transaction, summary.last)?;
        let image = inventory.image.digest.clone();
        let how = rematch_inventory(inventory, delta).map_err(|e| TransactionError::Other(e.into()))?;
        if how != Rematched::Same {
            summary.changed += 1;
            each(ChangedReport { image, how }).map_err(TransactionError::Other)?;
        }
    }
    Ok(summary)
}

/// A set of small numbers.
#[derive(Debug, Default)]
struct NumberSet(Vec<u64>);

impl NumberSet {
    fn add(&mut self, number: u32) {
        let place = number as usize / 64;
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        if let Some(word) = self.0.get_mut(place) {
            *word |= 1 << (number % 64);
        }
    }

    fn contains(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// The questions whose answers may change: those about packages with changed rows, and those about ecosystems, which are
/// listed under the empty name.
fn concerned(connection: &Connection, delta: &Delta<'_>) -> Result<NumberSet, TransactionError> {
    let mut numbers = NumberSet::default();
    let names: BTreeSet<&str> = delta.names().iter().copied().chain([""]).collect();
    let mut find = connection.prepare("SELECT question, id FROM asked WHERE name = ?1")?;
    for name in names {
        let mut rows = find.query([name])?;
        while let Some(row) = rows.next()? {
            let question: Lookup = serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
            if question.answer_may_change(delta) {
                numbers.add(row.get(1)?);
            }
        }
    }
    Ok(numbers)
}

impl SqliteStore {
    pub(super) fn write_rematched(&self, changed: &ChangedReport) -> Result<(), StoreError> {
        let body = pack(&serde_json::to_vec(&changed.how)?)?;
        let insert = "INSERT OR REPLACE INTO rematched VALUES (unhex(?1), ?2)";
        self.write(|transaction| {
            transaction.prepare_cached(insert)?.execute(params![changed.image.hex(), body])?;
            Ok(())
        })
    }

    pub(super) fn read_rematched(
        &self,
        image: &Digest,
        summary: &RematchSummary,
    ) -> Result<Option<Rematched>, StoreError> {
        self.read(|reader| find(reader, image, summary))
    }
}

fn find(reader: &Connection, image: &Digest, summary: &RematchSummary) -> Result<Option<Rematched>, TransactionError> {
    let known = "SELECT id FROM inventories WHERE image = unhex(?1) AND analyzers = ?2 AND id <= ?3";
    let values = params![image.hex(), analyze::VERSION, summary.last];
    let id: Option<i64> = reader.prepare_cached(known)?.query_row(values, |row| row.get(0)).optional()?;
    if id.is_none() {
        return Ok(None);
    }
    let changed = "SELECT body FROM rematched WHERE image = unhex(?1)";
    let body: Option<Vec<u8>> =
        reader.prepare_cached(changed)?.query_row([image.hex()], |row| row.get(0)).optional()?;
    let Some(body) = body else { return Ok(Some(Rematched::Same)) };
    Ok(Some(serde_json::from_slice(&unpack(&body)?)?))
}
