//! A cache of layers that several processes use at the same time, each of which an image may have taken over: the workers of a
//! server, for one owner of images.
//!
//! ```text
//! DIR/point    the point of the path hashes
//!     sealed/  entries that workers read; their sandbox lets them change none
//!     fresh/   entries that workers write; their sandbox lets them delete none
//! ```
//!
//! The process that started them, which reads no image, copies whole entries from `fresh` to `sealed`, bounds both and deletes.
//!
//! - **One process reads a layer, the others wait.** Whoever has the lock on a fresh entry reads the layer and writes the entry in
//!   place; the kernel frees the lock of a process that ends. Nobody waits while holding one, so that no two wait for each other.
//! - **In place**, not renamed: whoever may not delete files can hide none from the process that bounds the directory. The
//!   checksum tells a whole entry from a part of one.
//! - **Layers alone**: what a whole image contains is not believed of other processes.

use super::entry::{self, EntrySize};
use super::lookup::{LayerLookup, LayerSlot};
use super::{key, point, touch};
use crate::limits::Limits;
use crate::walk::diff::VerifiedLayer;
use crate::walk::hash::PathHash;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tidewaiter_core::image::Digest;

/// Bytes of a file that a process writes at most: larger entries are not stored.
pub const SHARED_ENTRY_BYTES: u64 = EntrySize::SHARED.packed;

/// How long all waiting of one scan takes at most: about what most layers take that are worth waiting for. Another process may
/// hold its lock for as long as it lives.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two looks at an entry that another process makes.
const LOOK: Duration = Duration::from_millis(50);

/// The layers of one owner.
#[derive(Debug)]
pub struct SharedCache {
    sealed: PathBuf,
    fresh: PathBuf,
    hashes: PathHash,
    /// What is left of the time to wait.
    patience: Mutex<Duration>,
    counts: Mutex<LayerCounts>,
}

/// What a scan took from a cache, and what it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LayerCounts {
    /// Layers from the cache.
    pub cached: u64,
    /// Layers that were read from their source.
    pub read: u64,
    /// Stored bytes of those.
    pub read_bytes: u64,
    /// Those that the cache has no room for, or cannot be written for.
    pub unstored: u64,
}

impl std::ops::Add for LayerCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        LayerCounts {
            cached: self.cached.saturating_add(other.cached),
            read: self.read.saturating_add(other.read),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            unstored: self.unstored.saturating_add(other.unstored),
        }
    }
}

/// Where a layer that was not known goes.
#[derive(Debug)]
pub(crate) enum EntryRoom {
    /// Into this file, which this process has locked.
    Locked(File),
    /// Nowhere: another process reads the layer, too.
    Taken,
    /// Nowhere: the cache cannot be written.
    Absent,
}

impl SharedCache {
    /// Opens or creates the cache of one owner; scans wait `patience` for each other, in all.
    ///
    /// # Errors
    /// When its directories cannot be created, or the point cannot be read.
    pub fn open(dir: &Path, patience: Duration) -> io::Result<Self> {
        let [sealed, fresh] = ["sealed", "fresh"].map(|name| dir.join(name));
        fs::create_dir_all(&sealed)?;
        fs::create_dir_all(&fresh)?;
        let hashes = PathHash::at(point(dir)?);
        Ok(SharedCache { sealed, fresh, hashes, patience: Mutex::new(patience), counts: Mutex::default() })
    }

    /// The directory that is read alone.
    pub fn sealed(&self) -> &Path {
        &self.sealed
    }

    /// The directory that is written, too.
    pub fn fresh(&self) -> &Path {
        &self.fresh
    }

    /// What scans took from it and put into it so far.
    pub fn counts(&self) -> LayerCounts {
        *self.counts.lock()
    }

    pub(super) fn hashes(&self) -> PathHash {
        self.hashes.clone()
    }

