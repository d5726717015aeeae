//! The Secret with the authorities.
//!
//! `ca.crt` and `ca.key` are of the one that signs, as every version of the server has them; `next.…` and `previous.…` exist
//! during a rotation. An annotation says when the last step was taken.

use super::certificate::WebhookAuthority;
use super::ring::AuthorityRing;
use crate::settings::CertificateLifetimes;
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewaiter_crd::names::{CA_SECRET, CA_SINCE, FIELD_MANAGER, NAMESPACE};

/// Characters of an authority's id that tell field managers apart.
const MANAGER_LETTERS: usize = 8;
/// Attempts to make the Secret, where other processes do the same.
const ATTEMPTS: u32 = 5;

/// What the Secret has.
#[derive(Clone)]
pub(crate) struct StoredRing {
    /// The version that was read; none where there is no Secret.
    version: Option<String>,
    /// The authorities; none where there is no Secret, or it is broken.
    pub(crate) ring: Option<AuthorityRing>,
}

/// The authorities of this cluster; the first process makes them, also in place of what is broken or has ended, and all others use
/// the same.
///
/// # Errors
/// When the Secret cannot be read or written.
pub(crate) async fn open(client: &Client, lifetimes: &CertificateLifetimes) -> Result<AuthorityRing> {
    for _ in 0..ATTEMPTS {
        let (now, stored) = (Timestamp::now(), read(client).await?);
        let is_of_use = |ring: &AuthorityRing| ring.all().any(|authority| !authority.term.period.is_over(now));
        if let Some(ring) = stored.ring.clone().filter(is_of_use) {
            return Ok(ring);
        }
        let ring = AuthorityRing::make(lifetimes, now)?;
        if write(client, &stored, &ring).await? {
            return Ok(ring);
        }
    }
    bail!("the Secret {NAMESPACE}/{CA_SECRET} is changed by others all the time")
}

/// Reads the Secret. One that is broken has no authorities, which the log says.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn read(client: &Client) -> Result<StoredRing> {
    let Some(secret) = api(client).get_opt(CA_SECRET).await.with_context(hint)? else {
        return Ok(StoredRing { version: None, ring: None });
    };
    let ring = ring_of(&secret);
    let ring = ring.inspect_err(|error| tracing::error!("the Secret {NAMESPACE}/{CA_SECRET} is broken: {error:#}"));
    Ok(StoredRing { version: secret.resource_version(), ring: ring.ok() })
}

/// Writes the Secret over what was read; false where somebody else has written it since.
///
/// # Errors
/// When it cannot be written.
pub(crate) async fn write(client: &Client, over: &StoredRing, ring: &AuthorityRing) -> Result<bool> {
    let written = match &over.version {
        Some(version) => {
            let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
            api(client).patch(CA_SECRET, &params, &Patch::Merge(merge(ring, version))).await
        }
        // Applied, not posted: so the permission to create it can be one for this name alone. Not by force, and each time as another
        // manager: for a second process that makes another key, it is a conflict.
        None => {
            let id = &ring.signing_term().id.0;
            let manager = format!("{FIELD_MANAGER}-{}", id.get(..MANAGER_LETTERS).unwrap_or(id));
            api(client).patch(CA_SECRET, &PatchParams::apply(&manager), &Patch::Apply(secret_of(ring))).await
        }
    };
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error).with_context(hint),
    }
}

fn api(client: &Client) -> Api<Secret> {
    Api::namespaced(client.clone(), NAMESPACE)
}

fn hint() -> String {
    format!("the Secret {NAMESPACE}/{CA_SECRET}: apply deploy/rbac.yaml")
}

