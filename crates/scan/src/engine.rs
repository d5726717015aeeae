//! The engine: all layers of an image read in parallel, merged in order, and listed.

mod contents;
mod debian_sources;
mod layers;
mod left_over;
mod os;
mod os_copies;
mod own_code;
mod spelling;
mod sqlite_wal;
mod stores;
mod yum_origins;

use crate::cache::ScanCache;
use crate::error::ScanError;
use crate::limits::Limits;
use crate::progress::ScanProgress;
use crate::source::{Image, Layer, base};
use crate::walk::ScanResources;
use crate::walk::diff::LayerRead;
use crate::walk::hash::PathHash;
use contents::ImageContents;
use sqlite_wal::WalDatabases;
use std::sync::atomic::AtomicBool;
use tidewaiter_core::report::{ImageInfo, Inventory, LayerInfo};

/// How to scan.
pub struct ScanOptions<'a> {
    /// What the image may cost.
    pub limits: Limits,
    /// Maximum number of layers that are read concurrently.
    pub threads: usize,
    /// Set by the caller to stop.
    pub cancel: &'a AtomicBool,
    /// Receives the progress.
    pub progress: &'a dyn ScanProgress,
    /// Results of earlier scans.
    pub cache: Option<ScanCache<'a>>,
}

impl std::fmt::Debug for ScanOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("ScanOptions");
        out.field("limits", &self.limits).field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Lists what is installed in an image. The result depends on the image's bytes alone.
///
/// # Errors
/// When the bytes cannot be read, differ from what the image says, or exceed the limits.
pub fn inventory(image: &Image, options: &ScanOptions<'_>) -> Result<Inventory, ScanError> {
    // A legacy docker archive states no digests of its layers' bytes: the digest of its config names none of them.
    let cache = options.cache.filter(|_| image.layers().all(|layer| layer.descriptor.has_stored_digest()));
    if let Some(known) = cache.and_then(|cache| cache.image(&image.manifest_digest, &options.limits)) {
        // The same manifest may have been read under another name.
        return Ok(Inventory { image: info(image), ..known });
    }
    let hashes = cache.map_or_else(PathHash::new, ScanCache::hashes);
    let scan = ScanResources::new(options.limits, options.cancel, options.progress, hashes);
    // Two passes and a third: links are only known when all layers are, and databases with logs when all links are.
    let mut layers = layers::read_all(image, options.threads, cache, &scan)?;
    layers::reread_linked(image, &mut layers, cache, &scan)?;
    let mut databases = WalDatabases::read(image, &layers, &scan)?;
    let contents = ImageContents::of(&layers, &scan.hashes, &mut databases);
    let inventory = Inventory {
        image: info(image),
        layers: image.layers().zip(&layers).map(|(layer, read)| layer_info(layer, read)).collect(),
        os: contents.os,
        packages: contents.packages,
        gaps: contents.gaps,
    };
    // An absent layer may be there the next time.
    if let Some(cache) = cache.filter(|_| layers.iter().all(|layer| matches!(layer, LayerRead::Read(_)))) {
        cache.put_image(&image.manifest_digest, &options.limits, &inventory);
    }
    Ok(inventory)
}

fn info(image: &Image) -> ImageInfo {
    ImageInfo {
        name: image.reference.clone(),
        digest: image.manifest_digest.clone(),
        index_digest: image.index_digest.clone(),
        config_digest: image.config_digest.clone(),
        platform: image.platform.clone(),
        base_layers: base::guess(&image.config.history),
        sbom: None,
    }
}

/// The report's record of a layer: computed from its bytes, or what the image claims of an absent one.
fn layer_info(layer: Layer<'_>, read: &LayerRead) -> LayerInfo {
    let (digest, diff_id, size) = match read {
        LayerRead::Read(layer) => (&layer.digest, &layer.diff_id, layer.size),
        LayerRead::Absent(_) => (&layer.descriptor.digest, &layer.descriptor.diff_id, 0),
    };
    LayerInfo { digest: digest.clone(), diff_id: diff_id.clone(), size, created_by: layer.descriptor.history.clone() }
}