    pub(super) fn layer(&self, digest: &Digest, wanted: &str, limits: &Limits) -> LayerLookup<'_> {
        let key = key("layer", digest, wanted, limits);
        if let Some(known) = self.known(&key, digest) {
            return known;
        }
        let room = self.room(&key);
        match (room, self.patience.lock().is_zero()) {
            (EntryRoom::Taken, false) => LayerLookup::Busy,
            // Written by the one that had the lock before, or sealed since the look above.
            (EntryRoom::Locked(file), _) => match self.known(&key, digest) {
                Some(known) => known,
                None => LayerLookup::Unknown(LayerSlot::Shared(self, EntryRoom::Locked(file))),
            },
            (room, _) => LayerLookup::Unknown(LayerSlot::Shared(self, room)),
        }
    }

    fn known(&self, key: &str, digest: &Digest) -> Option<LayerLookup<'_>> {
        let found = [&self.sealed, &self.fresh].into_iter().find_map(|dir| read(&dir.join(key), digest))?;
        self.counts.lock().cached += 1;
        Some(LayerLookup::Known(Box::new(found)))
    }

    fn room(&self, key: &str) -> EntryRoom {
        let path = self.fresh.join(key);
        let Ok(file) = File::options().read(true).write(true).create(true).truncate(false).open(path) else {
            return EntryRoom::Absent;
        };
        match file.try_lock() {
            Ok(()) => EntryRoom::Locked(file),
            Err(TryLockError::WouldBlock) => EntryRoom::Taken,
            // A file system without locks.
            Err(TryLockError::Error(_)) => EntryRoom::Absent,
        }
    }

    /// Waits a moment for other processes.
    pub(super) fn wait(&self) {
        thread::sleep(LOOK);
        let mut left = self.patience.lock();
        *left = left.saturating_sub(LOOK);
    }

    /// Stores a layer that was read. The lock ends with the file.
    pub(super) fn put(&self, room: EntryRoom, layer: &VerifiedLayer) {
        let is_stored = match room {
            EntryRoom::Locked(mut file) => write(&mut file, layer),
            EntryRoom::Taken => true,
            EntryRoom::Absent => false,
        };
        let read = LayerCounts { cached: 0, read: 1, read_bytes: layer.size, unstored: u64::from(!is_stored) };
        let mut all = self.counts.lock();
        *all = *all + read;
    }
}

/// A whole entry of this layer.
fn read(path: &Path, digest: &Digest) -> Option<VerifiedLayer> {
    let file = File::open(path).ok()?;
    let layer = entry::decode(&entry::unwrap(&file, EntrySize::SHARED)?)?;
    touch(&file);
    (layer.digest == *digest).then_some(layer)
}

