//! What refers to a manifest (OCI distribution-spec 1.1, "Listing Referrers"): read from the registry's list, or from the tag that
//! stands in for it where a registry has no list ("Referrers Tag Schema"), which whoever pushes keeps.

use super::artifact::ArtifactRepository;
use super::push::{PushError, PushTarget, SharedTag};
use crate::source::SourceError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidewaiter_core::image::Digest;

/// Most referrers of one type that are looked at: each signer adds one for each thing that is said, and each day may.
const MAX_REFERRERS: usize = 64;
/// The media type of the list.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of what refers.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// When a manifest was made (OCI image-spec, "Pre-Defined Annotation Keys").
const CREATED: &str = "org.opencontainers.image.created";

/// A manifest that refers to another one. What it says of itself is unverified.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its type.
    #[serde(default)]
    pub artifact_type: String,
    /// Its annotations; not every registry lists them.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A manifest that is pushed because it refers to another one.
#[derive(Debug)]
pub struct NewReferrer<'a> {
    /// The manifest, with its `subject`.
    pub manifest: &'a [u8],
    /// Its subject.
    pub subject: &'a Digest,
    /// Its type.
    pub artifact_type: &'a str,
    /// Its annotations.
    pub annotations: &'a Value,
    /// Names of annotations: a referrer of the same type with the same ones gives way to it.
    pub replaced_by: &'a [&'a str],
}

