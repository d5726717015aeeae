//! OCI image layouts on disk.

use crate::image::{Blob, INDEX, ImageFixture, MANIFEST, Manifest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Writes an image as an OCI layout.
pub fn write(dir: &Path, image: &ImageFixture) {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |digest: &str, bytes: &[u8]| fs::write(blobs.join(hex(digest)), bytes).unwrap();
    put(&image.digest(), &image.root.bytes);
    image.manifests.iter().for_each(|(digest, manifest)| put(digest, &manifest.bytes));
    for (digest, blob) in &image.blobs {
        put(digest, &blob.read());
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": image.root.media_type, "digest": image.digest(), "size": image.root.bytes.len()}]});
    fs::write(dir.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// Reads the first image of a layout; its blobs stay in their files.
pub fn read(dir: &Path) -> ImageFixture {
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
    let root = manifest(dir, &index["manifests"][0]);
    let document: Value = serde_json::from_slice(&root.bytes).unwrap();
    let below: Vec<&Value> = document["manifests"].as_array().into_iter().flatten().collect();
    let manifests: BTreeMap<String, Manifest> =
        below.iter().map(|entry| (entry["digest"].as_str().unwrap().to_owned(), manifest(dir, entry))).collect();
    let mut blobs = BTreeMap::new();
    for bytes in manifests.values().map(|m| &m.bytes).chain([&root.bytes]) {
        let document: Value = serde_json::from_slice(bytes).unwrap();
        for named in document["layers"].as_array().into_iter().flatten().chain(document.get("config")) {
            let digest = named["digest"].as_str().unwrap();
            blobs.insert(digest.to_owned(), Blob::File(dir.join("blobs/sha256").join(hex(digest))));
        }
    }
    ImageFixture::of(root, manifests, blobs)
}

fn manifest(dir: &Path, descriptor: &Value) -> Manifest {
    let digest = descriptor["digest"].as_str().unwrap();
    let bytes = fs::read(dir.join("blobs/sha256").join(hex(digest))).unwrap();
    Manifest { media_type: descriptor["mediaType"].as_str().unwrap_or(MANIFEST).to_owned(), bytes }
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

impl Blob {
    /// Its bytes.
    pub fn read(&self) -> Vec<u8> {
        match self {
            Blob::Bytes(bytes) => bytes.clone(),
            Blob::File(path) => fs::read(path).unwrap(),
        }
    }
}
