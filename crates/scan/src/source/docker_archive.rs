//! Archives made by `docker save` (and OCI layouts packed in a tar file), read without unpacking.

use super::files::{Files, TarArchive};
use super::manifest::{MAX_CONFIG, MAX_MANIFEST, StoredLayer, describe_layers, parse_config, platform_of};
use super::read::sha256;
use super::{BlobKey, BlobSource, Image, LayerDescriptor, SourceError, oci_layout};
use serde::Deserialize;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tidewaiter_core::image::{Digest, Platform};

/// An entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Opens the image in a `docker save` archive; one that also is an OCI layout is read as such.
///
/// # Errors
/// When the file is not such an archive, has several images, or the image is damaged.
pub fn open(path: &Path, platform: Option<&Platform>) -> Result<Image, SourceError> {
    open_files(Arc::new(TarArchive::index(path)?), &path.display().to_string(), platform)
}

/// Opens the image in an archive that has these files.
pub(super) fn open_files(files: Arc<dyn Files>, name: &str, platform: Option<&Platform>) -> Result<Image, SourceError> {
    // Docker 25 and later write both: the layout states digests of the stored bytes, `manifest.json` none.
    if files.has("oci-layout") && files.has("index.json") {
        return oci_layout::open_files(files, name, platform);
    }
    if !files.has("manifest.json") {
        return Err(SourceError::bad(name, "it has neither index.json nor manifest.json"));
    }
    let list: Vec<SavedImage> = serde_json::from_slice(&files.read("manifest.json", MAX_MANIFEST)?)
        .map_err(|error| SourceError::bad(name, format!("manifest.json is malformed: {error}")))?;
    match &list[..] {
        [saved] => open_saved(files, name, saved, platform),
        several => {
            let tags: Vec<&str> =
                several.iter().flat_map(|s| s.repo_tags.iter().flatten()).map(String::as_str).collect();
            let cause = format!("it has {} images ({}); save one image per archive", several.len(), tags.join(", "));
            Err(SourceError::bad(name, cause))
        }
    }
}

fn open_saved(
    files: Arc<dyn Files>,
    name: &str,
    saved: &SavedImage,
    wanted: Option<&Platform>,
) -> Result<Image, SourceError> {
    let bytes = files.read(&saved.config, MAX_CONFIG)?;
    let config_digest = sha256(&bytes);
    // Both layouts name the config by its digest.
    let stem = saved.config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    if let Ok(expected) = format!("sha256:{stem}").parse::<Digest>()
        && expected != config_digest
    {
        let what = format!("config {} of {name}", saved.config);
        return Err(SourceError::DigestMismatch { what, expected, actual: config_digest });
    }
    let config = parse_config(&bytes, name)?;
    let mut layers = Vec::with_capacity(saved.layers.len());
    for (number, path) in saved.layers.iter().enumerate() {
        let (_, size) = files.open(path)?;
        // The archive states no digest of the stored bytes. Where a diff ID is missing too, `describe_layers` refuses.
        let digest = config.diff_ids.get(number).unwrap_or(&config_digest).clone();
        layers.push(StoredLayer { digest, size: Some(size), foreign: false, key: BlobKey::Path(path.clone()) });
    }
    let platform = platform_of(&config, None, wanted, name)?;
    let layers = describe_layers(layers, &config, name)?;
    let blobs = Box::new(SavedLayers { files });
    Ok(Image {
        reference: name.to_owned(),
        manifest_digest: config_digest.clone(),
        index_digest: None,
        config_digest,
        platform,
        config,
        layers,
        blobs,
    })
}

/// Layers by their path in the archive.
struct SavedLayers {
    files: Arc<dyn Files>,
}

impl BlobSource for SavedLayers {
    fn open(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let path = match &layer.key {
            BlobKey::Path(path) => path,
            BlobKey::Digest => layer.digest.as_str(),
        };
        Ok(self.files.open(path)?.0)
    }
}
