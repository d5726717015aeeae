//! Where images come from: OCI layouts, docker archives, directories, containerd and registries.
//!
//! Whatever the source, manifest and config are verified against the digest and size that name them before
//! anything in them is believed. A [`Layer`] gives its bytes as stored; `walk` verifies them when it has read them to the end.

pub mod base;
pub mod container_engine;
pub mod containerd;
pub mod directory;
pub mod docker_archive;
mod error;
mod files;
mod manifest;
pub mod oci_layout;
mod read;
pub mod registry;

use serde::Deserialize;
use std::io::Read;
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
    /// What manifest and config say of the layers, lowest first.
    layers: Vec<LayerDescriptor>,
    blobs: Box<dyn BlobSource>,
}

/// One layer as the manifest and the config describe it.
#[derive(Debug, Clone)]
pub struct LayerDescriptor {
    /// Digest of the bytes as stored; for legacy docker archives, which do not state it, the diff ID.
    pub digest: Digest,
    /// Size of the bytes as stored.
    pub size: Option<u64>,
    /// Whether registries need not have it.
    pub foreign: bool,
    /// Digest of the uncompressed tar stream.
    pub diff_id: Digest,
    /// The build step that made the layer, if the history has one for every layer.
    pub history: Option<String>,
    /// How its source finds the bytes.
    pub(crate) key: BlobKey,
}

/// How a source finds the bytes of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlobKey {
    /// By the digest of the bytes.
    Digest,
    /// By a path in a legacy docker archive, which states no digest of the bytes.
    Path(String),
}

impl LayerDescriptor {
    /// Whether `digest` is the one of the bytes as stored, so that the bytes can be verified and cached by it.
    pub(crate) fn has_stored_digest(&self) -> bool {
        self.key == BlobKey::Digest
    }
}

/// One layer of an image: its descriptor, and how to open it.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// What the manifest and the config say of it.
    pub descriptor: &'a LayerDescriptor,
    /// Its number from the bottom, from 0.
    pub number: usize,
    image: &'a Image,
}

impl Layer<'_> {
    /// Opens the stored (compressed) bytes. The reader fails with a [`SourceError`] inside its I/O error when there are
    /// fewer or more bytes than the descriptor says; the caller verifies the digest.
    ///
    /// # Errors
    /// When the source does not have the layer.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, SourceError> {
        let raw = self.image.blobs.open(self.descriptor)?;
        let what = format!("layer {} of {}", self.descriptor.digest, self.image.reference);
        Ok(match self.descriptor.size {
            Some(size) => Box::new(read::Exact::new(raw, what, size)),
            None => raw,
        })
    }

    /// How many layers its image has.
    pub(crate) fn siblings(&self) -> usize {
        self.image.layers.len()
    }
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
    /// Build steps, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
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

/// Opens the stored bytes of layers.
trait BlobSource: Send + Sync {
    fn open(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError>;
}

impl Image {
    /// The layers, lowest first.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer<'_>> {
        self.layers.iter().enumerate().map(|(number, descriptor)| Layer { descriptor, number, image: self })
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
