//! The form of an entry: a checksum, then zstd. A layer is JSON for what has names, and plain numbers for its positions:
//! a layer of a million entries would be ten times as large in JSON.

use crate::analyze::ParsedFile;
use crate::walk::diff::{EntryKind, LayerDiff, LayerEntry, VerifiedLayer};
use crate::walk::positions::EntryPositions;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use std::sync::Arc;
use tidewaiter_archive::bytes::{array, take};
use tidewaiter_core::image::Digest;

/// Raised whenever the form changes.
pub(super) const FORMAT: u32 = 3;
/// Bytes of the checksum.
const SUM: usize = 32;

/// Bytes of an entry at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntrySize {
    /// In its file.
    pub(super) packed: u64,
    /// Without compression.
    pub(super) unpacked: u64,
}

impl EntrySize {
    /// [`crate::limits::Limits::recorded_bytes`] lets no layer have more.
    pub(super) const OWN: Self = EntrySize { packed: 1 << 30, unpacked: 1 << 30 };
    /// That of two million files. Two such layers at once, packed, unpacked and read, are less than the memory that a server's
    /// worker has by default.
    pub(super) const SHARED: Self = EntrySize { packed: 32 << 20, unpacked: 64 << 20 };
}

/// zstd's fastest ordinary level: most bytes are hashes, which more effort does not make smaller.
const LEVEL: i32 = 1;

/// Adds a checksum to bytes, which it compresses.
pub(super) fn wrap(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let packed = zstd::encode_all(bytes, LEVEL)?;
    // Of the packed bytes, so that a damaged entry is never decompressed.
    let mut out = Sha256::digest(&packed).to_vec();
    out.extend(packed);
    Ok(out)
}

/// The bytes that were wrapped; `None` when anything is wrong with them, or they are too many.
pub(super) fn unwrap(mut file: impl Read, most: EntrySize) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    file.by_ref().take(most.packed).read_to_end(&mut all).ok()?;
    let mut out = Vec::new();
    // The checksum shows damage, not intent: it does not bound what the bytes become.
    zstd::Decoder::new(packed(&all)?).ok()?.take(most.unpacked + 1).read_to_end(&mut out).ok()?;
    (out.len() as u64 <= most.unpacked).then_some(out)
}

/// What follows the checksum, if it is that of it.
pub(super) fn packed(wrapped: &[u8]) -> Option<&[u8]> {
    let (sum, packed) = wrapped.split_at_checked(SUM)?;
    (Sha256::digest(packed).as_slice() == sum).then_some(packed)
}

/// The part of a layer that is JSON.
#[derive(Serialize, Deserialize)]
struct NamedPart {
    size: u64,
    digest: Digest,
    diff_id: Digest,
    opaque: Vec<String>,
    whiteouts: Vec<String>,
    entries: Vec<StoredEntry>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    path: String,
    position: u32,
    kind: StoredKind,
}

#[derive(Serialize, Deserialize)]
enum StoredKind {
    File(Box<ParsedFile>, String),
    Symlink(String),
    Hardlink(String),
}

impl From<&LayerEntry> for StoredEntry {
    fn from(entry: &LayerEntry) -> Self {
        let kind = match &entry.kind {
            EntryKind::File(parsed, wanted) => {
                StoredKind::File(Box::new(ParsedFile::clone(parsed)), wanted.to_string())
            }
            EntryKind::Symlink(target) => StoredKind::Symlink(target.clone()),
            EntryKind::Hardlink(target) => StoredKind::Hardlink(target.clone()),
        };
        StoredEntry { path: entry.path.clone(), position: entry.position, kind }
    }
}

impl From<StoredEntry> for LayerEntry {
    fn from(entry: StoredEntry) -> Self {
        let kind = match entry.kind {
            StoredKind::File(parsed, wanted) => EntryKind::File(Arc::new(*parsed), wanted.into()),
            StoredKind::Symlink(target) => EntryKind::Symlink(target),
            StoredKind::Hardlink(target) => EntryKind::Hardlink(target),
        };
        LayerEntry { path: entry.path, position: entry.position, kind }
    }
}

/// A layer as bytes; `None` where they are too many.
pub(super) fn encode(layer: &VerifiedLayer, most: EntrySize) -> Option<Vec<u8>> {
    let VerifiedLayer { digest, diff_id, size, diff } = layer;
    // Files as they are (`raw`) are read for one scan and never stored.
    let LayerDiff { opaque, whiteouts, entries, files, dirs, above, raw: _ } = diff;
    // Before they are copied.
    if ((files.len() + dirs.len()) * POSITION) as u64 > most.unpacked {
        return None;
    }
    let named = NamedPart {
        size: *size,
        digest: digest.clone(),
        diff_id: diff_id.clone(),
        opaque: opaque.clone(),
        whiteouts: whiteouts.clone(),
        entries: entries.iter().map(StoredEntry::from).collect(),
    };
    let mut out = Vec::new();
    let json = serde_json::to_vec(&named).ok()?;
    put(&mut out, json.len(), json.into_iter());
    for positions in [files, dirs] {
        put(&mut out, positions.len(), positions.iter().flat_map(position_bytes));
    }
    let mut above: Vec<u64> = above.iter().copied().collect();
    // In one order, so that the same layer has the same bytes.
    above.sort_unstable();
    put(&mut out, above.len(), above.into_iter().flat_map(u64::to_le_bytes));
    (out.len() as u64 <= most.unpacked).then_some(out)
}

/// Bytes of a hash and a position.
const POSITION: usize = 12;

fn position_bytes((hash, position): (u64, u32)) -> impl Iterator<Item = u8> {
    hash.to_le_bytes().into_iter().chain(position.to_le_bytes())
}

fn put(out: &mut Vec<u8>, count: usize, bytes: impl Iterator<Item = u8>) {
    out.extend((count as u64).to_le_bytes());
    out.extend(bytes);
}

/// The layer that was encoded.
pub(super) fn decode(bytes: &[u8]) -> Option<VerifiedLayer> {
    let mut rest = bytes;
    let size = count(&mut rest)?;
    let named: NamedPart = serde_json::from_slice(take(&mut rest, size)?).ok()?;
    let files = positions(&mut rest)?;
    let dirs = positions(&mut rest)?;
    let size = count(&mut rest)?;
    let above = take(&mut rest, size.checked_mul(8)?)?.as_chunks::<8>().0;
    let diff = LayerDiff {
        opaque: named.opaque,
        whiteouts: named.whiteouts,
        entries: named.entries.into_iter().map(LayerEntry::from).collect(),
        files,
        dirs,
        above: above.iter().map(|hash| u64::from_le_bytes(*hash)).collect(),
        raw: Vec::new(),
    };
    Some(VerifiedLayer { digest: named.digest, diff_id: named.diff_id, size: named.size, diff })
}

fn count(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(array(take(rest, 8)?, 0)?)).ok()
}

/// Positions are in order already: they were when they were stored.
fn positions(rest: &mut &[u8]) -> Option<EntryPositions> {
    let size = count(rest)?;
    let mut out = EntryPositions::default();
    for pair in take(rest, size.checked_mul(POSITION)?)?.as_chunks::<POSITION>().0 {
        out.push(u64::from_le_bytes(array(pair, 0)?), u32::from_le_bytes(array(pair, 8)?));
    }
    Some(out)
}
