//! Garbage collection: deletes rows that nothing refers to.

use super::encoding::decoded;
use super::open::{SqliteStore, TransactionError, now};
use super::{References, StoreError};
use rusqlite::{Connection, Transaction};
use std::collections::HashSet;
use std::time::Duration;
use tidewaiter_core::image::Digest;
use tidewaiter_scan::analyze;

/// Rows that one transaction deletes: scans write in between.
const BATCH: usize = 500;

/// Deletes rows that are older than `age` and not referred to; returns their number.
pub(super) fn collect(store: &SqliteStore, used: &References, age: Duration) -> Result<usize, StoreError> {
    // A report is stored before the object that refers to it is written: what is young may be referred to in a moment.
    let until = now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    let reports = store.read(|reader| unused_reports(reader, used, until))?;
    let inventories = store.read(|reader| unused_inventories(reader, used, until))?;
    remove(store, &["DELETE FROM reports WHERE rowid = ?1"], &reports)?;
    remove(store, &["DELETE FROM inventories WHERE id = ?1", "DELETE FROM bodies WHERE id = ?1"], &inventories)?;
    if !inventories.is_empty() {
        store.write(delete_questions)?;
    }
    Ok(reports.len() + inventories.len())
}

fn unused_reports(reader: &Connection, used: &References, until: i64) -> Result<Vec<i64>, TransactionError> {
    let mut list = reader.prepare("SELECT rowid, lower(hex(key)) FROM reports WHERE at <= ?1")?;
    let rows = list.query_map([until], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let unused = rows.filter(|row| row.as_ref().map_or(true, |(_, key)| !used.reports.contains(key)));
    Ok(unused.map(|row| row.map(|(id, _)| id)).collect::<Result<Vec<_>, _>>()?)
}

fn unused_inventories(reader: &Connection, used: &References, until: i64) -> Result<Vec<i64>, TransactionError> {
    // Inventories by analyzers of another version are of no use to this one.
    let mut list = reader.prepare("SELECT id, image, analyzers FROM inventories WHERE at <= ?1")?;
    let rows = list.query_map([until], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut out = Vec::new();
    for row in rows {
        let (id, image, analyzers): (i64, [u8; 32], u32) = row?;
        if analyzers != analyze::VERSION || !used.images.contains(&Digest::from_sha256(image)) {
            out.push(id);
        }
    }
    Ok(out)
}

fn remove(store: &SqliteStore, statements: &[&str], ids: &[i64]) -> Result<(), StoreError> {
    for batch in ids.chunks(BATCH) {
        store.write(|transaction| remove_in(transaction, statements, batch))?;
    }
    Ok(())
}

fn remove_in(transaction: &Transaction<'_>, statements: &[&str], ids: &[i64]) -> Result<(), TransactionError> {
    for statement in statements {
        let mut statement = transaction.prepare_cached(statement)?;
        ids.iter().try_for_each(|id| statement.execute([id]).map(|_| ()))?;
    }
    Ok(())
}

/// Deletes questions that no inventory has.
fn delete_questions(transaction: &Transaction<'_>) -> Result<(), TransactionError> {
    let mut asked: HashSet<u32> = HashSet::new();
    let mut all = transaction.prepare("SELECT asked FROM inventories")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        asked.extend(decoded(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?));
    }
    let mut lost: Vec<(String, String)> = Vec::new();
    let mut list = transaction.prepare("SELECT name, question, id FROM asked")?;
    let mut rows = list.query([])?;
    while let Some(row) = rows.next()? {
        if !asked.contains(&row.get(2)?) {
            lost.push((row.get(0)?, row.get(1)?));
        }
    }
    let mut delete = transaction.prepare("DELETE FROM asked WHERE name = ?1 AND question = ?2")?;
    lost.iter().try_for_each(|key| delete.execute((&key.0, &key.1)).map(|_| ()))?;
    Ok(())
}
