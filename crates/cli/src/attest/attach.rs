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
use tidewaiter_scan::source::registry::push::PushTarget;
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
        let tag = attestation_tag(digest);
        let known = self.repository.tagged(&tag)?;
        let mut manifest = known.map(|bytes| AttestationManifest::parse(&bytes)).unwrap_or_default();
        for statement in signed {
            let layer = self.blob(&statement.envelope.to_json())?;
            manifest.add(&layer, statement.predicate_type, &self.key);
        }
        let config = self.blob(&image_config(&manifest.digests()))?;
        self.push.manifest(&tag, MANIFEST, &manifest.to_json(&config))?;
        Ok(())
    }

    fn blob(&self, bytes: &[u8]) -> Result<AttachedLayer> {
        Ok(AttachedLayer { digest: self.push.blob(bytes)?, size: bytes.len() as u64 })
    }
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
