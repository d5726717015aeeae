//! The results of earlier scans on disk: of each layer by the digest of its stored bytes, of each image by its manifest's.
//!
//! Entries are written under another name and renamed, so that any number of processes read and write without locks; each
//! carries a checksum, and one that does not match is removed. Only what was read to its end and verified is stored, never a
//! failure. A key holds everything a result depends on in addition to the bytes: the analyzers' version, the limits, the
//! paths that links made wanted.
//!
//! One cache serves one user: anyone who can name a layer's digest gets what the cache has of it. Processes that do not trust
//! each other have another one (`shared`).

mod entry;
mod lookup;
mod shared;

pub use lookup::ScanCache;
pub use shared::{LayerCounts, PATIENCE, SHARED_ENTRY_BYTES, SharedCache};

pub(crate) use lookup::LayerLookup;

use crate::analyze;
use crate::limits::Limits;
use crate::walk::diff::VerifiedLayer;
use crate::walk::hash::PathHash;
use entry::EntrySize;
use lookup::LayerSlot;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::Inventory;

/// Bytes the cache may take before [`Cache::trim`] removes the least recently used entries.
pub const MAX_BYTES: u64 = 1 << 30;
/// An entry's time of use is written at most this often: a write for every read would cost more than it is worth.
const TOUCH: Duration = Duration::from_secs(3600);
/// Digits of what tells versions, limits and paths apart: 64 bits. What names the bytes is the whole digest.
const CONTEXT: usize = 16;
/// The file with the point of the path hashes, which entries of layers depend on.
const POINT: &str = "point";

/// A directory of results.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    max_bytes: u64,
    hashes: PathHash,
    /// Whether this process added an entry.
    grown: AtomicBool,
}

/// What a cache takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheUsage {
    /// Layers and images.
    pub entries: usize,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Cache {
    /// Opens or creates a cache of at most `max_bytes`, which [`Cache::trim`] enforces.
    ///
    /// # Errors
    /// When the directory cannot be created or its files cannot be read.
    pub fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let hashes = PathHash::at(point(dir)?);
        Ok(Cache { dir: dir.to_owned(), max_bytes, hashes, grown: AtomicBool::new(false) })
    }

    fn hashes(&self) -> PathHash {
        self.hashes.clone()
    }

    /// A layer that was read before; `wanted` is the key of the paths that were wanted then.
    fn layer(&self, digest: &Digest, wanted: &str, limits: &Limits) -> LayerLookup<'_> {
        let key = key("layer", digest, wanted, limits);
        let known = self.read(&key).and_then(|bytes| entry::decode(&bytes)).filter(|layer| layer.digest == *digest);
        match known {
            Some(layer) => LayerLookup::Known(Box::new(layer)),
            None => LayerLookup::Unknown(LayerSlot::Own(self, key)),
        }
    }

    fn put_layer(&self, key: &str, layer: &VerifiedLayer) {
        if let Some(bytes) = entry::encode(layer, EntrySize::OWN) {
            self.write(key, &bytes);
        }
    }

    /// The inventory of an image that was read before.
    fn image(&self, manifest: &Digest, limits: &Limits) -> Option<Inventory> {
        let inventory: Inventory = serde_json::from_slice(&self.read(&key("image", manifest, "", limits))?).ok()?;
        (inventory.image.digest == *manifest).then_some(inventory)
    }

    /// Stores the inventory of an image.
    fn put_image(&self, manifest: &Digest, limits: &Limits, inventory: &Inventory) {
        if let Ok(bytes) = serde_json::to_vec(inventory) {
            self.write(&key("image", manifest, "", limits), &bytes);
        }
    }

    /// Counts entries and bytes.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn usage(&self) -> io::Result<CacheUsage> {
        let all = self.entries()?;
        Ok(CacheUsage { entries: all.len(), bytes: all.iter().map(|e| e.bytes).sum() })
    }

    /// Removes everything and returns what it took.
    ///
    /// # Errors
    /// When the directory cannot be listed or an entry cannot be removed.
    pub fn clear(&self) -> io::Result<CacheUsage> {
        let usage = self.usage()?;
        for entry in self.entries()? {
            remove(&entry.path)?;
        }
        Ok(usage)
    }

    /// Removes the least recently used entries while there are too many bytes. A process calls it once, at its end, and
    /// pays for it only if it added an entry.
    ///
    /// # Errors
    /// When the directory cannot be listed or an entry cannot be removed.
    pub fn trim(&self) -> io::Result<()> {
        if !self.grown.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut all = self.entries()?;
        all.sort_by_key(|entry| entry.used);
        let mut bytes: u64 = all.iter().map(|e| e.bytes).sum();
        for entry in all {
            if bytes <= self.max_bytes {
                break;
            }
            remove(&entry.path)?;
            bytes -= entry.bytes;
        }
        Ok(())
    }

    fn read(&self, key: &str) -> Option<Vec<u8>> {
        let path = self.dir.join(key);
        let file = File::options().read(true).write(true).open(&path).or_else(|_| File::open(&path)).ok()?;
        // Opened for writing where that is allowed, because the time of use is set through the same handle.
        let opened = entry::unwrap(&file, EntrySize::OWN);
        if opened.is_none() {
            // It would be found damaged again by every scan.
            let _ = remove(&path);
        }
        touch(&file);
        opened
    }

    /// Writes an entry. Failures are ignored: a cache that cannot be written to is only slow.
    fn write(&self, key: &str, bytes: &[u8]) {
        let written = entry::wrap(bytes)
            .and_then(|wrapped| tidewaiter_io::replace(&self.dir.join(key), |file| file.write_all(&wrapped)));
        if written.is_ok() {
            self.grown.store(true, Ordering::Relaxed);
        }
    }

    fn entries(&self) -> io::Result<Vec<StoredEntry>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // Another process may remove it in between.
            let Ok(metadata) = entry.metadata() else { continue };
            // The point is no entry: without it no stored layer could be used again.
            if metadata.is_file() && entry.file_name() != POINT {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                all.push(StoredEntry { path: entry.path(), bytes: metadata.len(), used });
            }
        }
        Ok(all)
    }
}

