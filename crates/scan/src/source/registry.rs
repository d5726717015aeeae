//! Images in a registry, over the OCI distribution protocol.
//!
//! Manifests are fetched by tag or digest and always named by the digest of their bytes; what a header claims is ignored.
//! Blobs are streamed and resumed where a stream breaks; `walk` verifies layers, `manifest` the rest.

mod access;
pub mod address;
pub mod artifact;
mod attempt;
pub mod attestations;
pub mod auth;
mod client;
pub mod credentials;
mod endpoint;
mod helper;
pub mod hosts;
mod keys;
pub mod login_files;
mod pace;
pub mod push;
pub mod referrers;
pub mod token_services;

use super::manifest::{self, BlobDescriptor, FetchByDigest, ManifestDocument};
use super::{BlobSource, Image, LayerDescriptor, SourceError};
use address::Addresses;
use artifact::ArtifactRepository;
use client::RegistryClient;
use credentials::Credentials;
use hosts::RegistryHosts;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::image::{Digest, Platform, Reference};
use token_services::TokenServices;

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// Credentials by host.
    pub credentials: Credentials,
    /// PEM certificates trusted in addition to the system's.
    pub ca_pem: Vec<Vec<u8>>,
    /// Hosts to which requests are sent over plain HTTP; loopback hosts need no entry.
    pub plain_http: Vec<String>,
    /// Where connections may go.
    pub addresses: Addresses,
    /// Where logins may be sent to.
    pub token_services: TokenServices,
    /// Hosts that stand in for registries; a push goes to the registry itself.
    pub hosts: RegistryHosts,
    /// How long the registry itself is not asked, because its limit is reached: where it has mirrors, those are asked alone.
    pub held: Option<Duration>,
    /// Maximum tries of one request.
    pub tries: u32,
    /// Pause before the second try; doubled for each further one.
    pub pause: Duration,
    /// Longest pause between two tries. A registry that asks for a longer one has failed, and so has one of which this many
    /// pauses (`tries`) were spent on waiting for answers.
    pub patience: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        RegistryConfig {
            credentials: Credentials::default(),
            ca_pem: Vec::new(),
            plain_http: Vec::new(),
            addresses: Addresses::Any,
            hosts: RegistryHosts::default(),
            held: None,
            token_services: TokenServices::Any,
            // With the pauses below 3.5 s: a registry that restarts or limits requests for a moment is not a failed
            // scan.
            tries: 4,
            pause: Duration::from_millis(500),
            patience: Duration::from_secs(30),
        }
    }
}

/// Opens the image a reference names, for one platform (none: this machine's).
///
/// # Errors
/// When the registry does not give it, or it is damaged.
pub fn open(config: &RegistryConfig, reference: &Reference, platform: Option<&Platform>) -> Result<Image, SourceError> {
    Root::fetch(config, reference)?.image(platform)
}

/// What a reference names, and the images that nodes of the given platforms would run of it.
#[derive(Debug)]
pub struct NodeImages {
    /// Digest of the bytes the reference names: an index, or a manifest.
    pub digest: Digest,
    /// Each manifest once, with the first node platform that runs it.
    pub images: Vec<(Platform, Image)>,
    /// Whether the registry itself accepted a login.
    pub logged_in: bool,
}

