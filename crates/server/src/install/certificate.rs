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
        Ok(WebhookAuthority { pem, token: token(&text), issuer: Issuer::new(params()?, key) })
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

/// The secret in the path by which servers reach each other, which is registered nowhere.
pub(crate) fn peers_token(token: &str) -> String {
    secret_of("tidewaiter path of other servers", token)
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
