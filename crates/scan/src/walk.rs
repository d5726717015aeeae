//! From stored layers to one merged view of what analyzers want.
//!
//! ```text
//! layer bytes → layer::read (inflate, hash, tar) → Facts → merge::View (whiteouts, links) → resolved files
//!                     ↑ read again ──────────────────────── links (wanted paths that lead to files not kept)
//! ```
//!
//! Files that no path names are told by their first bytes: programs and archives are read too, wherever they lie.
//!
//! A layer keeps the parsed content of wanted files, its links and whiteouts, and twelve bytes for every other entry.

pub(crate) mod hash;
mod inflate;
pub(crate) mod layer;
pub(crate) mod links;
pub(crate) mod marks;
pub(crate) mod merge;
pub(crate) mod path;
mod pipeline;

use crate::cache::Cache;
use crate::engine::Options;
use hash::PathHash;
use pipeline::Pool;
use std::sync::Mutex;

/// What all layers of one scan have in common.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    pub(crate) options: &'a Options<'a>,
    pub(crate) hashes: PathHash,
    /// Holds a large file, one at a time whatever the number of threads; memory that every thread allocated and freed
    /// would stay with it.
    pub(crate) large: Mutex<Vec<u8>>,
    /// For what passes by.
    pub(crate) buffers: Pool,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(options: &'a Options<'a>) -> Self {
        let hashes = options.cache.map_or_else(PathHash::new, Cache::hashes);
        Scan { options, hashes, large: Mutex::default(), buffers: Pool::default() }
    }
}
