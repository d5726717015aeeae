//! From stored layers to one merged view of what analyzers want.
//!
//! ```text
//! layer bytes → read (watch, hash, inflate, tar) → LayerDiff → MergedView (whiteouts, links) → files that count
//!                 ↑ read again ──────────────────────────── WantedPaths (links that lead to files not recorded)
//! ```
//!
//! Programs and archives are detected by their first bytes and read too, wherever they lie. Of a layer stay the parsed
//! content of wanted files, its links and whiteouts, and twelve bytes for every other entry.
//!
//! This module knows neither the engine nor the cache: it reads what it is given.

pub(crate) mod diff;
mod files;
pub(crate) mod hash;
mod inflate;
pub(crate) mod merge;
pub(crate) mod positions;
pub(crate) mod read;
mod stream;
mod tar_walk;
mod verify;
pub(crate) mod wanted;
mod watch;

use crate::limits::Limits;
use crate::progress::ScanProgress;
use hash::PathHash;
use parking_lot::Mutex;
use std::sync::atomic::AtomicBool;
use stream::BufferPool;

pub(crate) use verify::expect_diff_id;

/// What all layers of one scan have in common.
pub(crate) struct ScanResources<'a> {
    pub(crate) limits: Limits,
    /// Set to stop.
    pub(crate) cancel: &'a AtomicBool,
    pub(crate) progress: &'a dyn ScanProgress,
    pub(crate) hashes: PathHash,
    /// For one large file at a time, whatever the number of threads: an allocator that has an arena for each thread would
    /// otherwise keep as many large files' memory as there are threads.
    large_file: Mutex<Vec<u8>>,
    /// For the chunks of streams.
    buffers: BufferPool,
}

impl<'a> ScanResources<'a> {
    pub(crate) fn new(
        limits: Limits,
        cancel: &'a AtomicBool,
        progress: &'a dyn ScanProgress,
        hashes: PathHash,
    ) -> Self {
        let (large_file, buffers) = (Mutex::default(), BufferPool::default());
        ScanResources { limits, cancel, progress, hashes, large_file, buffers }
    }
}
