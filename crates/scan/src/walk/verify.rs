//! Digests of what was read against those that name it.

use crate::error::{NamedDigest, ScanError};
use crate::source::LayerDescriptor;
use tidewaiter_core::image::Digest;

/// Compares the digest of a layer's stored bytes with the one that its manifest states, where it states one.
pub(super) fn expect_digest(layer: &LayerDescriptor, actual: &Digest) -> Result<(), ScanError> {
    if layer.has_stored_digest() { expect(layer, NamedDigest::Layer, &layer.digest, actual) } else { Ok(()) }
}

/// Compares the digest of a layer's tar with the one that the config states.
pub(crate) fn expect_diff_id(layer: &LayerDescriptor, actual: &Digest) -> Result<(), ScanError> {
    expect(layer, NamedDigest::DiffId, &layer.diff_id, actual)
}

fn expect(layer: &LayerDescriptor, what: NamedDigest, expected: &Digest, actual: &Digest) -> Result<(), ScanError> {
    if expected == actual {
        return Ok(());
    }
    let (layer, expected, actual) = (layer.digest.clone(), expected.clone(), actual.clone());
    Err(ScanError::Mismatch { layer, what, expected, actual })
}
