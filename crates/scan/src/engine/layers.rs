//! All layers of an image: from the cache, or read in parallel.

use crate::cache::Cache;
use crate::error::ScanError;
use crate::source::{Image, Layer};
use crate::walk::diff::LayerRead;
use crate::walk::merge::MergedView;
use crate::walk::wanted::WantedPaths;
use crate::walk::{ScanResources, expect_diff_id, read};

/// Reads every layer, at most `threads` of them concurrently.
pub(super) fn read_all(
    image: &Image,
    threads: usize,
    cache: Option<&Cache>,
    scan: &ScanResources<'_>,
) -> Result<Vec<LayerRead>, ScanError> {
    let layers: Vec<Layer<'_>> = image.layers().collect();
    let wanted = WantedPaths::default();
    tidewaiter_io::in_order(threads, &layers, |layer| read_layer(*layer, &wanted, cache, scan))
}

/// Reads layers again in which a wanted path proved to be a link to a file that was not recorded.
pub(super) fn reread_linked(
    image: &Image,
    layers: &mut [LayerRead],
    cache: Option<&Cache>,
    scan: &ScanResources<'_>,
) -> Result<(), ScanError> {
    let mut wanted = WantedPaths::default();
    let mut view = MergedView::default();
    for diff in layers.iter().filter_map(LayerRead::diff) {
        // After every layer: a link that a later layer deletes still leads to files that a package may be in until then.
        view.apply(diff, &scan.hashes);
        wanted.learn(&view, diff);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    for (layer, known) in image.layers().zip(layers) {
        if known.diff().is_some_and(|diff| wanted.concern(diff, &scan.hashes)) {
            *known = read_layer(layer, &wanted, cache, scan)?;
        }
    }
    Ok(())
}

/// Takes a layer from the cache, or reads it and puts it there.
fn read_layer(
    layer: Layer<'_>,
    wanted: &WantedPaths,
    cache: Option<&Cache>,
    scan: &ScanResources<'_>,
) -> Result<LayerRead, ScanError> {
    let (Some(cache), Some(key)) = (cache, wanted.cache_key()) else { return read::read(layer, wanted, scan) };
    let (digest, limits) = (&layer.descriptor.digest, &scan.limits);
    if let Some(known) = cache.layer(digest, &key, limits) {
        // The cache is keyed by the stored bytes' digest; what this image's config claims of the tar is its own.
        expect_diff_id(layer.descriptor, &known.diff_id)?;
        return Ok(LayerRead::Read(Box::new(known)));
    }
    let layer = read::read(layer, wanted, scan)?;
    if let LayerRead::Read(verified) = &layer {
        cache.put_layer(digest, &key, limits, verified);
    }
    Ok(layer)
}
