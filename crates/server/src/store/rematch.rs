//! A new database: only the inventories that it may answer otherwise are judged again.

use super::Error;
use super::inventories::{body, decoded, pack, unpack};
use super::open::{Sqlite, Work, reader};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use tidewaiter_core::image::Digest;
use tidewaiter_db::delta::Delta;
use tidewaiter_db::matching::{Lookup, Rematched, rematch as rematch_inventory};
use tidewaiter_scan::analyze;

/// An image of which a new database says something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Digest of the platform's manifest.
    pub image: Digest,
    /// What differs.
    pub how: Rematched,
}

/// Which inventories were looked at, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The new database.
    pub database: String,
    /// The number of the last inventory: later ones were not looked at.
    pub last: i64,
    /// Inventories there were.
    pub inventories: u64,
    /// Those that were judged again.
    pub visited: u64,
    /// Those with another report.
    pub changed: u64,
}

/// Judges again what a delta concerns, in one read of the store as it is now; gives each changed report to `each`.
/// Memory holds one bit for each question and one inventory at a time.
///
/// # Errors
/// When the store or a database cannot be read, or `each` fails.
pub fn rematch(
    store: &Path,
    delta: &Delta<'_>,
    mut each: impl FnMut(Changed) -> Result<(), Error>,
) -> Result<Seen, Error> {
    let mut connection = reader(store)?;
    let database = delta.new_database().id().to_owned();
    let mut run = || {
        // What is read is one state of the store, whatever is written meanwhile.
        let transaction = connection.transaction()?;
        let concerned = concerned(&transaction, delta)?;
        let mut seen = Seen { database: database.clone(), last: 0, inventories: 0, visited: 0, changed: 0 };
        let mut scan = transaction.prepare("SELECT id, asked FROM inventories WHERE analyzers = ?1 ORDER BY id")?;
        let mut rows = scan.query([analyze::VERSION])?;
        while let Some(row) = rows.next()? {
            seen.last = row.get(0)?;
            seen.inventories += 1;
            if !decoded(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?).any(|id| concerned.holds(id)) {
                continue;
            }
            seen.visited += 1;
            let inventory = body(&transaction, seen.last)?;
            let image = inventory.image.digest.clone();
            let how = rematch_inventory(inventory, delta).map_err(|e| Work::Other(e.into()))?;
            if how != Rematched::Same {
                seen.changed += 1;
                each(Changed { image, how }).map_err(Work::Other)?;
            }
        }
        Ok(seen)
    };
    run().map_err(|error: Work| error.at(store))
}

/// A set of small numbers.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn add(&mut self, number: u32) {
        let place = number as usize / 64;
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        if let Some(word) = self.0.get_mut(place) {
            *word |= 1 << (number % 64);
        }
    }

    fn holds(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// The questions that may be answered otherwise: those about packages with changed rows, and about ecosystems.
fn concerned(connection: &Connection, delta: &Delta<'_>) -> Result<Bits, Work> {
    let mut bits = Bits::default();
    let names: BTreeSet<&str> = delta.names().iter().copied().chain([""]).collect();
    let mut find = connection.prepare("SELECT question, id FROM asked WHERE name = ?1")?;
    for name in names {
        let mut rows = find.query([name])?;
        while let Some(row) = rows.next()? {
            let question: Lookup = serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
            if question.answer_may_change(delta) {
                bits.add(row.get(1)?);
            }
        }
    }
    Ok(bits)
}

impl Sqlite {
    pub(super) fn keep_rematched(&self, changed: &Changed) -> Result<(), Error> {
        let body = pack(&serde_json::to_vec(&changed.how)?)?;
        let insert = "INSERT OR REPLACE INTO rematched VALUES (unhex(?1), ?2)";
        self.write(|transaction| {
            transaction.prepare_cached(insert)?.execute(params![changed.image.hex(), body])?;
            Ok(())
        })
    }

    pub(super) fn found(&self, image: &Digest, seen: &Seen) -> Result<Option<Rematched>, Error> {
        self.read(|reader| {
            let known = "SELECT id FROM inventories WHERE image = unhex(?1) AND analyzers = ?2 AND id <= ?3";
            let values = params![image.hex(), analyze::VERSION, seen.last];
            let id: Option<i64> = reader.prepare_cached(known)?.query_row(values, |row| row.get(0)).optional()?;
            if id.is_none() {
                return Ok(None);
            }
            let changed = "SELECT body FROM rematched WHERE image = unhex(?1)";
            let body: Option<Vec<u8>> =
                reader.prepare_cached(changed)?.query_row([image.hex()], |row| row.get(0)).optional()?;
            let Some(body) = body else { return Ok(Some(Rematched::Same)) };
            Ok(Some(serde_json::from_slice(&unpack(&body)?)?))
        })
    }
}