/// The authorities by the names of their entries.
fn entries(ring: &AuthorityRing) -> [(&'static str, Option<&Arc<WebhookAuthority>>); 3] {
    [("ca", Some(&ring.signing)), ("next", ring.next.as_ref()), ("previous", ring.previous.as_ref())]
}

fn secret_of(ring: &AuthorityRing) -> Secret {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let data = entries(ring).into_iter().filter_map(|(name, one)| Some((name, one?))).flat_map(|(name, one)| {
        [(format!("{name}.crt"), bytes(&one.pem)), (format!("{name}.key"), bytes(&one.key_pem))]
    });
    let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
    secret.metadata.name = Some(CA_SECRET.to_owned());
    secret.metadata.annotations = ring.since.map(|since| BTreeMap::from([(CA_SINCE.to_owned(), since.to_string())]));
    secret
}

/// The merge patch that makes the Secret these authorities and no others, if it has this version.
fn merge(ring: &AuthorityRing, version: &str) -> Value {
    let mut patch = json!(secret_of(ring));
    patch["metadata"]["resourceVersion"] = json!(version);
    for (name, one) in entries(ring) {
        if one.is_none() {
            patch["data"][format!("{name}.crt")] = Value::Null;
            patch["data"][format!("{name}.key")] = Value::Null;
        }
    }
    patch
}

/// The authorities of a Secret. A second one that is broken is left out: who waits for it makes another one, or forgets it.
fn ring_of(secret: &Secret) -> Result<AuthorityRing> {
    let signing = Arc::new(authority(secret, "ca")?);
    let second = |name: &str| {
        let known = secret.data.as_ref().is_some_and(|data| data.contains_key(&format!("{name}.crt")));
        let read = known.then(|| authority(secret, name).map(Arc::new));
        read.and_then(|read| read.inspect_err(|error| tracing::error!("{CA_SECRET}: {error:#}")).ok())
    };
    let since = secret.annotations().get(CA_SINCE).and_then(|since| since.parse().ok());
    Ok(AuthorityRing { signing, next: second("next"), previous: second("previous"), since })
}

fn authority(secret: &Secret, name: &str) -> Result<WebhookAuthority> {
    let (pem, key) = (entry(secret, &format!("{name}.crt"))?, entry(secret, &format!("{name}.key"))?);
    WebhookAuthority::read(pem, key).with_context(|| format!("{name}.crt and {name}.key"))
}

fn entry(secret: &Secret, key: &str) -> Result<String> {
    let value = secret.data.as_ref().and_then(|data| data.get(key)).with_context(|| format!("{key} is missing"))?;
    String::from_utf8(value.0.clone()).with_context(|| format!("{key} is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::authority::{RotationStep, is_steady};

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    /// Of a new installation, of a rotation, and after it.
    fn rings() -> Vec<AuthorityRing> {
        let lifetimes = CertificateLifetimes::default();
        let mut all = vec![AuthorityRing::make(&lifetimes, now()).unwrap()];
        for step in [RotationStep::Introduce, RotationStep::Promote, RotationStep::Retire] {
            all.push(all.last().unwrap().after(step, &lifetimes, now()).unwrap());
        }
        all
    }

    #[test]
    fn a_secret_holds_every_state_of_a_rotation() {
        for ring in rings() {
            assert_eq!(ring_of(&secret_of(&ring)).unwrap().state(), ring.state());
        }
    }

    /// A merge of any state into any other one leaves nothing of that.
    #[test]
    fn a_write_leaves_nothing_of_what_was_there() {
        let rings = rings();
        for (before, after) in rings.iter().flat_map(|before| rings.iter().map(move |after| (before, after))) {
            let mut stored = json!(secret_of(before));
            let patch = merge(after, "7");
            assert_eq!(patch["metadata"]["resourceVersion"], "7");
            for (key, value) in patch["data"].as_object().unwrap() {
                let data = stored["data"].as_object_mut().unwrap();
                match value {
                    Value::Null => drop(data.remove(key)),
                    value => drop(data.insert(key.clone(), value.clone())),
                }
            }
            assert_eq!(stored["data"], json!(secret_of(after))["data"]);
        }
    }

    #[test]
    fn a_broken_secret_is_told() {
        let ring = rings().remove(1);
        let check = |key: &str, value: Option<&str>, expected: Result<bool, &str>| {
            let mut secret = secret_of(&ring);
            let data = secret.data.as_mut().unwrap();
            match value {
                Some(value) => drop(data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()))),
                None => drop(data.remove(key)),
            }
            match (ring_of(&secret).map_err(|error| format!("{error:#}")), expected) {
                (Ok(read), Ok(has_next)) => assert_eq!(read.state().next.is_some(), has_next, "{key}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
                (read, expected) => panic!("{key}: {:?} {expected:?}", read.err()),
            }
        };
        check("ca.crt", None, Err("ca.crt is missing"));
        check("ca.key", Some("odd"), Err("ca.crt and ca.key: its key"));
        check("next.crt", None, Ok(false));
        check("next.key", Some("odd"), Ok(false));
        check("unknown", Some("odd"), Ok(true));
        let mut secret = secret_of(&ring);
        secret.metadata.annotations = Some(BTreeMap::from([(CA_SINCE.to_owned(), "yesterday".to_owned())]));
        assert_eq!(ring_of(&secret).unwrap().state().since, None);
    }

    /// What earlier versions made: one authority without an end, and no time.
    #[test]
    fn the_secret_of_an_earlier_version_is_read() {
        let signing = Arc::new(WebhookAuthority::endless());
        let ring = AuthorityRing { signing, next: None, previous: None, since: None };
        let secret = secret_of(&ring);
        let read = ring_of(&secret).unwrap().state();
        assert!(!is_steady(&read, &CertificateLifetimes::default(), now()), "it is to be replaced");
        assert_eq!((read.signing, read.since, read.next, read.previous), (ring.state().signing, None, None, None));
    }
}
