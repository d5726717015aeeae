//! What is attached to a digest and may be what is looked for: nothing of it is believed here.

use serde::Serialize;
use tidewaiter_attestation::{
    AttachedLayer, AttestationManifest, BUNDLE, BundleManifest, Envelope, Refusal, SigstoreBundle, attestation_tag,
    bundle_layer,
};
use tidewaiter_core::image::Digest;
use tidewaiter_scan::source::SourceError;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// Most bytes of an attestation: the report of an image with 20,000 packages has a third of it.
const MAX_ATTESTATION: u64 = 64 << 20;

/// The attestations of a digest.
pub(super) struct AttestationCandidates {
    all: Vec<(String, Result<Envelope, String>)>,
}

/// What does not count, and why.
#[derive(Debug, Serialize)]
pub(super) struct RefusedCandidate {
    /// Where it is.
    pub(super) place: String,
    /// Why.
    pub(super) why: String,
}

impl AttestationCandidates {
    /// What refers to a digest, and what has its tag, as far as it does not say that it is about something else.
    pub(super) fn find(
        repository: &ArtifactRepository,
        digest: &Digest,
        predicate_type: &str,
    ) -> Result<Self, SourceError> {
        let mut found = AttestationCandidates { all: Vec::new() };
        for referrer in repository.referrers(digest, BUNDLE)? {
            let said = referrer.annotations.get(BundleManifest::PREDICATE);
            if said.is_none_or(|said| said == predicate_type) {
                found.add(format!("bundle {}", referrer.digest), bundle(repository, &referrer.digest));
            }
        }
        let tag = attestation_tag(digest);
        if let Some(manifest) = repository.tagged(&tag)? {
            for layer in AttestationManifest::parse(&manifest).envelopes(predicate_type) {
                found.add(format!("{tag}, layer {}", layer.digest), envelope(repository, &layer));
            }
        }
        Ok(found)
    }

    /// Adds one; in most registries each is attached in two forms.
    fn add(&mut self, place: String, read: Result<Envelope, String>) {
        let is_known = |known: &Result<Envelope, String>| matches!((known, &read), (Ok(a), Ok(b)) if a == b);
        if !self.all.iter().any(|(_, known)| is_known(known)) {
            self.all.push((place, read));
        }
    }

    /// Verifies each: those that count, and the others. What says something else (another tool's SBOM) is neither.
    pub(super) fn read<T>(self, verify: impl Fn(&Envelope) -> Result<T, Refusal>) -> (Vec<T>, Vec<RefusedCandidate>) {
        let (mut counting, mut refused) = (Vec::new(), Vec::new());
        for (place, read) in self.all {
            match read.map(|envelope| verify(&envelope)) {
                Ok(Ok(found)) => counting.push(found),
                Ok(Err(Refusal::OtherPredicate(_))) => {}
                Ok(Err(refusal)) => refused.push(RefusedCandidate { place, why: refusal.to_string() }),
                Err(why) => refused.push(RefusedCandidate { place, why }),
            }
        }
        (counting, refused)
    }
}

fn bundle(repository: &ArtifactRepository, manifest: &Digest) -> Result<Envelope, String> {
    let manifest = repository.manifest_of(manifest).map_err(|e| e.to_string())?;
    let layer = bundle_layer(&manifest).ok_or("its manifest has no bundle")?;
    SigstoreBundle::envelope(&blob(repository, &layer)?).map_err(|e| e.to_string())
}

fn envelope(repository: &ArtifactRepository, layer: &AttachedLayer) -> Result<Envelope, String> {
    Envelope::parse(&blob(repository, layer)?).map_err(|e| e.to_string())
}

fn blob(repository: &ArtifactRepository, layer: &AttachedLayer) -> Result<Vec<u8>, String> {
    repository.small_blob(&layer.digest, layer.size, MAX_ATTESTATION).map_err(|e| e.to_string())
}
