//! The form of an entry: a checksum, then zstd. A layer is JSON for what has names, and plain numbers for its marks.

use crate::analyze::Parsed;
use crate::walk::layer::{Add, Facts, What};
use crate::walk::marks::Marks;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use std::sync::Arc;
use tidewaiter_core::image::Digest;

/// Raised whenever the form changes.
pub(super) const FORMAT: u32 = 2;
/// Bytes of the checksum.
const SUM: usize = 32;
/// Larger entries are not believed: a layer may keep less.
const MAX_BYTES: u64 = 1 << 30;
/// Marks are random numbers; more effort gains nothing.
const LEVEL: i32 = 1;

/// Checksum and compressed bytes.
pub(super) fn wrap(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let packed = zstd::encode_all(bytes, LEVEL)?;
    let mut out = Sha256::digest(&packed).to_vec();
    out.extend(packed);
    Ok(out)
}

/// What was wrapped, if it is whole.
pub(super) fn unwrap(mut file: impl Read) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    file.by_ref().take(MAX_BYTES).read_to_end(&mut all).ok()?;
    let (sum, packed) = all.split_at_checked(SUM)?;
    if Sha256::digest(packed).as_slice() != sum {
        return None;
    }
    let mut out = Vec::new();
    zstd::Decoder::new(packed).ok()?.take(MAX_BYTES).read_to_end(&mut out).ok()?;
    Some(out)
}

#[derive(Serialize, Deserialize)]
struct Named {
    size: u64,
    digest: Option<Digest>,
    diff_id: Option<Digest>,
    opaque: Vec<String>,
    whiteouts: Vec<String>,
    adds: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    path: String,
    place: u32,
    what: KeptWhat,
}

#[derive(Serialize, Deserialize)]
enum KeptWhat {
    File(Box<Parsed>, String),
    Symlink(String),
    Hardlink(String),
}

/// A layer's facts as bytes; none where they are not worth keeping.
pub(super) fn of_facts(facts: &Facts) -> Option<Vec<u8>> {
    // A layer that was not read may be there the next time.
    if facts.gap.is_some() {
        return None;
    }
    let kept = |add: &Add| Kept {
        path: add.path.clone(),
        place: add.place,
        what: match &add.what {
            What::File(parsed, wanted) => KeptWhat::File(Box::new(Parsed::clone(parsed)), wanted.to_string()),
            What::Symlink(target) => KeptWhat::Symlink(target.clone()),
            What::Hardlink(target) => KeptWhat::Hardlink(target.clone()),
        },
    };
    let named = Named {
        size: facts.size,
        digest: facts.digest.clone(),
        diff_id: facts.diff_id.clone(),
        opaque: facts.opaque.clone(),
        whiteouts: facts.whiteouts.clone(),
        adds: facts.adds.iter().map(kept).collect(),
    };
    let mut out = Vec::new();
    let json = serde_json::to_vec(&named).ok()?;
    put(&mut out, json.len(), json.into_iter());
    for marks in [&facts.files, &facts.dirs] {
        put(
            &mut out,
            marks.len(),
            marks.iter().flat_map(|(hash, place)| [hash.to_le_bytes().to_vec(), place.to_le_bytes().to_vec()].concat()),
        );
    }
    let mut above: Vec<u64> = facts.above.iter().copied().collect();
    above.sort_unstable();
    put(&mut out, above.len(), above.into_iter().flat_map(u64::to_le_bytes));
    Some(out)
}

fn put(out: &mut Vec<u8>, count: usize, bytes: impl Iterator<Item = u8>) {
    out.extend((count as u64).to_le_bytes());
    out.extend(bytes);
}

/// A layer's facts, as they were.
pub(super) fn facts(bytes: &[u8]) -> Option<Facts> {
    let mut rest = bytes;
    let size = count(&mut rest)?;
    let named: Named = serde_json::from_slice(take(&mut rest, size)?).ok()?;
    let files = marks(&mut rest)?;
    let dirs = marks(&mut rest)?;
    let size = count(&mut rest)?;
    let above = take(&mut rest, size.checked_mul(8)?)?
        .chunks_exact(8)
        .filter_map(|b| Some(u64::from_le_bytes(b.try_into().ok()?)));
    let add = |kept: Kept| Add {
        path: kept.path,
        place: kept.place,
        what: match kept.what {
            KeptWhat::File(parsed, wanted) => What::File(Arc::new(*parsed), wanted.into()),
            KeptWhat::Symlink(target) => What::Symlink(target),
            KeptWhat::Hardlink(target) => What::Hardlink(target),
        },
    };
    Some(Facts {
        size: named.size,
        digest: named.digest,
        diff_id: named.diff_id,
        opaque: named.opaque,
        whiteouts: named.whiteouts,
        adds: named.adds.into_iter().map(add).collect(),
        files,
        dirs,
        above: above.collect(),
        gap: None,
    })
}

fn count(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?)).ok()
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (part, after) = rest.split_at_checked(size)?;
    *rest = after;
    Some(part)
}

fn marks(rest: &mut &[u8]) -> Option<Marks> {
    let size = count(rest)?;
    let mut out = Marks::default();
    for pair in take(rest, size.checked_mul(12)?)?.chunks_exact(12) {
        let (hash, place) = pair.split_at_checked(8)?;
        out.push(u64::from_le_bytes(hash.try_into().ok()?), u32::from_le_bytes(place.try_into().ok()?));
    }
    // They were in order when they were kept.
    Some(out)
}
