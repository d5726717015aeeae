//! Inventories, and the questions of each.

use super::StoreError;
use super::encoding::{coded, pack, unpack};
use super::open::{SqliteStore, TransactionError, now};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use std::collections::BTreeSet;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::Inventory;
use tidewaiter_db::matching::{Lookup, lookups};
use tidewaiter_scan::analyze;

impl SqliteStore {
    pub(super) fn write_inventory(&self, inventory: &Inventory) -> Result<(), StoreError> {
        let body = pack(&serde_json::to_vec(inventory)?)?;
        let questions = lookups(inventory);
        self.write(|transaction| replace(transaction, inventory.image.digest.hex(), &body, &questions))
    }

    pub(super) fn read_inventory(&self, image: &Digest) -> Result<Option<Inventory>, StoreError> {
        let query = "SELECT body FROM bodies JOIN inventories USING (id) WHERE image = unhex(?1) AND analyzers = ?2";
        let body: Option<Vec<u8>> = self.read(|reader| {
            let mut find = reader.prepare_cached(query)?;
            Ok(find.query_row(params![image.hex(), analyze::VERSION], |row| row.get(0)).optional()?)
        })?;
        let Some(body) = body else { return Ok(None) };
        let inventory: Inventory = serde_json::from_slice(&unpack(&body)?)?;
        Ok((inventory.image.digest == *image).then_some(inventory))
    }
}

fn replace(
    transaction: &Transaction<'_>,
    image: &str,
    body: &[u8],
    questions: &BTreeSet<Lookup>,
) -> Result<(), TransactionError> {
    let asked = coded(&numbers(transaction, questions)?);
    let old = "SELECT id FROM inventories WHERE image = unhex(?1) AND analyzers = ?2";
    let key = params![image, analyze::VERSION];
    transaction.prepare_cached(&format!("DELETE FROM bodies WHERE id = ({old})"))?.execute(key)?;
    // A new id: a re-match that is running has not seen this inventory (`RematchSummary::last`).
    transaction.prepare_cached(&format!("DELETE FROM inventories WHERE id = ({old})"))?.execute(key)?;
    let insert = "INSERT INTO inventories (image, analyzers, at, asked) VALUES (unhex(?1), ?2, ?3, ?4)";
    transaction.prepare_cached(insert)?.execute(params![image, analyze::VERSION, now(), asked])?;
    let id = transaction.last_insert_rowid();
    transaction.prepare_cached("INSERT INTO bodies VALUES (?1, ?2)")?.execute(params![id, body])?;
    Ok(())
}

/// The numbers of questions; new ones get the next numbers.
fn numbers(transaction: &Transaction<'_>, questions: &BTreeSet<Lookup>) -> Result<Vec<u32>, TransactionError> {
    let mut find = transaction.prepare_cached("SELECT id FROM asked WHERE name = ?1 AND question = ?2")?;
    let mut add = transaction.prepare_cached("INSERT INTO asked VALUES (?1, ?2, ?3)")?;
    let first: u32 = transaction.prepare_cached("SELECT next FROM counter")?.query_row([], |row| row.get(0))?;
    let mut next = first;
    let mut out = Vec::with_capacity(questions.len());
    for question in questions {
        let text = serde_json::to_string(question)?;
        let known: Option<u32> = find.query_row((question.name(), &text), |row| row.get(0)).optional()?;
        out.push(match known {
            Some(id) => id,
            None => {
                add.execute((question.name(), &text, next))?;
                next += 1;
                next - 1
            }
        });
    }
    if next != first {
        transaction.prepare_cached("UPDATE counter SET next = ?1")?.execute([next])?;
    }
    out.sort_unstable();
    Ok(out)
}

/// The body of one inventory.
pub(super) fn body(reader: &Connection, id: i64) -> Result<Inventory, TransactionError> {
    let body: Vec<u8> =
        reader.prepare_cached("SELECT body FROM bodies WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
    Ok(serde_json::from_slice(&unpack(&body)?)?)
}
