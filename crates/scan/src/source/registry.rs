//! Images in a registry, over the OCI distribution protocol.
//!
//! Manifests are fetched by tag or digest and always named by the digest of their bytes; what a header claims is ignored.
//! Blobs are streamed; their reader's caller verifies them, and a stream that breaks is resumed where it broke.

mod auth;
mod client;
pub mod credentials;

use super::manifest::{self, Descriptor, Fetch};
use super::{BlobSource, Image, LayerDescriptor, SourceError};
use client::Client;
use credentials::Credentials;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::image::{Platform, Reference};

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who we are, by host.
    pub credentials: Credentials,
    /// PEM certificates trusted beside the system's.
    pub ca_pem: Vec<Vec<u8>>,
    /// Hosts spoken to over plain HTTP; loopback hosts need no entry.
    pub plain_http: Vec<String>,
    /// Tries of one request, in all.
    pub tries: u32,
    /// Pause before the second try; doubled for each further one.
    pub pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            credentials: Credentials::default(),
            ca_pem: Vec::new(),
            plain_http: Vec::new(),
            tries: 4,
            pause: Duration::from_millis(500),
        }
    }
}

/// Opens the image a reference names, for one platform (none: this machine's).
///
/// # Errors
/// When the registry does not give it, or it is damaged.
pub fn open(config: &Config, reference: &Reference, platform: Option<&Platform>) -> Result<Image, SourceError> {
    let store = Store { client: Arc::new(Client::new(config, reference)?) };
    let what = reference.to_string();
    let bytes = store.client.manifest(&selector(reference), &what)?;
    let digest = super::sha256(&bytes);
    if let Some(named) = reference.digest() {
        super::read::verify(&bytes, &what, named, None)?;
    }
    let found = manifest::follow(&store, &what, &bytes, Some(digest), platform)?;
    let blobs = Box::new(Store { client: Arc::clone(&store.client) });
    manifest::assemble(&store, &what, found, platform, blobs)
}

/// What a manifest is asked for by: the digest where there is one, else the tag.
fn selector(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    }
}

struct Store {
    client: Arc<Client>,
}

impl Fetch for Store {
    fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let digest = &descriptor.digest;
        self.client.manifest(digest.as_str(), &format!("manifest {digest}"))
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let what = format!("config {}", descriptor.digest);
        let blob = self.client.resuming(&descriptor.digest, Some(descriptor.size), &what)?;
        super::read::read_capped(blob, &what, manifest::MAX_CONFIG)
    }
}

impl BlobSource for Store {
    fn open(&self, _: usize, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let what = format!("layer {}", layer.digest);
        Ok(Box::new(self.client.resuming(&layer.digest, layer.size, &what)?))
    }
}
