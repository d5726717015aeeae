//! Manifests, indexes and configs: parsing, platform choice, verification.

use super::read::{sha256, verify};
use super::{BlobKey, BlobSource, HistoryEntry, Image, ImageConfig, LayerDescriptor, SourceError};
use serde::Deserialize;
use std::collections::BTreeMap;
use tidewaiter_core::image::{Digest, Platform};

/// Largest manifest or index read; the limit registries themselves use.
pub(super) const MAX_MANIFEST: u64 = 4 << 20;
/// Largest config: those of a thousand steps have some hundred kilobytes.
pub(super) const MAX_CONFIG: u64 = 8 << 20;
/// Indexes within indexes: build tools make one level.
const MAX_NESTING: usize = 4;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlobDescriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default)]
    pub platform: Option<Platform>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl BlobDescriptor {
    /// Whether it may be an image: attestations, signatures and other artifacts share an index with the images.
    fn may_be_image(&self) -> bool {
        let unknown = |p: &Platform| p.os == "unknown" || p.architecture == "unknown";
        let marks = ["vnd.docker.reference.type", "kind"];
        let cosign = |key: &&str| *key != "kind" || self.annotations.get(*key).is_some_and(|k| k.contains("cosign"));
        let marked = marks.iter().any(|key| self.annotations.contains_key(*key) && cosign(key));
        !marked && is_image_config(self.artifact_type.as_deref()) && !self.platform.as_ref().is_some_and(unknown)
    }

    fn is_index(&self) -> bool {
        is_index_type(&self.media_type)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<BlobDescriptor>,
    #[serde(default)]
    layers: Option<Vec<BlobDescriptor>>,
    #[serde(default)]
    manifests: Option<Vec<BlobDescriptor>>,
    #[serde(default, rename = "fsLayers")]
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// What a manifest document turned out to be.
pub(super) enum ManifestDocument {
    Index(Vec<BlobDescriptor>),
    Manifest { config: BlobDescriptor, layers: Vec<BlobDescriptor> },
}

fn is_index_type(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.index.v1+json" | "application/vnd.docker.distribution.manifest.list.v2+json"
    )
}

/// Whether this is the type of an image's config, or not stated. Signatures, charts and other artifacts have manifests with configs
/// of other types (OCI image spec, "Guidelines for Artifact Usage").
fn is_image_config(media_type: Option<&str>) -> bool {
    matches!(
        media_type.unwrap_or_default(),
        "" | "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
    )
}

fn is_manifest_type(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.manifest.v1+json" | "application/vnd.docker.distribution.manifest.v2+json"
    )
}

impl ManifestDocument {
    pub(super) fn parse(bytes: &[u8], what: &str) -> Result<Self, SourceError> {
        let raw: RawManifest = serde_json::from_slice(bytes)
            .map_err(|error| SourceError::bad(what, format!("the manifest is malformed: {error}")))?;
        let subject = format!("the manifest of {what}");
        // Schema 1 states neither sizes nor diff IDs: there is nothing to verify its layers by.
        if raw.schema_version == 1 || raw.fs_layers.is_some() {
            return Err(unsupported(subject, "application/vnd.docker.distribution.manifest.v1+json"));
        }
        let stated = raw.media_type.as_deref().unwrap_or_default();
        match (raw.manifests, raw.config, raw.layers) {
            // A document that is both would be one thing here and another to the runtime (CVE-2021-41190).
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                Err(SourceError::bad(what, "the manifest is both an index and an image"))
            }
            (Some(list), None, None) if stated.is_empty() || is_index_type(stated) => Ok(Self::Index(list)),
            (None, Some(config), Some(layers)) if stated.is_empty() || is_manifest_type(stated) => {
                Ok(Self::Manifest { config, layers })
            }
            _ => Err(unsupported(subject, stated)),
        }
    }
}

fn unsupported(what: String, media_type: &str) -> SourceError {
    SourceError::UnsupportedMediaType { what, media_type: media_type.to_owned() }
}

/// Fetches what a source stores by digest. The caller verifies it before it trusts anything in it.
pub(super) trait FetchByDigest {
    fn manifest(&self, descriptor: &BlobDescriptor) -> Result<Vec<u8>, SourceError>;
    fn config(&self, descriptor: &BlobDescriptor) -> Result<Vec<u8>, SourceError>;

    /// Whether it surely does not have a manifest: an archive or a store may have one platform of an index.
    fn is_missing(&self, _: &BlobDescriptor) -> bool {
        false
    }
}

/// The platform to prefer when none is requested.
pub(super) fn host_platform() -> Platform {
    // Linux on every machine: elsewhere containers run in a virtual machine with it.
    Platform::new("linux", std::env::consts::ARCH).normalised()
}

