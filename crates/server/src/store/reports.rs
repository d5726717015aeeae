//! Reports by their unguessable key, and the store as the rest of the server sees it.

use super::inventories::{pack, unpack};
use super::open::Sqlite;
use super::{Changed, Error, Seen, Store, Used, sweep};
use rusqlite::{OptionalExtension as _, params};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{DatabaseInfo, Inventory, Report};
use tidewaiter_db::matching::Rematched;

/// Random bytes of a report key.
const KEY_BYTES: usize = 16;

fn is_key(key: &str) -> bool {
    key.len() == KEY_BYTES * 2 && key.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn new_key() -> Result<String, Error> {
    let mut random = [0u8; KEY_BYTES];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
    Ok(random.iter().map(|b| format!("{b:02x}")).collect())
}

impl Sqlite {
    fn read_report(&self, key: &str) -> Result<Option<Report>, Error> {
        self.read(|reader| {
            let mut find = reader.prepare_cached("SELECT database, body FROM reports WHERE key = unhex(?1)")?;
            let found: Option<(String, Vec<u8>)> =
                find.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((database, body)) = found else { return Ok(None) };
            let report: Report = serde_json::from_slice(&unpack(&body)?)?;
            Ok(Some(Report { database: serde_json::from_str(&database)?, ..report }))
        })
    }
}

impl Store for Sqlite {
    fn put_report(&self, report: &Report) -> Result<String, Error> {
        let key = new_key()?;
        let body = pack(&serde_json::to_vec(report)?)?;
        let database = serde_json::to_string(&report.database)?;
        self.write(|transaction| {
            let mut insert = transaction.prepare_cached("INSERT INTO reports VALUES (unhex(?1), ?2, ?3, ?4)")?;
            insert.execute(params![key, sweep::now(), database, body])?;
            Ok(())
        })?;
        Ok(key)
    }

    fn report(&self, key: &str) -> Option<Report> {
        let found = if is_key(key) { self.read_report(key) } else { return None };
        found.inspect_err(|error| tracing::warn!("a report cannot be read: {error}")).ok().flatten()
    }

    fn confirm_report(&self, key: &str, by: &DatabaseInfo) -> Result<(), Error> {
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
        // It is swept later.
        let _ = removed.inspect_err(|error| tracing::warn!("a report was not removed: {error}"));
    }

    fn put_inventory(&self, inventory: &Inventory) -> Result<(), Error> {
        self.keep_inventory(inventory)
    }

    fn path(&self) -> PathBuf {
        self.file().to_owned()
    }

    fn clear_rematched(&self) -> Result<(), Error> {
        self.write(|transaction| Ok(transaction.execute("DELETE FROM rematched", []).map(|_| ())?))
    }

    fn put_rematched(&self, changed: &Changed) -> Result<(), Error> {
        self.keep_rematched(changed)
    }

    fn rematched(&self, image: &Digest, seen: &Seen) -> Option<Rematched> {
        self.found(image, seen).inspect_err(|error| tracing::warn!("{error}")).ok().flatten()
    }

    fn sweep(&self, used: &Used, age: Duration) -> Result<usize, Error> {
        sweep::sweep(self, used, age)
    }
}