impl ArtifactRepository {
    /// The manifests of a type that refer to a digest: the newest first, some at most.
    ///
    /// # Errors
    /// When the registry does not answer, or not with an index.
    pub fn referrers(&self, digest: &Digest, artifact_type: &str) -> Result<Vec<Referrer>, SourceError> {
        let what = self.referrers_of(digest);
        let listed = match self.client.referrers(digest, &what) {
            Ok(bytes) => index_entries(&bytes).ok(),
            Err(SourceError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        // A registry without the list may answer whatever it has at any other path: a page, or an empty document.
        let entries = match listed {
            Some(entries) => entries,
            None => match self.tagged(&referrers_tag(digest))? {
                Some(bytes) => index_entries(&bytes).map_err(|e| SourceError::bad(&what, e))?,
                None => Vec::new(),
            },
        };
        // Anybody who may push adds to the list: an entry that cannot be read is not of the type.
        let all = entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok());
        Ok(newest(all.collect(), artifact_type))
    }
}

/// The entries of a list.
fn index_entries(bytes: &[u8]) -> serde_json::Result<Vec<Value>> {
    #[derive(Deserialize)]
    struct ReferrersIndex {
        manifests: Vec<Value>,
    }
    serde_json::from_slice(bytes).map(|index: ReferrersIndex| index.manifests)
}

/// Those of a type, newest first. Lists have any order, and an old one may have hundreds.
fn newest(all: Vec<Referrer>, artifact_type: &str) -> Vec<Referrer> {
    let mut found: Vec<Referrer> = all.into_iter().filter(|referrer| referrer.artifact_type == artifact_type).collect();
    // RFC 3339 in UTC sorts as text; what says no time was appended to the list after those before it.
    found.reverse();
    found.sort_by(|a, b| b.annotations.get(CREATED).cmp(&a.annotations.get(CREATED)));
    found.truncate(MAX_REFERRERS);
    found
}

impl PushTarget {
    /// Pushes a manifest that refers to another one, so that it is found by it. `repository` is the same one.
    ///
    /// # Errors
    /// When the registry does not answer or does not take it.
    pub fn referrer(&self, repository: &ArtifactRepository, referrer: &NewReferrer<'_>) -> Result<Digest, PushError> {
        let digest = crate::source::sha256(referrer.manifest);
        let listed = self.manifest_with_subject(digest.as_str(), MANIFEST, referrer.manifest)?;
        // A registry that keeps the list says so (distribution-spec, "Pushing Manifests with Subject").
        if listed.as_deref() == Some(referrer.subject.as_str()) {
            return Ok(digest);
        }
        let tag = referrers_tag(referrer.subject);
        let shared = SharedTag { repository, tag: &tag, media_type: INDEX };
        let with = |known: Option<&[u8]>| {
            let index = with_referrer(known, &digest, referrer);
            index.map_err(|e| SourceError::bad(&repository.referrers_of(referrer.subject), e).into())
        };
        self.change::<PushError>(shared, with, |there| lists(there, &digest))?;
        Ok(digest)
    }
}

/// The tag of the list.
fn referrers_tag(digest: &Digest) -> String {
    digest.as_str().replace(':', "-")
}

/// Whether a list has a referrer.
fn lists(index: &[u8], digest: &Digest) -> bool {
    index_entries(index).is_ok_and(|entries| entries.iter().any(|entry| entry["digest"] == digest.as_str()))
}

/// A list with one more, and without those that it replaces. What others wrote into the list stays as it is.
fn with_referrer(known: Option<&[u8]>, digest: &Digest, new: &NewReferrer<'_>) -> serde_json::Result<Vec<u8>> {
    let known: Value = known.map_or_else(|| Ok(Value::Null), serde_json::from_slice)?;
    let mut manifests = known["manifests"].as_array().cloned().unwrap_or_default();
    let is_replaced = |entry: &Value| {
        entry["digest"] == digest.as_str()
            || entry["artifactType"] == new.artifact_type
                && !new.replaced_by.is_empty()
                && new.replaced_by.iter().all(|name| entry["annotations"][name] == new.annotations[name])
    };
    manifests.retain(|entry| !is_replaced(entry));
    manifests.push(json!({"mediaType": MANIFEST, "artifactType": new.artifact_type, "digest": digest.as_str(),
        "size": new.manifest.len(), "annotations": new.annotations}));
    serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::registry::RegistryConfig;
    use tidewaiter_core::image::Reference;
    use tidewaiter_testkit::registry::Registry;

    const KIND: &str = "application/vnd.example";

    #[test]
    fn the_newest_of_a_type_are_looked_at() {
        let referrer = |byte: u8, kind: &str, created: &str| Referrer {
            digest: Digest::from_sha256([byte; 32]),
            artifact_type: kind.to_owned(),
            annotations: [(CREATED.to_owned(), created.to_owned())]
                .into_iter()
                .filter(|(_, at)| !at.is_empty())
                .collect(),
        };
        let check = |all: Vec<Referrer>, expected: &[u8]| {
            let found: Vec<Digest> = newest(all, KIND).into_iter().map(|referrer| referrer.digest).collect();
            assert_eq!(found, expected.iter().map(|byte| Digest::from_sha256([*byte; 32])).collect::<Vec<_>>());
        };
        check(vec![], &[]);
        check(vec![referrer(1, "other", "2026-11-30T00:00:00Z"), referrer(2, KIND, "")], &[2]);
        let (old, new) = ("2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z");
        check(
            vec![referrer(1, KIND, old), referrer(2, KIND, new), referrer(3, KIND, ""), referrer(4, KIND, "")],
            &[2, 1, 4, 3],
        );
        check((0..70).map(|byte| referrer(byte, KIND, "")).collect(), &(6..70).rev().collect::<Vec<u8>>());
    }

    #[test]
    fn what_is_no_list_is_looked_for_by_its_tag() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let registry = Registry::start();
        let (subject, by_tag) = (Digest::from_sha256([7; 32]), Digest::from_sha256([1; 32]));
        let index = json!({"manifests": [{"digest": by_tag.as_str(), "artifactType": KIND}]}).to_string();
        registry.put_manifest("app", &referrers_tag(&subject), INDEX, index.as_bytes());
        let reference: Reference = format!("{}/app:v1", registry.host()).parse().unwrap();
        let config = RegistryConfig { tries: 1, ..RegistryConfig::default() };
        let repository = ArtifactRepository::new(&config, &reference).unwrap();
        let check = |status: u16, body: &str, expected: Result<usize, &str>| {
            registry.answer_referrers(status, body);
            match (repository.referrers(&subject, KIND), expected) {
                (Ok(found), Ok(count)) => assert_eq!(found.len(), count, "{status} {body}"),
                (Err(said), Err(words)) => assert!(said.to_string().contains(words), "{status}: {said}"),
                (found, _) => panic!("{status} {body}: {found:?}"),
            }
        };
        check(200, r#"{"manifests": []}"#, Ok(0));
        for status in [400, 404, 405, 406] {
            check(status, "", Ok(1));
        }
        for body in ["", "<html></html>", "{}", r#"{"manifests": 1}"#] {
            check(200, body, Ok(1));
        }
        check(403, "", Err("refused access"));
        check(500, "", Err("it answers 500"));
        check(418, "", Err("it answers 418"));
    }

    /// Pushes referrers as a registry with the list and one without it are used.
    #[test]
    fn what_is_pushed_is_found_by_its_subject() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let check = |registry: &Registry, expected: &[&str]| {
            let reference: Reference = format!("{}/app:v1", registry.host()).parse().unwrap();
            let config = RegistryConfig::default();
            let repository = ArtifactRepository::new(&config, &reference).unwrap();
            let target = PushTarget::new(&config, &reference).unwrap();
            let subject = Digest::from_sha256([7; 32]);
            let push = |name: &str, said: &str| {
                let annotations = json!({"says": said, "name": name});
                let manifest = json!({"mediaType": MANIFEST, "artifactType": KIND, "annotations": annotations,
                    "subject": {"mediaType": MANIFEST, "digest": subject.as_str(), "size": 1}});
                let manifest = manifest.to_string().into_bytes();
                let new = NewReferrer {
                    manifest: &manifest,
                    subject: &subject,
                    artifact_type: KIND,
                    annotations: &annotations,
                    replaced_by: &["says"],
                };
                target.referrer(&repository, &new).unwrap();
            };
            assert_eq!(repository.referrers(&subject, KIND).unwrap(), []);
            push("first", "a");
            // Somebody pushes another list at once.
            registry.lose_tags(1);
            push("second", "b");
            push("third", "a");
            let found = repository.referrers(&subject, KIND).unwrap();
            let mut names: Vec<&str> = found.iter().map(|referrer| referrer.annotations["name"].as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, expected);
            assert_eq!(repository.referrers(&subject, "other").unwrap(), []);
        };
        check(&Registry::start(), &["second", "third"]);
        let listing = Registry::start();
        listing.serve_referrers();
        // What a registry lists stays until somebody deletes it.
        check(&listing, &["first", "second", "third"]);
        assert!(!listing.log().iter().any(|line| line.contains("manifests/sha256-")), "{:?}", listing.log());
    }
}