/// Chooses the entry of an index for a platform: an exact one before one that merely runs there.
pub(super) fn choose<'a>(
    fetch: &dyn FetchByDigest,
    list: &'a [BlobDescriptor],
    wanted: Option<&Platform>,
    what: &str,
) -> Result<&'a BlobDescriptor, SourceError> {
    let images = images(fetch, list);
    // One image, and no platform asked for or stated: there is nothing to choose.
    if let ([only], true) = (&images[..], wanted.is_none() || images.iter().all(|entry| entry.platform.is_none())) {
        return Ok(only);
    }
    let host = host_platform();
    let target = wanted.unwrap_or(&host);
    let ranked = images.iter().filter_map(|entry| Some((rank(entry, target)?, *entry)));
    let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry);
    let present: Vec<&BlobDescriptor> = images.iter().copied().filter(|entry| !fetch.is_missing(entry)).collect();
    // Where nothing is there at all, the error of reading it says more.
    let best = best.filter(|best| present.is_empty() || !fetch.is_missing(best));
    best.ok_or_else(|| SourceError::NoMatchingPlatform {
        what: what.to_owned(),
        wanted: target.clone(),
        available: platforms(if present.is_empty() { &images } else { &present }),
    })
}

/// The images of an index. What an entry does not say of itself, its manifest does, if there is a choice.
pub(super) fn images<'a>(fetch: &dyn FetchByDigest, list: &'a [BlobDescriptor]) -> Vec<&'a BlobDescriptor> {
    let stated: Vec<&BlobDescriptor> = list.iter().filter(|entry| entry.may_be_image()).collect();
    if stated.len() < 2 || stated.len() > MAX_ASKED {
        return stated;
    }
    stated.into_iter().filter(|entry| entry.platform.is_some() || says_image(fetch, entry)).collect()
}

/// Manifests of an index that are asked what they are.
const MAX_ASKED: usize = 64;

/// Whether a manifest does not say that it is something else; reading a damaged one is another step's error.
fn says_image(fetch: &dyn FetchByDigest, entry: &BlobDescriptor) -> bool {
    let Ok(bytes) = fetch.manifest(entry) else { return true };
    let Ok(raw) = serde_json::from_slice::<RawManifest>(&bytes) else { return true };
    let config = raw.config.map(|config| config.media_type);
    is_image_config(raw.artifact_type.as_deref()) && is_image_config(config.as_deref())
}

/// How well an entry fits a platform, the best first; `None` for another platform's.
fn rank(entry: &BlobDescriptor, target: &Platform) -> Option<u8> {
    match &entry.platform {
        Some(platform) if platform.normalised() == target.normalised() => Some(0),
        Some(platform) if target.matches(platform) => Some(1),
        Some(_) => None,
        // A nested index may have no platform itself.
        None => Some(2),
    }
}

/// The platforms of an index, for an error's message.
fn platforms(images: &[&BlobDescriptor]) -> String {
    let platforms = images.iter().filter_map(|entry| entry.platform.as_ref());
    let mut platforms: Vec<String> = platforms.map(Platform::to_string).collect();
    platforms.dedup();
    if platforms.is_empty() { "none".to_owned() } else { platforms.join(", ") }
}

/// A manifest found by following indexes.
pub(super) struct FoundManifest {
    pub manifest_digest: Digest,
    pub index_digest: Option<Digest>,
    pub platform: Option<Platform>,
    pub config: BlobDescriptor,
    pub layers: Vec<BlobDescriptor>,
}

/// Follows indexes from a document, whose digest is given if it has one, to the manifest for a platform.
pub(super) fn follow(
    fetch: &dyn FetchByDigest,
    what: &str,
    root: &[u8],
    root_digest: Option<Digest>,
    wanted: Option<&Platform>,
) -> Result<FoundManifest, SourceError> {
    let mut document = ManifestDocument::parse(root, what)?;
    let (mut digest, mut index_digest, mut platform) = (root_digest, None, None);
    for _ in 0..=MAX_NESTING {
        match document {
            ManifestDocument::Manifest { config, layers } => {
                let manifest_digest = digest.unwrap_or_else(|| sha256(root));
                return Ok(FoundManifest { manifest_digest, index_digest, platform, config, layers });
            }
            ManifestDocument::Index(list) => {
                // The outermost one: it is what a tag names and what can be pinned.
                index_digest = index_digest.or(digest);
                let chosen = choose(fetch, &list, wanted, what)?;
                let name = format!("manifest {} of {what}", chosen.digest);
                let bytes = fetch.manifest(chosen)?;
                verify(&bytes, &name, &chosen.digest, Some(chosen.size))?;
                document = ManifestDocument::parse(&bytes, &name)?;
                // Another type than the index states would be read in another way by a runtime that trusts the index.
                if matches!(document, ManifestDocument::Index(_)) != chosen.is_index() && !chosen.media_type.is_empty()
                {
                    return Err(SourceError::bad(&name, format!("it is not of its type {}", chosen.media_type)));
                }
                platform = chosen.platform.clone().or(platform);
                digest = Some(chosen.digest.clone());
            }
        }
    }
    Err(SourceError::bad(what, format!("indexes are nested more than {MAX_NESTING} deep")))
}

#[derive(Deserialize)]
struct RawConfig {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    history: Option<Vec<HistoryEntry>>,
    rootfs: RawRootfs,
}

