//! How a registry stores attestations of a digest: as Sigstore bundles that refer to it, which cosign 3 writes and reads, and as
//! layers of one manifest with a tag made of it (`ATTESTATION_SPEC.md` of cosign), which every cosign reads.

use crate::refusal::Refusal;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tidewaiter_core::image::Digest;

/// The media type of manifests.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The type of a Sigstore bundle that refers to a manifest, and of its layer.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Bytes of the empty config of artifacts.
pub const EMPTY_CONFIG: &[u8] = b"{}";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of layers that are envelopes.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// Annotations of a bundle's manifest, as cosign has them.
const CONTENT: &str = "dev.sigstore.bundle.content";
/// What the attestation says: of a bundle, and of a layer.
const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";
const LAYER_PREDICATE: &str = "predicateType";
/// Of a layer: its signature, which an envelope has inside. Without it cosign does not look at a layer.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The fingerprint of the key, of ours alone: a new attestation takes the place of the last one with the same type and key. Nobody
/// signed it, so nothing else is decided by it.
const KEY: &str = "dev.tidewaiter.attestation.key";

/// Most attestations of one digest that are looked at.
const ATTESTATIONS: usize = 16;

/// A manifest that something refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectDescriptor {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: usize,
}

/// A blob that holds an attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedLayer {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

/// A bundle that is about to be attached.
#[derive(Debug)]
pub struct BundleManifest<'a> {
    /// What it refers to.
    pub subject: &'a SubjectDescriptor,
    /// The blob of the bundle.
    pub bundle: &'a AttachedLayer,
    /// The blob of [`EMPTY_CONFIG`].
    pub config: &'a Digest,
    /// What it says.
    pub predicate_type: &'a str,
    /// The fingerprint of the key.
    pub key: &'a Digest,
    /// When it was made.
    pub created: Timestamp,
}

impl BundleManifest<'_> {
    /// The annotations by which a bundle takes the place of another one.
    pub const REPLACED_BY: [&'static str; 2] = [BUNDLE_PREDICATE, KEY];

    /// The annotation with what a bundle says, by which the others need not be read.
    pub const PREDICATE: &'static str = BUNDLE_PREDICATE;

    /// Its annotations.
    pub fn annotations(&self) -> Value {
        json!({"org.opencontainers.image.created": self.created, CONTENT: "dsse-envelope",
            BUNDLE_PREDICATE: self.predicate_type, KEY: self.key.as_str()})
    }

    /// The manifest.
    pub fn to_json(&self) -> Vec<u8> {
        let SubjectDescriptor { media_type, digest, size } = self.subject;
        let value = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
            "config": {"mediaType": EMPTY, "digest": self.config.as_str(), "size": EMPTY_CONFIG.len()},
            "layers": [{"mediaType": BUNDLE, "digest": self.bundle.digest.as_str(), "size": self.bundle.size}],
            "subject": {"mediaType": media_type, "digest": digest.as_str(), "size": size},
            "annotations": self.annotations()});
        value.to_string().into_bytes()
    }
}

/// The bundle that a manifest has, if it has one.
pub fn bundle_layer(manifest: &[u8]) -> Option<AttachedLayer> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    layers(&manifest).iter().find(|layer| layer["mediaType"] == BUNDLE).and_then(attached)
}

/// The tag of a digest's attestations: `sha256-….att`.
pub fn attestation_tag(subject: &Digest) -> String {
    format!("{}.att", subject.as_str().replace(':', "-"))
}

/// The manifest with that tag: a layer for each attestation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttestationManifest {
    /// As they were found: others have annotations of their own.
    layers: Vec<Value>,
}

