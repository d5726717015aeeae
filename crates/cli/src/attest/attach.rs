//! Attaches signed statements to a digest, in the forms that cosign 2 and 3 verify.

use super::SignedStatement;
use anyhow::Result;
use jiff::{Timestamp, Unit};
use serde_json::Value;
use tidewaiter_attestation::{
    AttachedLayer, AttestationManifest, BUNDLE, BundleManifest, EMPTY_CONFIG, MANIFEST, SigstoreBundle,
    SubjectDescriptor, VerifyingKey, attestation_tag, image_config,
};
use tidewaiter_core::image::Digest;
use tidewaiter_scan::source::registry::RegistryConfig;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;
use tidewaiter_scan::source::registry::push::{PushTarget, SharedTag};
use tidewaiter_scan::source::registry::referrers::NewReferrer;

/// A repository, and the key whose statements are attached.
pub(super) struct AttestationTarget<'a> {
    repository: &'a ArtifactRepository,
    push: PushTarget,
    verifying: VerifyingKey,
    key: Digest,
    created: Timestamp,
}

impl<'a> AttestationTarget<'a> {
    pub(super) fn new(
        config: &RegistryConfig,
        repository: &'a ArtifactRepository,
        verifying: VerifyingKey,
    ) -> Result<Self> {
        let created = Timestamp::now().round(Unit::Second)?;
        let (push, key) = (PushTarget::new(config, repository.reference())?, verifying.fingerprint());
        Ok(AttestationTarget { repository, push, verifying, key, created })
    }

    /// The fingerprint of the key.
    pub(super) fn key(&self) -> &Digest {
        &self.key
    }

    /// Attaches all statements to a digest.
    pub(super) fn attach(&self, digest: &Digest, signed: &[&SignedStatement]) -> Result<()> {
        let subject = described(digest, &self.repository.manifest_of(digest)?);
        self.tag(digest, signed)?;
        signed.iter().try_for_each(|statement| self.refer(&subject, statement))
    }

    /// As a bundle that refers to the subject.
    fn refer(&self, subject: &SubjectDescriptor, statement: &SignedStatement) -> Result<()> {
        let bundle = self.blob(&SigstoreBundle::new(statement.envelope.clone(), &self.verifying).to_json())?;
        let config = self.push.blob(EMPTY_CONFIG)?;
        let manifest = BundleManifest {
            subject,
            bundle: &bundle,
            config: &config,
            predicate_type: statement.predicate_type,
            key: &self.key,
            created: self.created,
        };
        let new = NewReferrer {
            manifest: &manifest.to_json(),
            subject: &subject.digest,
            artifact_type: BUNDLE,
            annotations: &manifest.annotations(),
            replaced_by: &BundleManifest::REPLACED_BY,
        };
        self.push.referrer(self.repository, &new)?;
        Ok(())
    }

    /// As layers of the manifest with the tag of the digest.
    fn tag(&self, digest: &Digest, signed: &[&SignedStatement]) -> Result<()> {
        let layer = |statement: &&SignedStatement| {
            Ok(TypedLayer {
                layer: self.blob(&statement.envelope.to_json())?,
                predicate_type: statement.predicate_type,
            })
        };
        let layers: Vec<TypedLayer> = signed.iter().map(layer).collect::<Result<_>>()?;
        let tag = attestation_tag(digest);
        let shared = SharedTag { repository: self.repository, tag: &tag, media_type: MANIFEST };
        self.push.change(shared, |known| self.with(&tag, known, &layers), |there| holds(there, &layers))
    }

    /// The manifest with the tag, with these layers.
    fn with(&self, tag: &str, known: Option<&[u8]>, layers: &[TypedLayer]) -> Result<Vec<u8>> {
        let mut manifest = match known.map(AttestationManifest::parse).transpose() {
            Ok(known) => known.unwrap_or_default(),
            Err(refusal) => anyhow::bail!(
                "{}:{tag}: what is there stays: {refusal}; delete the tag if nobody needs it, and attest again",
                self.repository.reference().name()
            ),
        };
        for TypedLayer { layer, predicate_type } in layers {
            manifest.add(layer, predicate_type, &self.key);
        }
        let config = self.blob(&image_config(&manifest.digests()))?;
        Ok(manifest.to_json(&config))
    }

    fn blob(&self, bytes: &[u8]) -> Result<AttachedLayer> {
        Ok(AttachedLayer { digest: self.push.blob(bytes)?, size: bytes.len() as u64 })
    }
}

/// A layer, and what it says.
struct TypedLayer {
    layer: AttachedLayer,
    predicate_type: &'static str,
}

/// Whether a manifest has these layers.
fn holds(manifest: &[u8], layers: &[TypedLayer]) -> bool {
    AttestationManifest::parse(manifest).is_ok_and(|manifest| {
        let there = manifest.digests();
        layers.iter().all(|typed| there.contains(&typed.layer.digest.as_str()))
    })
}

/// The descriptor of a manifest or an index. Both may leave their media type out.
fn described(digest: &Digest, bytes: &[u8]) -> SubjectDescriptor {
    let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let unstated = match document["manifests"].is_array() {
        true => "application/vnd.oci.image.index.v1+json",
        false => MANIFEST,
    };
    let media_type = document["mediaType"].as_str().unwrap_or(unstated).to_owned();
    SubjectDescriptor { media_type, digest: digest.clone(), size: bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_described_by_its_document() {
        let check = |text: &str, expected: &str| {
            let found = described(&Digest::from_sha256([1; 32]), text.as_bytes());
            assert_eq!((found.media_type.as_str(), found.size), (expected, text.len()), "{text}");
        };
        check(
            r#"{"mediaType": "application/vnd.docker.distribution.manifest.v2+json"}"#,
            "application/vnd.docker.distribution.manifest.v2+json",
        );
        check(r#"{"manifests": []}"#, "application/vnd.oci.image.index.v1+json");
        check(r#"{"layers": []}"#, MANIFEST);
    }
}