#[derive(Deserialize)]
struct RawRootfs {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

/// Parses an image's configuration.
pub(super) fn parse_config(bytes: &[u8], what: &str) -> Result<ImageConfig, SourceError> {
    let raw: RawConfig = serde_json::from_slice(bytes)
        .map_err(|error| SourceError::bad(what, format!("the image config is malformed: {error}")))?;
    Ok(ImageConfig {
        os: raw.os,
        architecture: raw.architecture,
        variant: raw.variant.filter(|variant| !variant.is_empty()),
        history: raw.history.unwrap_or_default(),
        diff_ids: raw.rootfs.diff_ids.unwrap_or_default(),
    })
}

/// Makes an image of a manifest: fetches and verifies its config and describes its layers.
pub(super) fn assemble(
    fetch: &dyn FetchByDigest,
    reference: &str,
    found: FoundManifest,
    wanted: Option<&Platform>,
    blobs: Box<dyn BlobSource>,
) -> Result<Image, SourceError> {
    if !is_image_config(Some(&found.config.media_type)) {
        let what = format!("the config of {reference}");
        return Err(SourceError::UnsupportedMediaType { what, media_type: found.config.media_type });
    }
    let bytes = fetch.config(&found.config)?;
    let what = format!("config {} of {reference}", found.config.digest);
    verify(&bytes, &what, &found.config.digest, Some(found.config.size))?;
    let config = parse_config(&bytes, &what)?;
    let mut layers = Vec::with_capacity(found.layers.len());
    for BlobDescriptor { digest, size, media_type, .. } in found.layers {
        let foreign = is_foreign(&media_type, &digest, reference)?;
        layers.push(StoredLayer { digest, size: Some(size), foreign, key: BlobKey::Digest });
    }
    let platform = platform_of(&config, found.platform, wanted, reference)?;
    Ok(Image {
        reference: reference.to_owned(),
        manifest_digest: found.manifest_digest,
        index_digest: found.index_digest,
        config_digest: found.config.digest,
        platform,
        layers: describe_layers(layers, &config, reference)?,
        config,
        blobs,
    })
}

/// The platform the index names, else the config's; it must be a requested one.
pub(super) fn platform_of(
    config: &ImageConfig,
    named: Option<Platform>,
    wanted: Option<&Platform>,
    what: &str,
) -> Result<Platform, SourceError> {
    let own = Platform { variant: config.variant.clone(), ..Platform::new(&config.os, &config.architecture) };
    let platform = named.unwrap_or(own);
    match wanted {
        Some(wanted) if !wanted.matches(&platform) => Err(SourceError::NoMatchingPlatform {
            what: what.to_owned(),
            wanted: wanted.clone(),
            available: platform.to_string(),
        }),
        _ => Ok(platform),
    }
}

/// What a manifest says of a layer.
pub(super) struct StoredLayer {
    pub(super) digest: Digest,
    pub(super) size: Option<u64>,
    pub(super) foreign: bool,
    pub(super) key: BlobKey,
}

/// Joins the manifest's layers with the config's diff IDs and history.
pub(super) fn describe_layers(
    layers: Vec<StoredLayer>,
    config: &ImageConfig,
    what: &str,
) -> Result<Vec<LayerDescriptor>, SourceError> {
    // Runtimes refuse it too: a layer without a diff ID could not be verified.
    if layers.len() != config.diff_ids.len() {
        let cause = format!("it has {} layers but {} diff IDs", layers.len(), config.diff_ids.len());
        return Err(SourceError::bad(what, cause));
    }
    let steps: Vec<&HistoryEntry> = config.history.iter().filter(|step| !step.empty_layer).collect();
    // Tools that squash layers keep the whole history: then no step belongs to a layer for certain.
    let aligned = steps.len() == layers.len();
    let layers = layers.into_iter().zip(&config.diff_ids).enumerate();
    Ok(layers
        .map(|(number, (StoredLayer { digest, size, foreign, key }, diff_id))| LayerDescriptor {
            digest,
            size,
            foreign,
            diff_id: diff_id.clone(),
            history: steps.get(number).filter(|_| aligned).and_then(|step| step.created_by.clone()),
            key,
        })
        .collect())
}

/// Whether a layer is a foreign one. Its bytes tell how it is compressed; its media type must say that it is a tar at all.
fn is_foreign(media_type: &str, digest: &Digest, reference: &str) -> Result<bool, SourceError> {
    // OCI appends the compression with a plus, Docker with a dot.
    let tar = media_type.strip_suffix("+gzip").or_else(|| media_type.strip_suffix("+zstd"));
    let docker_tar = media_type.strip_suffix(".gzip").or_else(|| media_type.strip_suffix(".zstd"));
    match (tar.unwrap_or(media_type), docker_tar.unwrap_or(media_type)) {
        ("application/vnd.oci.image.layer.v1.tar", _) | (_, "application/vnd.docker.image.rootfs.diff.tar") => {
            Ok(false)
        }
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", _)
        | (_, "application/vnd.docker.image.rootfs.foreign.diff.tar") => Ok(true),
        _ => Err(unsupported(format!("layer {digest} of {reference}"), media_type)),
    }
}
