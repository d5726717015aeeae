//! All layers of an image: from the cache, or read in parallel.

use crate::cache::{LayerLookup, ScanCache};
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
    cache: Option<ScanCache<'_>>,
    scan: &ScanResources<'_>,
) -> Result<Vec<LayerRead>, ScanError> {
    let layers: Vec<Layer<'_>> = image.layers().collect();
    let wanted = WantedPaths::default();
    let try_layer = |layer: &Layer<'_>| try_layer(*layer, &wanted, cache, scan);
    let mut all = tidewaiter_io::in_order(threads, &layers, try_layer)?;
    // Last: meanwhile another process may have read those that it was reading.
    let busy: Vec<Layer<'_>> =
        layers.iter().zip(&all).filter(|(_, read)| read.is_none()).map(|(layer, _)| *layer).collect();
    let read = tidewaiter_io::in_order(threads, &busy, |layer| read_layer(*layer, &wanted, cache, scan))?;
    for (layer, read) in busy.iter().zip(read) {
        if let Some(place) = all.get_mut(layer.number) {
            *place = Some(read);
        }
    }
    Ok(all.into_iter().flatten().collect())
}

/// Reads layers again in which a wanted path proved to be a link to a file that was not recorded.
pub(super) fn reread_linked(
    image: &Image,
    layers: &mut [LayerRead],
    cache: Option<ScanCache<'_>>,
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

/// Takes a layer from the cache, or reads it and puts it there. Waits for another process that reads it.
fn read_layer(
    layer: Layer<'_>,
    wanted: &WantedPaths,
    cache: Option<ScanCache<'_>>,
    scan: &ScanResources<'_>,
) -> Result<LayerRead, ScanError> {
    loop {
        if let Some(read) = try_layer(layer, wanted, cache, scan)? {
            return Ok(read);
        }
        cache.into_iter().for_each(ScanCache::wait);
    }
}

/// The same without waiting: `None` while another process reads the layer.
fn try_layer(
    layer: Layer<'_>,
    wanted: &WantedPaths,
    cache: Option<ScanCache<'_>>,
    scan: &ScanResources<'_>,
) -> Result<Option<LayerRead>, ScanError> {
    let (Some(cache), Some(key)) = (cache, wanted.cache_key()) else {
        return read::read(layer, wanted, scan).map(Some);
    };
    let slot = match cache.layer(&layer.descriptor.digest, &key, &scan.limits) {
        LayerLookup::Known(known) => {
            // The cache is keyed by the stored bytes' digest; what this image's config claims of the tar is its own. Where they
            // differ, the bytes tell which of them is wrong: an entry may be made up.
            if expect_diff_id(layer.descriptor, &known.diff_id).is_err() {
                return read::read(layer, wanted, scan).map(Some);
            }
            return Ok(Some(LayerRead::Read(known)));
        }
        LayerLookup::Unknown(slot) => slot,
        LayerLookup::Busy => return Ok(None),
    };
    let read = read::read(layer, wanted, scan)?;
    if let LayerRead::Read(verified) = &read {
        slot.store(verified);
    }
    Ok(Some(read))
}