/// Whether the entry is in the file; else the file is empty, so that a full volume has the room again.
fn write(file: &mut File, layer: &VerifiedLayer) -> bool {
    let Some(bytes) = entry::encode(layer, EntrySize::SHARED) else { return false };
    let written = entry::wrap(&bytes).and_then(|wrapped| {
        if wrapped.len() as u64 > EntrySize::SHARED.packed {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        // What an earlier process left.
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&wrapped)
    });
    if written.is_err() {
        let _ = file.set_len(0);
    }
    written.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::diff::LayerDiff;
    use std::os::unix::fs::symlink;

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256([byte; 32])
    }

    fn layer(byte: u8) -> VerifiedLayer {
        VerifiedLayer { size: 7, digest: digest(byte), diff_id: digest(9), diff: LayerDiff::default() }
    }

    fn open(dir: &Path) -> SharedCache {
        SharedCache::open(dir, PATIENCE).unwrap()
    }

    fn look(cache: &SharedCache) -> LayerLookup<'_> {
        cache.layer(&digest(1), "", &Limits::default())
    }

    #[track_caller]
    fn slot(found: LayerLookup<'_>) -> LayerSlot<'_> {
        match found {
            LayerLookup::Unknown(slot) => slot,
            other => panic!("{other:?}"),
        }
    }

    fn path(dir: &Path) -> PathBuf {
        dir.join(key("layer", &digest(1), "", &Limits::default()))
    }

    #[test]
    fn one_reads_and_the_others_wait() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (open(dir.path()), open(dir.path()));
        let read = slot(look(&first));
        assert!(matches!(look(&second), LayerLookup::Busy));
        // Another layer is nobody's.
        drop(slot(second.layer(&digest(2), "", &Limits::default())));
        read.store(&layer(1));
        assert!(matches!(look(&second), LayerLookup::Known(found) if found.digest == digest(1)));
        assert_eq!(first.counts(), LayerCounts { read: 1, read_bytes: 7, ..LayerCounts::default() });
        assert_eq!(second.counts(), LayerCounts { cached: 1, ..LayerCounts::default() });
        assert_eq!(first.hashes().of("a"), second.hashes().of("a"));
    }

    #[test]
    fn a_process_that_ends_leaves_the_layer_to_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (open(dir.path()), open(dir.path()));
        drop(slot(look(&first)));
        slot(look(&second)).store(&layer(1));
        assert!(matches!(look(&first), LayerLookup::Known(_)));
    }

    #[test]
    fn waiting_ends() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path());
        let second = SharedCache::open(dir.path(), LOOK).unwrap();
        let held = slot(look(&first));
        assert!(matches!(look(&second), LayerLookup::Busy));
        second.wait();
        // It is read here, too, and stored by the other one alone.
        slot(look(&second)).store(&layer(1));
        assert_eq!(second.counts(), LayerCounts { read: 1, read_bytes: 7, ..LayerCounts::default() });
        assert_eq!(fs::metadata(path(first.fresh())).unwrap().len(), 0);
        held.store(&layer(1));
        assert!(matches!(look(&second), LayerLookup::Known(_)));
    }

    #[test]
    fn garbage_is_read_again_and_replaced() {
        let whole = entry::wrap(&entry::encode(&layer(1), EntrySize::SHARED).unwrap()).unwrap();
        let other = entry::wrap(&entry::encode(&layer(2), EntrySize::SHARED).unwrap()).unwrap();
        let bomb = entry::wrap(&vec![0; usize::try_from(EntrySize::SHARED.unpacked).unwrap() + 1]).unwrap();
        let check = |content: &[u8], is_good: bool| {
            for place in [SharedCache::sealed, SharedCache::fresh] {
                let dir = tempfile::tempdir().unwrap();
                let cache = open(dir.path());
                fs::write(path(place(&cache)), content).unwrap();
                let found = look(&cache);
                assert_eq!(matches!(found, LayerLookup::Known(_)), is_good, "{} bytes: {found:?}", content.len());
                if !is_good {
                    slot(found).store(&layer(1));
                    assert!(matches!(look(&cache), LayerLookup::Known(_)));
                }
            }
        };
        check(&whole, true);
        check(&whole[..whole.len() - 1], false);
        check(&[&whole[..], b"x"].concat(), false);
        check(b"garbage", false);
        check(b"", false);
        check(&other, false);
        check(&bomb, false);
    }

    #[test]
    fn what_cannot_be_stored_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path());
        // A full volume.
        symlink("/dev/full", path(cache.fresh())).unwrap();
        slot(look(&cache)).store(&layer(1));
        assert_eq!(cache.counts().unstored, 1);
        fs::remove_dir_all(cache.fresh()).unwrap();
        slot(look(&cache)).store(&layer(1));
        assert_eq!(cache.counts(), LayerCounts { read: 2, read_bytes: 14, unstored: 2, ..LayerCounts::default() });
    }

    #[test]
    fn a_large_layer_is_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path());
        let mut large = layer(1);
        for number in 0..EntrySize::SHARED.unpacked / 12 + 1 {
            large.diff.files.push(number, 0);
        }
        slot(look(&cache)).store(&large);
        assert_eq!(cache.counts().unstored, 1);
        assert!(matches!(look(&cache), LayerLookup::Unknown(_)));
    }
}
