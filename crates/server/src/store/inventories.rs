//! Inventories, and what each of them asks.

use super::open::{Sqlite, Work, reader};
use super::{Error, sweep};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use std::collections::BTreeSet;
use std::path::Path;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::Inventory;
use tidewaiter_db::matching::{Lookup, lookups};
use tidewaiter_scan::analyze;

/// Compression of what is kept: inventories of 300 packages shrink to a tenth in a third of a millisecond.
const LEVEL: i32 = 3;
/// No inventory or report is larger.
const MAX_BYTES: usize = 256 << 20;

impl Sqlite {
    pub(super) fn keep_inventory(&self, inventory: &Inventory) -> Result<(), Error> {
        let body = pack(&serde_json::to_vec(inventory)?)?;
        let questions = lookups(inventory);
        let image = inventory.image.digest.hex().to_owned();
        self.write(|transaction| {
            let asked = coded(&numbers(transaction, &questions)?);
            let old = "SELECT id FROM inventories WHERE image = unhex(?1) AND analyzers = ?2";
            let key = params![image, analyze::VERSION];
            transaction.prepare_cached(&format!("DELETE FROM bodies WHERE id = ({old})"))?.execute(key)?;
            // A new number: whoever looked at all inventories before has not looked at this one.
            transaction.prepare_cached(&format!("DELETE FROM inventories WHERE id = ({old})"))?.execute(key)?;
            let insert = "INSERT INTO inventories (image, analyzers, at, asked) VALUES (unhex(?1), ?2, ?3, ?4)";
            let at = sweep::now();
            transaction.prepare_cached(insert)?.execute(params![image, analyze::VERSION, at, asked])?;
            let id = transaction.last_insert_rowid();
            transaction.prepare_cached("INSERT INTO bodies VALUES (?1, ?2)")?.execute(params![id, body])?;
            Ok(())
        })
    }

    /// What an earlier scan saw in an image, read by another process than the one that writes. `None` also when the
    /// store cannot be read: then the image is.
    pub fn known(path: &Path, image: &Digest) -> Option<Inventory> {
        let reader = reader(path).ok()?;
        let query = "SELECT body FROM bodies JOIN inventories USING (id) WHERE image = unhex(?1) AND analyzers = ?2";
        let body: Vec<u8> =
            reader.query_row(query, params![image.hex(), analyze::VERSION], |row| row.get(0)).optional().ok()??;
        let inventory: Inventory = serde_json::from_slice(&unpack(&body).ok()?).ok()?;
        (inventory.image.digest == *image).then_some(inventory)
    }
}

/// The numbers of questions; new ones get the next.
fn numbers(transaction: &Transaction<'_>, questions: &BTreeSet<Lookup>) -> Result<Vec<u32>, Work> {
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

/// Sorted numbers as differences, seven bits a byte (LEB128).
fn coded(numbers: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(numbers.len() * 2);
    let mut last = 0;
    for number in numbers {
        let mut rest = number.wrapping_sub(last);
        while rest >= 0x80 {
            out.push(low_bits(rest) | 0x80);
            rest >>= 7;
        }
        out.push(low_bits(rest));
        last = *number;
    }
    out
}

fn low_bits(number: u32) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

/// The reverse of [`coded`].
pub(super) fn decoded(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let mut bytes = bytes.iter();
    let mut last = 0_u32;
    std::iter::from_fn(move || {
        let (mut difference, mut shift) = (0_u32, 0);
        loop {
            let byte = *bytes.next()?;
            difference |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
            shift += 7;
            if byte & 0x80 == 0 {
                last = last.wrapping_add(difference);
                return Some(last);
            }
        }
    })
}

pub(super) fn pack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL)
}

pub(super) fn unpack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten().and_then(|n| usize::try_from(n).ok());
    let size = size.filter(|size| *size <= MAX_BYTES).ok_or_else(|| std::io::Error::other("a damaged record"))?;
    zstd::bulk::decompress(bytes, size)
}

/// The body of one inventory.
pub(super) fn body(reader: &Connection, id: i64) -> Result<Inventory, Work> {
    let body: Vec<u8> =
        reader.prepare_cached("SELECT body FROM bodies WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
    Ok(serde_json::from_slice(&unpack(&body)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let check = |numbers: &[u32], bytes: usize| {
            let coded = coded(numbers);
            assert_eq!(decoded(&coded).collect::<Vec<_>>(), numbers);
            assert_eq!(coded.len(), bytes, "{numbers:?}");
        };
        check(&[], 0);
        check(&[0, 1, 127, 128, 255, 256], 6);
        check(&[1, 129], 3);
        check(&[5, 300, 1 << 20, u32::MAX], 1 + 2 + 3 + 5);
        assert_eq!(decoded(&[0xff; 20]).count(), 0);
    }
}
