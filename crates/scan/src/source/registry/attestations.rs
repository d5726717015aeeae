//! What is attached to a digest and may be what is looked for: nothing of it is believed here.

use super::artifact::ArtifactRepository;
use super::referrers::Referrer;
use crate::source::SourceError;
use serde::Serialize;
use tidewaiter_attestation::{
    AttachedLayer, AttestationManifest, BUNDLE, BundleManifest, Envelope, Refusal, SigstoreBundle, attestation_tag,
    bundle_layer,
};
use tidewaiter_core::image::Digest;

/// Most bundles that are looked at, of those that do not say that they are about something else.
const MAX_BUNDLES: usize = 16;
/// Most bytes of an attestation: the report of an image with 10,000 packages has less than half of it.
const MAX_ATTESTATION: u64 = 32 << 20;
/// Most bytes of all that are looked at: anybody who may push attaches as much as they like, and a scan has some hundred MiB.
const MAX_ATTESTATIONS: u64 = 64 << 20;

/// The attestations of a digest.
pub struct AttestationCandidates<'a> {
    repository: &'a ArtifactRepository,
    all: Vec<(String, Result<Envelope, String>)>,
    /// Bytes that may still be looked at.
    left: u64,
}

/// What does not count, and why.
#[derive(Debug, Serialize)]
pub struct RefusedAttestation {
    /// Where it is.
    pub place: String,
    /// Why.
    pub why: String,
}

impl<'a> AttestationCandidates<'a> {
    /// What refers to a digest, and what has its tag, as far as it does not say that it is about something else. A failure of one of
    /// the two look-ups is one more that does not count.
    ///
    /// # Errors
    /// When a look-up failed and the other one found nothing.
    pub fn find(
        repository: &'a ArtifactRepository,
        digest: &Digest,
        predicate_type: &str,
    ) -> Result<Self, SourceError> {
        let mut found = AttestationCandidates { repository, all: Vec::new(), left: MAX_ATTESTATIONS };
        let failures = [found.by_referrers(digest, predicate_type), found.by_tag(digest, predicate_type)];
        for failure in failures.into_iter().filter_map(Result::err) {
            if found.all.is_empty() {
                return Err(failure);
            }
            found.add("a list of attestations".to_owned(), Err(failure.to_string()));
        }
        Ok(found)
    }

    /// The bundles that refer to a digest.
    fn by_referrers(&mut self, digest: &Digest, predicate_type: &str) -> Result<(), SourceError> {
        let may_be_meant = |referrer: &Referrer| {
            referrer.annotations.get(BundleManifest::PREDICATE).is_none_or(|said| said == predicate_type)
        };
        let referrers = self.repository.referrers(digest, BUNDLE)?;
        for referrer in referrers.into_iter().filter(may_be_meant).take(MAX_BUNDLES) {
            let read = self.bundle(&referrer.digest);
            self.add(format!("bundle {}", referrer.digest), read);
        }
        Ok(())
    }

    /// The layers of the manifest with the tag of a digest.
    fn by_tag(&mut self, digest: &Digest, predicate_type: &str) -> Result<(), SourceError> {
        let tag = attestation_tag(digest);
        let Some(manifest) = self.repository.tagged(&tag)? else { return Ok(()) };
        match AttestationManifest::parse(&manifest) {
            Ok(manifest) => manifest.envelopes(predicate_type).iter().for_each(|layer| {
                let read = self.envelope(layer);
                self.add(format!("{tag}, layer {}", layer.digest), read);
            }),
            Err(refusal) => self.add(tag, Err(refusal.to_string())),
        }
        Ok(())
    }

    /// Adds one; in most registries each is attached in two forms.
    fn add(&mut self, place: String, read: Result<Envelope, String>) {
        let is_known = |known: &Result<Envelope, String>| matches!((known, &read), (Ok(a), Ok(b)) if a == b);
        if !self.all.iter().any(|(_, known)| is_known(known)) {
            self.all.push((place, read));
        }
    }

    fn bundle(&mut self, manifest: &Digest) -> Result<Envelope, String> {
        let manifest = self.repository.manifest_of(manifest).map_err(|e| e.to_string())?;
        let layer = bundle_layer(&manifest).ok_or("its manifest has no bundle")?;
        SigstoreBundle::envelope(&self.blob(&layer)?).map_err(|e| e.to_string())
    }

    fn envelope(&mut self, layer: &AttachedLayer) -> Result<Envelope, String> {
        Envelope::parse(&self.blob(layer)?).map_err(|e| e.to_string())
    }

    fn blob(&mut self, layer: &AttachedLayer) -> Result<Vec<u8>, String> {
        if layer.size > MAX_ATTESTATION.min(self.left) {
            let (one, all) = (MAX_ATTESTATION >> 20, MAX_ATTESTATIONS >> 20);
            return Err(format!("it has {} bytes; {one} MiB are read of one, and {all} of all", layer.size));
        }
        self.left -= layer.size;
        self.repository.small_blob(&layer.digest, layer.size, MAX_ATTESTATION).map_err(|e| e.to_string())
    }