impl AttestationManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for what has no layers: it is somebody's, and must not give way to a manifest without them.
    pub fn parse(manifest: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct LayeredManifest {
            layers: Vec<Value>,
        }
        let read: serde_json::Result<LayeredManifest> = serde_json::from_slice(manifest);
        let LayeredManifest { layers } = read.map_err(|error| Refusal::Malformed(error.to_string()))?;
        Ok(AttestationManifest { layers })
    }

    /// Adds an envelope, in place of the last one by the same key that says the same.
    pub fn add(&mut self, envelope: &AttachedLayer, predicate_type: &str, key: &Digest) {
        let annotations = json!({SIGNATURE: "", LAYER_PREDICATE: predicate_type, KEY: key.as_str()});
        self.layers.retain(|layer| layer["annotations"] != annotations);
        let AttachedLayer { digest, size } = envelope;
        self.layers
            .push(json!({"mediaType": ENVELOPE, "digest": digest.as_str(), "size": size, "annotations": annotations}));
    }

    /// The envelopes that say this, or do not tell what they say; the newest first, some at most.
    pub fn envelopes(&self, predicate_type: &str) -> Vec<AttachedLayer> {
        let says =
            |layer: &&Value| layer["annotations"][LAYER_PREDICATE].as_str().is_none_or(|said| said == predicate_type);
        let envelopes = self.layers.iter().rev().filter(|layer| layer["mediaType"] == ENVELOPE);
        envelopes.filter(says).filter_map(attached).take(ATTESTATIONS).collect()
    }

    /// The digests of its layers.
    pub fn digests(&self) -> Vec<&str> {
        self.layers.iter().filter_map(|layer| layer["digest"].as_str()).collect()
    }

    /// The manifest; `config` is the blob of [`image_config`].
    pub fn to_json(&self, config: &AttachedLayer) -> Vec<u8> {
        let config = json!({"mediaType": IMAGE_CONFIG, "digest": config.digest.as_str(), "size": config.size});
        let value = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": self.layers});
        value.to_string().into_bytes()
    }
}

/// The config of what is stored as an image: without files, because registries and cosign expect one.
pub fn image_config(layers: &[&str]) -> Vec<u8> {
    let value = json!({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": layers}});
    value.to_string().into_bytes()
}

fn layers(manifest: &Value) -> &[Value] {
    manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn attached(layer: &Value) -> Option<AttachedLayer> {
    Some(AttachedLayer { digest: layer["digest"].as_str()?.parse().ok()?, size: layer["size"].as_u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(byte: u8) -> AttachedLayer {
        AttachedLayer { digest: Digest::from_sha256([byte; 32]), size: byte.into() }
    }

    #[test]
    fn a_bundle_is_found_in_its_manifest() {
        let subject = SubjectDescriptor { media_type: MANIFEST.to_owned(), digest: layer(1).digest, size: 7 };
        let (bundle, config, key) = (layer(2), layer(3).digest, layer(4).digest);
        let created = "2026-11-30T12:00:00Z".parse().unwrap();
        let written = BundleManifest {
            subject: &subject,
            bundle: &bundle,
            config: &config,
            predicate_type: "p",
            key: &key,
            created,
        };
        let text = written.to_json();
        assert_eq!(bundle_layer(&text), Some(layer(2)));
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["subject"], json!({"mediaType": MANIFEST, "digest": subject.digest.as_str(), "size": 7}));
        assert_eq!(value["annotations"]["dev.sigstore.bundle.predicateType"], "p");
        for other in ["", "{}", r#"{"layers": [{"mediaType": "x"}]}"#] {
            assert_eq!(bundle_layer(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn attestations_are_added_to_those_of_others() {
        let (own, other) = (layer(7).digest, layer(8).digest);
        let of_cosign = json!({"layers": [{"mediaType": ENVELOPE, "digest": layer(1).digest.as_str(), "size": 1,
            "annotations": {"dev.cosignproject.cosign/signature": "", "predicateType": "a"}},
            {"mediaType": "x", "digest": layer(9).digest.as_str(), "size": 9}]});
        let mut manifest = AttestationManifest::parse(of_cosign.to_string().as_bytes()).unwrap();
        manifest.add(&layer(2), "a", &own);
        manifest.add(&layer(3), "b", &own);
        manifest.add(&layer(4), "a", &other);
        manifest.add(&layer(5), "a", &own);
        let again = AttestationManifest::parse(&manifest.to_json(&layer(6))).unwrap();
        assert_eq!(again, manifest);
        assert_eq!(again.envelopes("a"), [layer(5), layer(4), layer(1)]);
        assert_eq!(again.envelopes("b"), [layer(3)]);
        assert_eq!(again.digests().len(), 5);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let check = |text: &str, expected: Option<usize>| {
            let read = AttestationManifest::parse(text.as_bytes()).ok();
            assert_eq!(read.map(|manifest| manifest.envelopes("a").len()), expected, "{text}");
        };
        check("", None);
        check("<html></html>", None);
        check("{}", None);
        check(r#"{"layers": 1}"#, None);
        check(r#"{"manifests": []}"#, None);
        check(r#"{"layers": []}"#, Some(0));
        check(r#"{"layers": [{"mediaType": "application/vnd.dsse.envelope.v1+json"}]}"#, Some(0));
        let many =
            vec![json!({"mediaType": ENVELOPE, "digest": layer(1).digest.as_str(), "size": 1}); ATTESTATIONS + 1];
        let many = AttestationManifest::parse(json!({"layers": many}).to_string().as_bytes()).unwrap();
        assert_eq!(many.envelopes("a").len(), ATTESTATIONS);
    }
}
