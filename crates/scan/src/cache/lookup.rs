//! What a scan asks of a cache, whichever it is.

use super::Cache;
use super::shared::{EntryRoom, SharedCache};
use crate::limits::Limits;
use crate::walk::diff::VerifiedLayer;
use crate::walk::hash::PathHash;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::Inventory;

/// The results of earlier scans.
#[derive(Debug, Clone, Copy)]
pub enum ScanCache<'a> {
    /// Of one user's own processes: layers and whole images.
    Own(&'a Cache),
    /// Of processes that do not trust each other: layers.
    Shared(&'a SharedCache),
}

/// What a cache says of a layer.
#[derive(Debug)]
pub(crate) enum LayerLookup<'a> {
    /// It was read before.
    Known(Box<VerifiedLayer>),
    /// It is to be read, and stored there.
    Unknown(LayerSlot<'a>),
    /// Another process reads it now.
    Busy,
}

/// Where a layer is stored that was not known.
#[derive(Debug)]
pub(crate) enum LayerSlot<'a> {
    Own(&'a Cache, String),
    Shared(&'a SharedCache, EntryRoom),
}

impl LayerSlot<'_> {
    /// Stores the layer. A failure only makes the next scan slow.
    pub(crate) fn store(self, layer: &VerifiedLayer) {
        match self {
            LayerSlot::Own(cache, key) => cache.put_layer(&key, layer),
            LayerSlot::Shared(cache, room) => cache.put(room, layer),
        }
    }
}

impl<'a> ScanCache<'a> {
    pub(crate) fn hashes(self) -> PathHash {
        match self {
            ScanCache::Own(cache) => cache.hashes(),
            ScanCache::Shared(cache) => cache.hashes(),
        }
    }

    /// A layer by the digest of its stored bytes; `wanted` is the key of the paths that are wanted.
    pub(crate) fn layer(self, digest: &Digest, wanted: &str, limits: &Limits) -> LayerLookup<'a> {
        match self {
            ScanCache::Own(cache) => cache.layer(digest, wanted, limits),
            ScanCache::Shared(cache) => cache.layer(digest, wanted, limits),
        }
    }

    /// Waits a moment for those who read what was busy. That ends: a layer that is busy for too long is unknown.
    pub(crate) fn wait(self) {
        match self {
            ScanCache::Own(_) => {}
            ScanCache::Shared(cache) => cache.wait(),
        }
    }

    /// The inventory of an image that was read before.
    pub(crate) fn image(self, manifest: &Digest, limits: &Limits) -> Option<Inventory> {
        match self {
            ScanCache::Own(cache) => cache.image(manifest, limits),
            ScanCache::Shared(_) => None,
        }
    }

    /// Stores the inventory of an image.
    pub(crate) fn put_image(self, manifest: &Digest, limits: &Limits, inventory: &Inventory) {
        match self {
            ScanCache::Own(cache) => cache.put_image(manifest, limits, inventory),
            ScanCache::Shared(_) => {}
        }
    }
}