/// Opens every image that nodes of these platforms would run. Node platforms that an index has nothing for are left
/// out, as no runtime finds anything to run there. A reference that does not name an index gives its one image.
///
/// # Errors
/// As [`open`]; also when the image has nothing for any of the platforms.
pub fn open_for_nodes(
    config: &RegistryConfig,
    reference: &Reference,
    nodes: &[Platform],
) -> Result<NodeImages, SourceError> {
    let root = Root::fetch(config, reference)?;
    let mut images: Vec<(Platform, Image)> = Vec::new();
    let mut nothing = None;
    for node in nodes {
        match root.image_for_node(node) {
            // Nodes of several platforms may run one image: it is judged once.
            Ok(image) if images.iter().any(|(_, known)| known.manifest_digest == image.manifest_digest) => {}
            Ok(image) => images.push((node.clone(), image)),
            Err(error @ SourceError::NoMatchingPlatform { .. }) => nothing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (images.is_empty(), nothing) {
        (true, Some(error)) => Err(error),
        _ => Ok(NodeImages { logged_in: root.client.logs_in(), digest: root.digest, images }),
    }
}

/// The document a reference names, verified.
struct Root {
    client: Arc<RegistryClient>,
    what: String,
    bytes: Vec<u8>,
    digest: Digest,
}

impl Root {
    fn fetch(config: &RegistryConfig, reference: &Reference) -> Result<Self, SourceError> {
        let client = Arc::new(RegistryClient::new(config, reference)?);
        let what = reference.to_string();
        let bytes = client.manifest(&selector(reference), &what)?;
        if let Some(named) = reference.digest() {
            // The bytes are hashed: what a registry says of them in a header proves nothing (CVE-2022-47633).
            super::read::verify(&bytes, &what, named, None)?;
        }
        let digest = super::sha256(&bytes);
        Ok(Root { client, what, bytes, digest })
    }

    fn image(&self, platform: Option<&Platform>) -> Result<Image, SourceError> {
        let store = || RegistryBlobs { client: Arc::clone(&self.client) };
        let found = manifest::follow(&store(), &self.what, &self.bytes, Some(self.digest.clone()), platform)?;
        manifest::assemble(&store(), &self.what, found, platform, Box::new(store()))
    }

    /// What a runtime on `node` would choose: its own platform, else an older one it still runs.
    fn image_for_node(&self, node: &Platform) -> Result<Image, SourceError> {
        let mut first = None;
        for platform in node.runs() {
            match self.image(Some(&platform)) {
                Err(error @ SourceError::NoMatchingPlatform { .. }) => first = first.or(Some(error)),
                other => return other,
            }
        }
        Err(first.unwrap_or_else(|| SourceError::bad(&self.what, "no platform was asked for")))
    }
}

/// The name by which a manifest is requested: the digest where there is one, else the tag.
fn selector(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    }
}

/// An entry of an index that may be an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexImage {
    /// Its manifest, or an index within the index.
    pub digest: Digest,
    /// Its platform, where the index states it.
    pub platform: Option<Platform>,
}

impl ArtifactRepository {
    /// What of an index may be an image: that among which [`open`] chooses. Nothing for a manifest.
    ///
    /// # Errors
    /// When the document is neither.
    pub fn images(&self, document: &[u8]) -> Result<Vec<IndexImage>, SourceError> {
        let ManifestDocument::Index(list) = ManifestDocument::parse(document, &self.reference().to_string())? else {
            return Ok(Vec::new());
        };
        let images = manifest::images(&RegistryBlobs { client: Arc::clone(&self.client) }, &list).into_iter();
        Ok(images.map(|entry| IndexImage { digest: entry.digest.clone(), platform: entry.platform.clone() }).collect())
    }
}

struct RegistryBlobs {
    client: Arc<RegistryClient>,
}

impl FetchByDigest for RegistryBlobs {
    fn manifest(&self, descriptor: &BlobDescriptor) -> Result<Vec<u8>, SourceError> {
        let digest = &descriptor.digest;
        self.client.manifest(digest.as_str(), &format!("manifest {digest}"))
    }

    fn config(&self, descriptor: &BlobDescriptor) -> Result<Vec<u8>, SourceError> {
        let what = format!("config {}", descriptor.digest);
        let blob = self.client.resuming(&descriptor.digest, Some(descriptor.size), &what)?;
        super::read::read_capped(blob, &what, manifest::MAX_CONFIG)
    }
}

impl BlobSource for RegistryBlobs {
    fn open(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let what = format!("layer {}", layer.digest);
        Ok(Box::new(self.client.resuming(&layer.digest, layer.size, &what)?))
    }
}
