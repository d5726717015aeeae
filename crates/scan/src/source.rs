//! Where images come from: OCI layouts, docker archives, directories, containerd and registries.
//!
//! Whatever the source, manifest and config are verified against the digest and size that name them before
//! anything in them is believed. Layers are handed out as stored; who reads them to the end verifies them.

pub mod base;
pub mod containerd;
pub mod directory;
pub mod docker_archive;
mod error;
mod files;
mod manifest;
pub mod oci_layout;
mod read;
pub mod registry;

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use tidewaiter_core::image::{Digest, Platform};

pub use error::SourceError;
pub use read::sha256;

/// One image for one platform, opened and with its manifest and config verified.
pub struct Image {
    /// Name under which the image was opened: a reference or a path.
    pub reference: String,
    /// Digest of the manifest's bytes. A legacy docker archive has no manifest: there it is the config's digest.
    pub manifest_digest: Digest,
    /// Digest of the outermost index the manifest was chosen from.
    pub index_digest: Option<Digest>,
    /// Digest of the config's bytes, also called image id.
    pub config_digest: Digest,
    /// Platform of this image.
    pub platform: Platform,
    /// The image's configuration.
    pub config: ImageConfig,
    /// Layers, lowest first.
    pub layers: Vec<LayerDescriptor>,
    blobs: Box<dyn BlobSource>,
}

/// One layer as the manifest and the config describe it.
#[derive(Debug, Clone)]
pub struct LayerDescriptor {
    /// Digest of the bytes as stored; for legacy docker archives, which do not state it, the diff id.
    pub digest: Digest,
    /// Size of the bytes as stored.
    pub size: Option<u64>,
    /// Whether registries may not distribute it: it may be absent.
    pub foreign: bool,
    /// Digest of the uncompressed tar stream.
    pub diff_id: Digest,
    /// The build step that made the layer, if the history says so for every layer.
    pub history: Option<String>,
    /// Whether `digest` names the bytes as stored. False only in legacy docker archives.
    pub digest_is_stored: bool,
}

/// The parts of an image's configuration that a scan uses.
#[derive(Debug, Clone, Default)]
pub struct ImageConfig {
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub architecture: String,
    /// Variant of the architecture.
    pub variant: Option<String>,
    /// Creation time as written.
    pub created: Option<String>,
    /// Build steps, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// One build step.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct HistoryEntry {
    /// The command.
    #[serde(default)]
    pub created_by: Option<String>,
    /// Whether the step made no layer.
    #[serde(default)]
    pub empty_layer: bool,
}

/// Opens the stored bytes of a layer.
trait BlobSource: Send + Sync {
    fn open(&self, index: usize, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError>;
}

impl Image {
    /// The stored (compressed) bytes of a layer. The reader fails with a [`SourceError`] inside its I/O error
    /// when there are fewer or more bytes than the descriptor says; the digest is for the caller to verify.
    ///
    /// # Errors
    /// When there is no such layer or its source cannot give it.
    pub fn open_layer(&self, index: usize) -> Result<Box<dyn Read + Send>, SourceError> {
        let layer = self
            .layers
            .get(index)
            .ok_or_else(|| SourceError::bad(&self.reference, format!("it has no layer number {index}")))?;
        let raw = self.blobs.open(index, layer)?;
        let what = format!("layer {} of {}", layer.digest, self.reference);
        Ok(match layer.size {
            Some(size) => Box::new(read::Exact::new(raw, what, size)),
            None => raw,
        })
    }

    /// Like [`Image::open_layer`]; the end of the stream is reached only if the digest is right too.
    ///
    /// # Errors
    /// As [`Image::open_layer`].
    pub fn open_layer_verified(&self, index: usize) -> Result<Box<dyn Read + Send>, SourceError> {
        let raw = self.open_layer(index)?;
        let Some(layer) = self.layers.get(index).filter(|layer| layer.digest_is_stored) else { return Ok(raw) };
        let what = format!("layer {} of {}", layer.digest, self.reference);
        Ok(Box::new(read::Verified::new(raw, what, layer.digest.clone())))
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("reference", &self.reference)
            .field("manifest_digest", &self.manifest_digest)
            .field("platform", &self.platform)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}
