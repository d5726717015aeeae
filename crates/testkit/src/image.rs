//! Images and indexes: the documents, and the blobs they name.

use crate::digest::sha256;
use crate::layer::{LayerBuilder, LayerCompression, LayerFixture};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Media type of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Stored bytes.
#[derive(Debug, Clone)]
pub enum Blob {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file, read when asked for.
    File(PathBuf),
}

/// One document.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An image or an index with everything it needs.
#[derive(Debug, Clone)]
pub struct ImageFixture {
    /// What a tag would name.
    pub root: Manifest,
    /// Manifests below an index, by digest.
    pub manifests: BTreeMap<String, Manifest>,
    /// Configs and layers, by digest.
    pub blobs: BTreeMap<String, Blob>,
    platform: Value,
}

impl ImageFixture {
    /// Digest of the root document.
    pub fn digest(&self) -> String {
        sha256(&self.root.bytes)
    }

    /// An index of several images.
    pub fn index(images: &[ImageFixture]) -> ImageFixture {
        let entry = |image: &ImageFixture| {
            json!({"mediaType": image.root.media_type, "digest": image.digest(), "size": image.root.bytes.len(),
                "platform": image.platform})
        };
        let entries: Vec<Value> = images.iter().map(entry).collect();
        let bytes = serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})).unwrap();
        let root = Manifest { media_type: INDEX.to_owned(), bytes };
        let manifests = images.iter().map(|image| (image.digest(), image.root.clone())).collect();
        let blobs = images.iter().flat_map(|image| image.blobs.clone()).collect();
        ImageFixture { root, manifests, blobs, platform: Value::Null }
    }

    /// An image from documents that are already there.
    pub fn of(root: Manifest, manifests: BTreeMap<String, Manifest>, blobs: BTreeMap<String, Blob>) -> ImageFixture {
        ImageFixture { root, manifests, blobs, platform: Value::Null }
    }
}

/// Collects an image's layers.
#[derive(Debug)]
pub struct ImageBuilder {
    layers: Vec<(LayerFixture, String)>,
    architecture: String,
    labels: BTreeMap<String, String>,
    entrypoint: Vec<String>,
    env: Vec<String>,
    user: String,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// An image without layers, for linux/amd64.
    pub fn new() -> Self {
        ImageBuilder {
            layers: Vec::new(),
            architecture: "amd64".to_owned(),
            labels: BTreeMap::new(),
            entrypoint: Vec::new(),
            env: Vec::new(),
            user: String::new(),
        }
    }

    /// Another architecture.
    pub fn architecture(mut self, name: &str) -> Self {
        name.clone_into(&mut self.architecture);
        self
    }

    /// A label; two images that differ in nothing else have different digests.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The program it runs.
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(|w| (*w).to_owned()).collect();
        self
    }

    /// One of its environment variables, as `NAME=value`.
    pub fn env(mut self, variable: &str) -> Self {
        self.env.push(variable.to_owned());
        self
    }

    /// The user that runs it.
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// Adds a layer made by a build step.
    pub fn layer(self, step: &str, layer: LayerBuilder) -> Self {
        self.stored(step, layer.build(LayerCompression::default()))
    }

    /// Adds a layer that is already built.
    pub fn stored(mut self, step: &str, layer: LayerFixture) -> Self {
        self.layers.push((layer, step.to_owned()));
        self
    }

    /// The finished image.
    pub fn build(self) -> ImageFixture {
        let diff_ids: Vec<&str> = self.layers.iter().map(|(l, _)| l.diff_id.as_str()).collect();
        let history: Vec<Value> = self.layers.iter().map(|(_, step)| json!({"created_by": step})).collect();
        let config = json!({"os": "linux", "architecture": self.architecture,
            "config": {"Labels": self.labels, "Entrypoint": self.entrypoint, "Env": self.env, "User": self.user},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history});
        let config = serde_json::to_vec(&config).unwrap();
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|(l, _)| json!({"mediaType": l.media_type, "digest": sha256(&l.bytes), "size": l.bytes.len()}))
            .collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(&config),
                "size": config.len()},
            "layers": layers});
        let root = Manifest { media_type: MANIFEST.to_owned(), bytes: serde_json::to_vec(&manifest).unwrap() };
        let stored = self.layers.into_iter().map(|(l, _)| l.bytes).chain([config]);
        let blobs = stored.map(|bytes| (sha256(&bytes), Blob::Bytes(bytes))).collect();
        let platform = json!({"os": "linux", "architecture": self.architecture});
        ImageFixture { root, manifests: BTreeMap::new(), blobs, platform }
    }
}
