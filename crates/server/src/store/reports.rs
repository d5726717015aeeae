//! Reports by their unguessable key, and the trait [`Store`] of the SQLite store.

use super::encoding::{pack, unpack};
use super::open::{SqliteStore, TransactionError, now};
use super::{ChangedReport, References, RematchSummary, Store, StoreError, StoreLocation, StoreSpace, garbage};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::io;
use std::time::Duration;
use tidewaiter_core::hex;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{DatabaseInfo, Inventory, Report};
use tidewaiter_db::matching::Rematched;

/// Random bytes of a report key: 128 bits cannot be guessed.
const KEY_BYTES: usize = 16;

fn is_key(key: &str) -> bool {
    key.len() == KEY_BYTES * 2 && key.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A key that cannot be guessed.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn new_key() -> Result<String, StoreError> {
    let mut random = [0u8; KEY_BYTES];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
    Ok(hex(&random))
}

impl SqliteStore {
    fn read_report(&self, key: &str) -> Result<Option<Report>, StoreError> {
        self.read(|reader| find(reader, key))
    }
}

fn find(reader: &Connection, key: &str) -> Result<Option<Report>, TransactionError> {
    let mut find = reader.prepare_cached("SELECT database, body FROM reports WHERE key = unhex(?1)")?;
    let found: Option<(String, Vec<u8>)> = find.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((database, body)) = found else { return Ok(None) };
    let report = Report::from_json(&unpack(&body)?)?;
    Ok(Some(Report { database: serde_json::from_str(&database)?, ..report }))
}

impl Store for SqliteStore {
    fn put_report(&self, report: &Report) -> Result<String, StoreError> {
        let key = new_key()?;
        self.put_report_as(&key, report)?;
        Ok(key)
    }

    fn put_report_as(&self, key: &str, report: &Report) -> Result<(), StoreError> {
        if !is_key(key) {
            return Err(io::Error::other(format!("{key:?} is no key of a report")).into());
        }
        let body = pack(&serde_json::to_vec(report)?)?;
        let database = serde_json::to_string(&report.database)?;
        self.write(|transaction| {
            let mut insert =
                transaction.prepare_cached("INSERT OR REPLACE INTO reports VALUES (unhex(?1), ?2, ?3, ?4)")?;
            insert.execute(params![key, now(), database, body])?;
            Ok(())
        })
    }

    fn report(&self, key: &str) -> Option<Report> {
        let found = if is_key(key) { self.read_report(key) } else { return None };
        found.inspect_err(|error| tracing::warn!("a report cannot be read: {error}")).ok().flatten()
    }

    fn confirm_report(&self, key: &str, by: &DatabaseInfo) -> Result<(), StoreError> {
        let database = serde_json::to_string(by)?;
        self.write(|transaction| {
            let mut update = transaction.prepare_cached("UPDATE reports SET database = ?2 WHERE key = unhex(?1)")?;
            update.execute((key, database))?;
            Ok(())
        })
    }

    fn remove_report(&self, key: &str) {
        let removed = self.write(|transaction| {
            transaction.prepare_cached("DELETE FROM reports WHERE key = unhex(?1)")?.execute([key])?;
            Ok(())
        });
        // Garbage collection deletes it later.
        let _ = removed.inspect_err(|error| tracing::warn!("a report was not removed: {error}"));
    }

    fn put_inventory(&self, inventory: &Inventory) -> Result<(), StoreError> {
        self.write_inventory(inventory)
    }

    fn inventory(&self, image: &Digest) -> Option<Inventory> {
        self.read_inventory(image)
            .inspect_err(|error| tracing::warn!("an inventory cannot be read: {error}"))
            .ok()
            .flatten()
    }

    fn problem(&self) -> Option<String> {
        self.write_problem()
    }

    fn space(&self) -> StoreSpace {
        let volume = rustix::fs::statvfs(self.file()).ok();
        let available = volume.and_then(|volume| volume.f_bavail.checked_mul(volume.f_frsize));
        StoreSpace { used: self.bytes().ok(), available }
    }

    fn location(&self) -> StoreLocation {
        StoreLocation(self.file().to_owned())
    }

    fn clear_rematched(&self) -> Result<(), StoreError> {
        self.write(|transaction| Ok(transaction.execute("DELETE FROM rematched", []).map(|_| ())?))
    }

    fn put_rematched(&self, changed: &ChangedReport) -> Result<(), StoreError> {
        self.write_rematched(changed)
    }

    fn rematched(&self, image: &Digest, summary: &RematchSummary) -> Option<Rematched> {
        self.read_rematched(image, summary).inspect_err(|error| tracing::warn!("{error}")).ok().flatten()
    }

    fn collect_garbage(&self, used: &References, age: Duration) -> Result<usize, StoreError> {
        garbage::collect(self, used, age)
    }
}