struct StoredEntry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// Notes that an entry was used. In a read-only directory, entries are removed by their age instead.
fn touch(file: &File) {
    let old = file.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
    if old.is_some_and(|old| old > TOUCH) {
        let _ = file.set_modified(SystemTime::now());
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether a shared cache may have a layer's entry of this name.
pub fn is_layer_entry(name: &str) -> bool {
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let parts = name.strip_prefix("layer-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(digest, context)| is_hex(digest, 64) && is_hex(context, CONTEXT))
}

/// Whether these bytes are an entry that was written to its end, by its checksum. What it says may be anything.
pub fn is_whole_entry(bytes: &[u8]) -> bool {
    entry::packed(bytes).is_some()
}

fn key(what: &str, digest: &Digest, wanted: &str, limits: &Limits) -> String {
    let all = format!("{} {} {wanted} {limits:?}", analyze::VERSION, entry::FORMAT);
    let context = Digest::from_sha256(Sha256::digest(all.as_bytes()).into());
    format!("{what}-{}-{}", digest.hex(), context.hex().get(..CONTEXT).unwrap_or_default())
}

/// The point of the path hashes: drawn once for each cache, by the first process.
fn point(dir: &Path) -> io::Result<u64> {
    let path = dir.join(POINT);
    if path.exists() {
        return read_point(&path);
    }
    let mut new = NamedTempFile::new_in(dir)?;
    new.write_all(format!("{}\n", PathHash::new().point()).as_bytes())?;
    // Before its name: without power a name may outlive the content, and no entry could be used.
    new.as_file().sync_all()?;
    match new.persist_noclobber(&path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        // Where another process was first, its point counts.
        _ => read_point(&path),
    }
}

fn read_point(path: &Path) -> io::Result<u64> {
    let number = fs::read_to_string(path)?.trim().parse();
    number.map_err(|_| io::Error::other(format!("{}: it does not have a number in it; remove it", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::diff::LayerDiff;

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256([byte; 32])
    }

    #[test]
    fn entries_are_found_by_all_they_depend_on() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), MAX_BYTES).unwrap();
        let limits = Limits::default();
        let mut diff = LayerDiff::default();
        diff.files.push(cache.hashes().of("a"), 3);
        diff.files.sort();
        let layer = VerifiedLayer { size: 7, digest: digest(1), diff_id: digest(2), diff };
        let LayerLookup::Unknown(slot) = cache.layer(&digest(1), "", &limits) else { panic!("it is known") };
        slot.store(&layer);
        // Another process has the same point.
        let other = Cache::open(dir.path(), MAX_BYTES).unwrap();
        let LayerLookup::Known(found) = other.layer(&digest(1), "", &limits) else { panic!("it is not known") };
        assert_eq!((found.size, &found.diff_id), (7, &layer.diff_id));
        assert!(found.diff.files.contains(other.hashes().of("a")));
        let is_unknown = |found| matches!(found, LayerLookup::Unknown(_));
        assert!(is_unknown(other.layer(&digest(1), "other paths", &limits)));
        assert!(is_unknown(other.layer(&digest(3), "", &limits)));
        assert!(is_unknown(other.layer(&digest(1), "", &Limits { entries: 1, ..limits })));
        // An entry under another one's name.
        let [from, to] = [1, 3].map(|of| dir.path().join(key("layer", &digest(of), "", &limits)));
        fs::copy(from, to).unwrap();
        assert!(is_unknown(other.layer(&digest(3), "", &limits)));
    }

    #[test]
    fn names_of_entries() {
        let check = |name: &str, expected: bool| assert_eq!(is_layer_entry(name), expected, "{name}");
        let limits = Limits::default();
        check(&key("layer", &digest(1), "", &limits), true);
        check(&key("image", &digest(1), "", &limits), false);
        check(&key("layer", &digest(1), "", &limits).to_uppercase(), false);
        check(&format!("{}0", key("layer", &digest(1), "", &limits)), false);
        for name in ["", "point", "layer-", "layer--", "..", "layer-../x"] {
            check(name, false);
        }
    }

    #[test]
    fn damaged_entries_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), MAX_BYTES).unwrap();
        cache.write("layer-x", b"content");
        assert_eq!(cache.read("layer-x").as_deref(), Some(&b"content"[..]));
        let path = dir.path().join("layer-x");
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..5], b""] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.read("layer-x"), None);
            assert!(!path.exists());
        }
    }

    #[test]
    fn the_least_recently_used_are_removed_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 150).unwrap();
        for (name, age) in [("old", 3000), ("older", 6000), ("new", 0)] {
            cache.write(name, &[]);
            let file = File::options().write(true).open(dir.path().join(name)).unwrap();
            file.set_len(70).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        cache.trim().unwrap();
        assert!(!dir.path().join("older").exists() && dir.path().join("old").exists());
        assert_eq!(cache.usage().unwrap(), CacheUsage { entries: 2, bytes: 140 });
        assert_eq!(cache.clear().unwrap().entries, 2);
        assert_eq!(cache.usage().unwrap(), CacheUsage::default());
    }
}
