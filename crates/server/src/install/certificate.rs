//! The webhooks' certificate: an authority of the installation's own, in a Secret, and a leaf for each server.

use crate::settings::ServerSettings;
use anyhow::{Context as _, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tidewaiter_core::hex;
use tidewaiter_crd::names::{CA_SECRET, FIELD_MANAGER, NAMESPACE, SERVER};

/// Bytes of a certificate's hash that tell field managers apart.
const MANAGER_BYTES: usize = 4;

/// The authority, and its key.
pub(crate) struct WebhookAuthority {
    /// Its certificate, for the API server.
    pub(crate) pem: String,
    /// What only the API server, and who reads its registrations or this Secret, knows: the same for every server.
    pub(crate) token: String,
    /// What only servers, and who reads this Secret, know: the secret in the path by which they reach each other. It is registered
    /// nowhere, and does not follow from what is.
    pub(crate) peers_token: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub(crate) struct LeafCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl WebhookAuthority {
    /// Opens the authority of this cluster; the first server creates it, all others use the same.
    ///
    /// # Errors
    /// When the Secret cannot be read or created.
    pub(crate) async fn open(client: &Client) -> Result<Self> {
        let api: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
        let hint = || format!("the Secret {NAMESPACE}/{CA_SECRET}: apply deploy/rbac.yaml");
        if let Some(secret) = api.get_opt(CA_SECRET).await.with_context(hint)? {
            return Self::of(&secret);
        }
        let (pem, key) = make()?;
        // Applied, not posted: so the permission to create it can be one for this name alone. Not by force, and each server
        // as another manager: for a second one that makes another key, it is a conflict.
        let manager = format!("{FIELD_MANAGER}-{}", hex(&Sha256::digest(&pem)[..MANAGER_BYTES]));
        let bytes = |text: String| ByteString(text.into_bytes());
        let data = BTreeMap::from([("ca.crt".to_owned(), bytes(pem)), ("ca.key".to_owned(), bytes(key))]);
        let mut secret = Secret { data: Some(data), ..Secret::default() };
        secret.metadata.name = Some(CA_SECRET.to_owned());
        match api.patch(CA_SECRET, &PatchParams::apply(&manager), &Patch::Apply(&secret)).await {
            Ok(made) => Self::of(&made),
            // Another replica was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Self::of(&api.get(CA_SECRET).await.with_context(hint)?)
            }
            Err(e) => Err(e).with_context(hint),
        }
    }

    fn of(secret: &Secret) -> Result<Self> {
        let broken = || format!("the Secret {NAMESPACE}/{CA_SECRET} is broken: delete it and restart the server");
        let text = entry(secret, "ca.key").with_context(broken)?;
        let key = KeyPair::from_pem(&text).with_context(broken)?;
        let pem = entry(secret, "ca.crt").with_context(broken)?;
        let (token, peers_token) = (token(&text), peers_token(&text));
        Ok(WebhookAuthority { pem, token, peers_token, issuer: Issuer::new(params()?, key) })
    }

    /// Issues a certificate for the names by which the API server reaches the webhooks.
    ///
    /// # Errors
    /// When a name is invalid.
    pub(crate) fn leaf(&self, settings: &ServerSettings) -> Result<LeafCertificate> {
        let service = format!("{SERVER}.{NAMESPACE}.svc");
        let mut names = vec![service];
        let uri = settings.webhook_url.as_deref().and_then(|url| url.parse::<axum::http::Uri>().ok());
        names.extend(uri.as_ref().and_then(|uri| uri.host()).map(str::to_owned));
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        Ok(LeafCertificate { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// A secret of 128 bits that follows from the key and says nothing about it.
fn token(key: &str) -> String {
    secret_of("tidewaiter webhook path", key)
}

/// The secret in the path of ImageReports, which follows from that of the other paths and does not lead to it: API servers name a
/// webhook's whole address to whoever asks while it does not answer, and the others are never named.
pub(crate) fn reports_token(token: &str) -> String {
    secret_of("tidewaiter path of reports", token)
}

/// The same for the path by which servers reach each other. From the key, as that of the webhooks: whoever may read webhook
/// configurations reads that one, and what follows from it.
fn peers_token(key: &str) -> String {
    secret_of("tidewaiter path of other servers", key)
}

fn secret_of(label: &str, secret: &str) -> String {
    let hash: [u8; 32] = Sha256::new().chain_update(label).chain_update(secret).finalize().into();
    hex(&hash[..16])
}

fn entry(secret: &Secret, key: &str) -> Result<String> {
    let value = secret.data.as_ref().and_then(|d| d.get(key)).with_context(|| format!("{key} is missing"))?;
    String::from_utf8(value.0.clone()).with_context(|| format!("{key} is not text"))
}

fn make() -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    let certificate = params()?.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// The same for every server: the issuer's name in a leaf must be the authority's.
fn params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "tidewaiter webhook CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> (WebhookAuthority, String) {
        let (pem, key) = make().unwrap();
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let data = BTreeMap::from([("ca.crt".to_owned(), bytes(&pem)), ("ca.key".to_owned(), bytes(&key))]);
        let secret = Secret { data: Some(data), ..Secret::default() };
        (WebhookAuthority::of(&secret).unwrap(), key)
    }

    /// Who may read webhook configurations knows the two registered secrets, how they were made, and no other one.
    #[test]
    fn the_secret_of_servers_follows_from_nothing_registered() {
        const LABELS: [&str; 3] =
            ["tidewaiter webhook path", "tidewaiter path of reports", "tidewaiter path of other servers"];
        let (authority, key) = authority();
        let registered = [authority.token.clone(), reports_token(&authority.token)];
        for known in &registered {
            assert_ne!(*known, authority.peers_token);
            for label in LABELS {
                assert_ne!(secret_of(label, known), authority.peers_token, "{label}");
            }
        }
        // The same for every server that reads the Secret.
        assert_eq!(peers_token(&key), authority.peers_token);
        assert_eq!(token(&key), authority.token);
    }
}
