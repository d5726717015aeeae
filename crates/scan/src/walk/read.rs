//! Reads one layer to its end: inflated, hashed, verified, and reduced to its changeset.

use crate::error::ScanError;
use crate::source::{Layer, LayerDescriptor, SourceError};
use crate::walk::diff::{LayerRead, VerifiedLayer};
use crate::walk::stream::HashedStream;
use crate::walk::tar_walk::{LimitHit, TarWalk};
use crate::walk::verify::{expect_diff_id, expect_digest};
use crate::walk::wanted::WantedPaths;
use crate::walk::watch::Watched;
use crate::walk::{ScanResources, inflate};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use tidewaiter_archive::tar::TarError;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{Gap, GapKind};

/// Reads a layer.
///
/// # Errors
/// When its bytes cannot be read, differ from what the image says, or exceed the limits.
pub(crate) fn read(layer: Layer<'_>, wanted: &WantedPaths, scan: &ScanResources<'_>) -> Result<LayerRead, ScanError> {
    let descriptor = layer.descriptor;
    scan.progress.layer_started(layer.number, layer.siblings(), descriptor.size);
    let raw = match layer.open() {
        Err(SourceError::NotFound { .. }) if descriptor.foreign => return Ok(LayerRead::Absent(absent(descriptor))),
        other => other?,
    };
    let stored = StoredLayer { descriptor, scan };
    let mut walk = TarWalk::new(wanted, scan);
    let (diff_id, drained, finished) = std::thread::scope(|scope| {
        let watched = Watched::new(raw, layer.number, scan);
        let mut bytes = HashedStream::new(watched, scan.limits.layer_bytes, &scan.buffers, scope);
        let diff_id = stored.walk(&mut bytes, &mut walk, scope);
        // Whatever the tar is like, all stored bytes are read: their digest tells a damaged layer from a forged one.
        (diff_id, bytes.drain(), bytes.finish())
    });
    let drained = drained.map_err(|e| stored.failed(&e));
    let (digest, size) = finished.map_err(|e| stored.failed(&e))?;
    // A layer that cannot be read because its bytes are not the right ones is reported as just that.
    if drained.is_ok() && !matches!(diff_id, Err(ScanError::Source(_))) {
        expect_digest(descriptor, &digest)?;
    }
    let diff_id = diff_id?.unwrap_or_else(|| digest.clone());
    drained?;
    expect_diff_id(descriptor, &diff_id)?;
    let diff = walk.into_diff();
    scan.progress.layer_done(layer.number);
    Ok(LayerRead::Read(Box::new(VerifiedLayer { digest, diff_id, size, diff })))
}

/// The gap of a layer that its registry need not have and does not have.
fn absent(layer: &LayerDescriptor) -> Gap {
    let message = "the registry does not have this nondistributable layer; what it installs is not scanned".to_owned();
    Gap { kind: GapKind::UnreadableFile, subject: format!("layer {}", layer.digest), message }
}

/// The stored bytes of a layer while they are read.
struct StoredLayer<'a> {
    descriptor: &'a LayerDescriptor,
    scan: &'a ScanResources<'a>,
}

impl<'a> StoredLayer<'a> {
    /// Walks the layer's tar and reads all that follows it; returns the digest of the tar where it is not the one of the
    /// stored bytes.
    fn walk<'scope, 'env>(
        &self,
        bytes: &mut HashedStream<'scope, 'env, Watched<'_>>,
        walk: &mut TarWalk<'a>,
        scope: &'scope Scope<'scope, 'env>,
    ) -> Result<Option<Digest>, ScanError> {
        let limits = &self.scan.limits;
        let by_ratio = |size: u64| size.saturating_mul(limits.ratio).max(limits.ratio_from);
        // The descriptor's size is verified, so the ratio cannot be talked up.
        let max = limits.layer_bytes.min(self.descriptor.size.map_or(u64::MAX, by_ratio));
        let Some(inner) = inflate::reader(bytes).map_err(|e| self.failed(&e))? else {
            // Not compressed: the stored bytes are the tar, and there is one digest to compute.
            return self.walk_tar(bytes, walk, limits.layer_bytes).map(|()| None);
        };
        let mut tar = HashedStream::new(inner, max, &self.scan.buffers, scope);
        let result = self.walk_tar(&mut tar, walk, max);
        let (digest, _) = tar.finish().map_err(|e| self.failed(&e))?;
        result.map(|()| Some(digest))
    }

    /// Walks the entries, and reads what follows the end of the archive: no runtime unpacks it, but it is part of the
    /// digest.
    fn walk_tar<R: Read>(
        &self,
        tar: &mut HashedStream<'_, '_, R>,
        walk: &mut TarWalk<'a>,
        max: u64,
    ) -> Result<(), ScanError> {
        let result = walk.entries(&mut *tar).and_then(|()| tar.drain().map_err(TarError::from));
        match result {
            Ok(()) => Ok(()),
            // First: a stream cut at the limit fails in many other ways too.
            Err(_) if tar.is_over() => Err(self.limit("uncompressed bytes", max)),
            Err(TarError::Io(error)) => Err(self.failed(&error)),
            Err(TarError::TooLong(limit)) => Err(self.limit("bytes of a path or header", limit)),
            Err(other) => Err(self.bad(&other)),
        }
    }

    /// What an I/O error on the way means: a cancelled scan, a limit, the source's own error, or bytes that are not a layer.
    fn failed(&self, error: &io::Error) -> ScanError {
        if is_set(self.scan.cancel) {
            return ScanError::Cancelled;
        }
        if let Some(LimitHit(what, limit)) = error.get_ref().and_then(|e| e.downcast_ref()) {
            return self.limit(what, *limit);
        }
        match SourceError::from_io(error) {
            Some(source) => source.clone().into(),
            None => self.bad(error),
        }
    }

    fn limit(&self, what: &'static str, limit: u64) -> ScanError {
        ScanError::LimitExceeded { layer: self.descriptor.digest.clone(), what, limit }
    }

    fn bad(&self, cause: &dyn std::error::Error) -> ScanError {
        ScanError::BadLayer { layer: self.descriptor.digest.clone(), cause: cause.to_string() }
    }
}

fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}
