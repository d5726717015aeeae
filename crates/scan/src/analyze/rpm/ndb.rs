//! NDB, rpm's own format (`lib/backend/ndb/rpmpkg.c`): little-endian; a header, pages of slots, blobs.

use super::RpmContents;
use tidewaiter_archive::bytes::{le32, slice};

pub(super) const MAGIC: &[u8] = b"RpmP";
// `PAGE_SIZE`, `SLOT_SIZE`, `BLK_SIZE`, `BLOBHEAD_SIZE` and `BLOBTAIL_SIZE` there.
const PAGE: usize = 4096;
const SLOT: usize = 16;
/// The header takes the place of the first two slots.
const HEADER: usize = 2 * SLOT;
/// Blobs begin and end at multiples of this.
const BLOCK: usize = 16;
const HEAD: usize = 16;
const TAIL: usize = 12;

type Cause = &'static str;

struct NdbSlot {
    package: u32,
    start: usize,
    len: usize,
}

/// Reads every blob that a slot names.
pub(super) fn read(bytes: &[u8], out: &mut RpmContents) {
    let slots = match slots(bytes) {
        Ok(slots) => slots,
        Err(cause) => return out.damaged(cause),
    };
    // Blobs do not overlap; without this a small file could have one large blob read many times.
    let mut left = bytes.len();
    for entry in slots.chunks_exact(SLOT) {
        let blob = slot(entry).and_then(|slot| {
            let Some(slot) = slot else { return Ok(None) };
            left = left.checked_sub(slot.len).ok_or("its blobs overlap")?;
            blob(bytes, &slot).map(Some)
        });
        match blob {
            Ok(None) => {}
            Ok(Some((blob, sound))) => {
                out.header(blob);
                if !sound {
                    out.damaged("a blob's checksum is wrong");
                }
            }
            Err(cause) => out.damaged(cause),
        }
    }
}

fn slots(bytes: &[u8]) -> Result<&[u8], Cause> {
    if !bytes.starts_with(MAGIC) {
        return Err("it is not an NDB database");
    }
    let (Some(version), Some(pages)) = (le32(bytes, 4), le32(bytes, 12)) else {
        return Err("it ends within its header");
    };
    if version != 0 {
        return Err("its NDB version is not known");
    }
    let end = (pages as usize).checked_mul(PAGE).filter(|end| *end > 0);
    end.and_then(|end| bytes.get(HEADER..end)).ok_or("it ends within its slots")
}

/// A slot in use; offsets and lengths are checked against the file where the blob is read.
fn slot(entry: &[u8]) -> Result<Option<NdbSlot>, Cause> {
    let word = |at: usize| le32(entry, at).unwrap_or_default();
    if !entry.starts_with(b"Slot") {
        return Err("a slot has no magic number");
    }
    if word(4) == 0 {
        return Ok(None);
    }
    let bytes = |blocks: u32| (blocks as usize).checked_mul(BLOCK).ok_or("a slot points outside the file");
    Ok(Some(NdbSlot { package: word(4), start: bytes(word(8))?, len: bytes(word(12))? }))
}

/// A package header, and whether its checksum is right.
fn blob<'a>(bytes: &'a [u8], slot: &NdbSlot) -> Result<(&'a [u8], bool), Cause> {
    let whole = slice(bytes, slot.start, slot.len).ok_or("a slot points outside the file")?;
    let (summed, tail) = whole.split_last_chunk::<TAIL>().ok_or("a blob is too short")?;
    let (head, body) = summed.split_at_checked(HEAD).ok_or("a blob is too short")?;
    if !head.starts_with(b"BlbS") || le32(head, 4) != Some(slot.package) || !tail.ends_with(b"BlbE") {
        return Err("a blob lacks its magic numbers");
    }
    let len = le32(head, 12);
    if le32(tail, 4) != len {
        return Err("a blob's lengths differ");
    }
    let data = len.and_then(|len| body.get(..len as usize)).ok_or("a blob is longer than its place")?;
    Ok((data, le32(tail, 0) == Some(adler32(summed))))
}

fn adler32(bytes: &[u8]) -> u32 {
    const MOD: u32 = 65521;
    /// So many bytes fit before the sums need their remainder.
    const RUN: usize = 5552;
    let (mut a, mut b) = (1, 0);
    for run in bytes.chunks(RUN) {
        for byte in run {
            a += u32::from(*byte);
            b += a;
        }
        (a, b) = (a % MOD, b % MOD);
    }
    b << 16 | a
}