    /// Verifies each: those that count, and the others. What says something else (another tool's SBOM) is neither.
    pub fn read<T>(&self, verify: impl Fn(&Envelope) -> Result<T, Refusal>) -> (Vec<T>, Vec<RefusedAttestation>) {
        let (mut counting, mut refused) = (Vec::new(), Vec::new());
        for (place, read) in &self.all {
            let why = match read.as_ref().map(&verify) {
                Ok(Ok(found)) => {
                    counting.push(found);
                    continue;
                }
                Ok(Err(Refusal::OtherPredicate(_))) => continue,
                Ok(Err(refusal)) => refusal.to_string(),
                Err(why) => why.clone(),
            };
            refused.push(RefusedAttestation { place: place.clone(), why });
        }
        (counting, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::registry::RegistryConfig;
    use serde_json::json;
    use tidewaiter_core::image::Reference;
    use tidewaiter_testkit::registry::Registry;

    const PREDICATE: &str = "https://example.com/predicate";

    /// How many envelopes are read, and how many are not, of layers with these sizes and predicate types.
    #[track_caller]
    fn check(layers: &[(u64, &str)], expected: (usize, &[&str])) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let registry = Registry::start();
        let subject = Digest::from_sha256([7; 32]);
        let layer = |(place, (size, predicate)): (usize, &(u64, &str))| {
            let text = format!(r#"{{"payload": "", "payloadType": "{place}", "signatures": []}}"#);
            let size = if *size == 0 { text.len() as u64 } else { *size };
            let digest = tidewaiter_testkit::sha256(text.as_bytes());
            registry.forge_blob(&digest, text.as_bytes());
            json!({"mediaType": "application/vnd.dsse.envelope.v1+json", "digest": digest, "size": size,
                "annotations": {"predicateType": predicate}})
        };
        let layers: Vec<_> = layers.iter().enumerate().map(layer).collect();
        let manifest = json!({"layers": layers}).to_string();
        registry.put_manifest("app", &attestation_tag(&subject), "application/json", manifest.as_bytes());
        let reference: Reference = format!("{}/app:v1", registry.host()).parse().unwrap();
        let repository = ArtifactRepository::new(&RegistryConfig::default(), &reference).unwrap();
        let found = AttestationCandidates::find(&repository, &subject, PREDICATE).unwrap();
        let (counting, refused) = found.read(|_| Ok(()));
        assert_eq!((counting.len(), refused.len()), (expected.0, expected.1.len()), "{refused:?}");
        for (found, word) in refused.iter().zip(expected.1) {
            assert!(found.why.contains(word), "{found:?}");
        }
    }

    #[test]
    fn a_failed_look_up_loses_nothing_of_the_other() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Whether the list fails, whether there is something by the tag: what counts, and what is said.
        let check = |fails: bool, is_tagged: bool, expected: Result<(usize, &[&str]), &str>| {
            let registry = Registry::start();
            let subject = Digest::from_sha256([7; 32]);
            if fails {
                registry.answer_referrers(403, "");
            }
            if is_tagged {
                let text = br#"{"payload": "", "payloadType": "", "signatures": []}"#;
                let digest = tidewaiter_testkit::sha256(text);
                registry.forge_blob(&digest, text);
                let layer = json!({"mediaType": "application/vnd.dsse.envelope.v1+json", "digest": digest,
                    "size": text.len()});
                let manifest = json!({"layers": [layer]}).to_string();
                registry.put_manifest("app", &attestation_tag(&subject), "application/json", manifest.as_bytes());
            }
            let reference: Reference = format!("{}/app:v1", registry.host()).parse().unwrap();
            let repository = ArtifactRepository::new(&RegistryConfig::default(), &reference).unwrap();
            match (AttestationCandidates::find(&repository, &subject, PREDICATE), expected) {
                (Ok(found), Ok((count, words))) => {
                    let (counting, refused) = found.read(|_| Ok(()));
                    assert_eq!((counting.len(), refused.len()), (count, words.len()), "{refused:?}");
                    assert!(refused.iter().zip(words).all(|(one, word)| one.why.contains(word)), "{refused:?}");
                }
                (Err(said), Err(words)) => assert!(said.to_string().contains(words), "{said}"),
                (found, _) => panic!("{:?}", found.err()),
            }
        };
        check(false, false, Ok((0, &[])));
        check(false, true, Ok((1, &[])));
        check(true, true, Ok((1, &["refused access"])));
        check(true, false, Err("refused access"));
    }

    #[test]
    fn what_may_be_meant_is_read_within_bounds() {
        check(&[], (0, &[]));
        check(&[(0, PREDICATE), (0, PREDICATE), (0, "other")], (2, &[]));
        check(&[(7, PREDICATE), (0, PREDICATE)], (1, &["7 bytes"]));
        check(&[(MAX_ATTESTATION + 1, PREDICATE)], (0, &["32 MiB are read of one"]));
        // The newest are the last of the manifest, and are read first.
        let large = (MAX_ATTESTATION, PREDICATE);
        check(&[(0, PREDICATE), large, large], (0, &["truncated", "truncated", "64 of all"]));
    }
}
