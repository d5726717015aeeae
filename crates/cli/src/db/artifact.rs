//! A database as an OCI artifact (OCI image-spec 1.1, "Guidelines for Artifact Usage"): its manifest, and where its
//! signature is.

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidewaiter_attestation::{EMPTY_CONFIG, MANIFEST};
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_core::report::DatabaseInfo;

/// The type of the artifact.
const ARTIFACT: &str = "application/vnd.tidewaiter.database.v1";
/// The media type of its first layer: the file, compressed with zstd.
const LAYER: &str = "application/vnd.tidewaiter.database.layer.v1+zstd";
/// The media type of further layers: deltas between two files. A client that does not know it takes the first layer.
const DELTA: &str = "application/vnd.tidewaiter.database.delta.v1+zstd";
/// The empty config of artifacts.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Media types of a signature's config and of its layer, as cosign has them.
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const SIGNED: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of that layer with the signature in base64.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Annotations of the database.
const ID: &str = "dev.tidewaiter.database.id";
const BUILT: &str = "dev.tidewaiter.database.built";
const CHECKSUM: &str = "dev.tidewaiter.database.checksum";
/// Annotations of a delta: the checksums of the files that it begins at and makes.
const DELTA_FROM: &str = "dev.tidewaiter.delta.from";
const DELTA_TO: &str = "dev.tidewaiter.delta.to";

/// Most signatures of one artifact that are looked at: each signer adds one.
const SIGNATURES: usize = 16;
/// Most deltas of one artifact that are looked at.
const DELTAS: usize = 16;

/// Most bytes of a database: five times those of all feeds today, and less than fills a disk unnoticed.
pub(super) const MAX_BYTES: u64 = 16 << 30;

/// What an address of a registry begins with.
pub(super) const SCHEME: &str = "oci://";

/// The reference of an address `oci://REGISTRY/REPOSITORY:TAG`.
pub(super) fn reference(address: &str) -> Result<Reference, String> {
    let parsed = match address.strip_prefix(SCHEME) {
        Some(named) => named.parse().map_err(|e| format!("{address}: {e}")),
        None => Err(format!("{address}: not an address of a registry")),
    };
    parsed.map_err(|e| format!("{e}; name it as oci://REGISTRY/REPOSITORY:TAG"))
}

/// A blob that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedBlob {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// What a manifest says of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseArtifact {
    pub(super) layer: NamedBlob,
    pub(super) info: DatabaseInfo,
    /// The checksum in the file's header; `None` if an older program pushed it.
    pub(super) checksum: Option<Digest>,
    pub(super) deltas: Vec<DeltaLayer>,
}

/// A layer that makes one file from another, both named by the checksums in their headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeltaLayer {
    pub(super) blob: NamedBlob,
    pub(super) from: Digest,
    pub(super) to: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactManifest {
    #[serde(default)]
    artifact_type: String,
    #[serde(default)]
    layers: Vec<ArtifactLayer>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLayer {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Writes the manifest of a database that says when it was built.
pub(super) fn manifest(artifact: &DatabaseArtifact, config: &Digest) -> Vec<u8> {
    let DatabaseArtifact { layer, info, checksum, deltas } = artifact;
    let title = json!({"org.opencontainers.image.title": "tidewaiter.db.zst"});
    let mut annotations = json!({"org.opencontainers.image.created": info.built, ID: info.id, BUILT: info.built});
    if let Some(checksum) = checksum {
        annotations[CHECKSUM] = checksum.as_str().into();
    }
    let whole = descriptor(LAYER, layer.digest.as_str(), layer.size, &title);
    let layers: Vec<Value> = std::iter::once(whole).chain(deltas.iter().map(delta_descriptor)).collect();
    let value = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": ARTIFACT,
        "config": descriptor(EMPTY, config.as_str(), EMPTY_CONFIG.len() as u64, &json!({})),
        "layers": layers, "annotations": annotations});
    value.to_string().into_bytes()
}

fn delta_descriptor(delta: &DeltaLayer) -> Value {
    let ends = json!({DELTA_FROM: delta.from.as_str(), DELTA_TO: delta.to.as_str()});
    descriptor(DELTA, delta.blob.digest.as_str(), delta.blob.size, &ends)
}

/// The delta of a layer, if it is one.
fn delta(layer: &ArtifactLayer) -> Option<DeltaLayer> {
    let end = |name: &str| layer.annotations.get(name)?.parse().ok();
    let blob = NamedBlob { digest: layer.digest.clone(), size: layer.size };
    (layer.media_type == DELTA).then_some(DeltaLayer { blob, from: end(DELTA_FROM)?, to: end(DELTA_TO)? })
}

/// Reads the manifest of a database.
pub(super) fn parse(bytes: &[u8]) -> Result<DatabaseArtifact> {
    let found: ArtifactManifest =
        serde_json::from_slice(bytes).map_err(|e| anyhow!("its manifest is malformed: {e}"))?;
    if found.artifact_type != ARTIFACT {
        bail!(
            "it is not a database but {:?}; name one that was pushed with: kubectl scan db push",
            found.artifact_type
        );
    }
    let Some(layer) = found.layers.first() else { bail!("its manifest has no layer; push it again") };
    if layer.media_type != LAYER {
        bail!("its layer has the unknown media type {:?}; update tidewaiter", layer.media_type);
    }
    let annotation = |name: &str| found.annotations.get(name).ok_or_else(|| anyhow!("its manifest has no {name}"));
    let built = annotation(BUILT)?.parse().map_err(|e| anyhow!("its {BUILT} is no time: {e}"))?;
    Ok(DatabaseArtifact {
        layer: NamedBlob { digest: layer.digest.clone(), size: layer.size },
        info: DatabaseInfo { id: annotation(ID)?.clone(), built: Some(built), ..DatabaseInfo::default() },
        checksum: found.annotations.get(CHECKSUM).and_then(|text| text.parse().ok()),
        deltas: found.layers.iter().filter_map(delta).take(DELTAS).collect(),
    })
}

/// The tag of a manifest's signatures, as cosign has it: `sha256-….sig`.
pub(super) fn signature_tag(manifest: &Digest) -> String {
    format!("{}.sig", manifest.as_str().replace(':', "-"))
}

/// Writes the manifest of one signature.
pub(super) fn signature_manifest(config: &NamedBlob, payload: &NamedBlob, signature: &str) -> Vec<u8> {
    let annotation = json!({SIGNATURE: signature});
    let value = json!({"schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor(IMAGE_CONFIG, config.digest.as_str(), config.size, &json!({})),
        "layers": [descriptor(SIGNED, payload.digest.as_str(), payload.size, &annotation)]});
    value.to_string().into_bytes()
}

/// The signatures in a manifest: each with the blob of its payload.
pub(super) fn signatures(bytes: &[u8]) -> Vec<(NamedBlob, String)> {
    let Ok(found) = serde_json::from_slice::<ArtifactManifest>(bytes) else { return Vec::new() };
    let signed = found.layers.into_iter().filter(|layer| layer.media_type == SIGNED).take(SIGNATURES);
    let pair = |layer: ArtifactLayer| {
        let blob = NamedBlob { digest: layer.digest, size: layer.size };
        Some((blob, layer.annotations.get(SIGNATURE)?.clone()))
    };
    signed.filter_map(pair).collect()
}

fn descriptor(media_type: &str, digest: &str, size: u64, annotations: &Value) -> Value {
    let mut value = json!({"mediaType": media_type, "digest": digest, "size": size});
    if annotations.as_object().is_some_and(|map| !map.is_empty()) {
        value["annotations"] = annotations.clone();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(byte: u8) -> NamedBlob {
        NamedBlob { digest: Digest::from_sha256([byte; 32]), size: 7 }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let built = "2026-11-29T00:00:00Z".parse().unwrap();
        let delta = DeltaLayer { blob: blob(3), from: Digest::from_sha256([4; 32]), to: Digest::from_sha256([5; 32]) };
        let written = DatabaseArtifact {
            layer: blob(1),
            info: DatabaseInfo { id: "sha256:facts".to_owned(), built: Some(built), ..DatabaseInfo::default() },
            checksum: Some(Digest::from_sha256([5; 32])),
            deltas: vec![delta],
        };
        let text = manifest(&written, &blob(2).digest);
        assert_eq!(parse(&text).unwrap(), written);
        // Layers of types to come, and deltas that do not say what they are between, are left alone.
        for (from, to) in [("delta.v1", "delta.v9"), ("delta.from", "delta.of"), ("sha256:0404", "sha999:0404")] {
            let other = String::from_utf8(text.clone()).unwrap().replace(from, to);
            assert_eq!(parse(other.as_bytes()).unwrap(), DatabaseArtifact { deltas: vec![], ..written.clone() });
        }
        // Of a program that knew no deltas.
        let older = DatabaseArtifact { checksum: None, deltas: vec![], ..written };
        assert_eq!(parse(&manifest(&older, &blob(2).digest)).unwrap(), older);
        let check = |from: &str, to: &str, cause: &str| {
            let other = String::from_utf8(text.clone()).unwrap().replace(from, to);
            let said = parse(other.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(cause), "{said}");
        };
        check("{", "", "malformed");
        check(ARTIFACT, "application/vnd.cncf.helm.config.v1+json", "not a database");
        check("layer.v1+zstd", "layer.v9", "update tidewaiter");
        check("database.id", "other", "no dev.tidewaiter.database.id");
        check("2026-11-29T", "yesterday ", "is no time");
    }

    #[test]
    fn signatures_are_found_by_tag_and_annotation() {
        let tag = signature_tag(&Digest::from_sha256([1; 32]));
        assert_eq!(tag, format!("sha256-{}.sig", "01".repeat(32)));
        let text = signature_manifest(&blob(3), &blob(4), "c2ln");
        assert_eq!(signatures(&text), [(blob(4), "c2ln".to_owned())]);
        assert_eq!(signatures(b"{}"), []);
        assert_eq!(signatures(b"x"), []);
    }

    #[test]
    fn addresses_are_references_with_a_scheme() {
        let check = |address: &str, expected: Result<&str, &str>| match (reference(address), expected) {
            (Ok(found), Ok(name)) => assert_eq!(found.to_string(), name, "{address}"),
            (Err(found), Err(cause)) => assert!(found.contains(cause), "{found}"),
            (found, _) => panic!("{address}: {found:?}"),
        };
        check("oci://r.example/db:latest", Ok("r.example/db:latest"));
        check("r.example/db", Err("oci://REGISTRY/REPOSITORY:TAG"));
        check("oci://R.example/DB", Err("oci://REGISTRY/REPOSITORY:TAG"));
    }
}
