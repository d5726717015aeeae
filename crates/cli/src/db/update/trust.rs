//! Whose signature an update requires, and its verification: of an artifact's manifest, or of a file.

use super::super::artifact;
#[cfg(feature = "sigstore")]
use super::super::bundle::KeylessVerifier;
#[cfg(not(feature = "sigstore"))]
use super::super::no_bundle::NoVerifier as KeylessVerifier;
use super::super::signature;
use crate::args::{KeylessArgs, UpdateArgs};
use crate::exit::UsageError;
use crate::keys;
use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use tidewaiter_attestation::{BUNDLE, VerifyingKey, bundle_layer};
use tidewaiter_core::image::Digest;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// Most bytes of a signature, its payload or a bundle.
pub(super) const MAX_SIGNATURE: u64 = 64 << 10;

/// Whose signature is required.
pub(super) enum RequiredSigner {
    Anyone,
    Key(VerifyingKey),
    Keyless(Box<KeylessVerifier>),
}

impl RequiredSigner {
    pub(super) fn of(args: &UpdateArgs) -> Result<Self> {
        let KeylessArgs { certificate_identity, certificate_oidc_issuer, trusted_root } = &args.keyless;
        match (&args.key, certificate_identity, certificate_oidc_issuer, trusted_root) {
            (Some(key), ..) => Ok(RequiredSigner::Key(keys::verifying(key)?)),
            (None, Some(identity), Some(issuer), Some(root)) => {
                Ok(RequiredSigner::Keyless(Box::new(KeylessVerifier::read(identity, issuer, root)?)))
            }
            (None, None, None, None) => Ok(RequiredSigner::Anyone),
            // Of what is in the environment; clap compares the rest. Never less than what was asked.
            _ => {
                let all = "--certificate-identity, --certificate-oidc-issuer and --trusted-root";
                Err(UsageError(format!("{all} are needed together")).into())
            }
        }
    }

    /// What the name of a signature has after that of the signed file, and what makes it.
    pub(super) fn suffix(&self) -> Option<(&'static str, &'static str)> {
        match self {
            RequiredSigner::Anyone => None,
            RequiredSigner::Key(_) => Some(("sig", "cosign sign-blob --key KEY")),
            RequiredSigner::Keyless(_) => Some(("sigstore.json", "cosign sign-blob --bundle")),
        }
    }

    /// Verifies that a manifest was signed, if it must be.
    pub(super) fn verify_artifact(
        &self,
        repository: &ArtifactRepository,
        manifest: &[u8],
        digest: &Digest,
    ) -> Result<()> {
        match self {
            RequiredSigner::Anyone => Ok(()),
            RequiredSigner::Key(key) => verify_by_key(key, repository, digest),
            RequiredSigner::Keyless(keyless) => verify_keyless(keyless, repository, manifest, digest),
        }
    }

    /// Verifies the signature of a file.
    pub(super) fn verify_file(&self, name: &str, path: &Path, signed: &str) -> Result<()> {
        let io = |e: io::Error| UsageError(format!("{}: {e}", path.display()));
        match self {
            RequiredSigner::Anyone => Ok(()),
            RequiredSigner::Key(key) => {
                let signature = STANDARD.decode(signed.trim()).unwrap_or_default();
                let mut file = File::open(path).map_err(io)?;
                if key.verifies_file(&mut file, &signature).with_context(|| name.to_owned())? {
                    return Ok(());
                }
                bail!("{name}: its signature {name}.sig is not by this key; use the key of whoever published it");
            }
            RequiredSigner::Keyless(keyless) => {
                let file = File::open(path).map_err(io)?;
                keyless.verify(&mut BufReader::new(file), signed).with_context(|| format!("{name}.sigstore.json"))
            }
        }
    }
}

/// Compares the signatures of a manifest with a key.
fn verify_by_key(key: &VerifyingKey, repository: &ArtifactRepository, digest: &Digest) -> Result<()> {
    let advice =
        "use the key of whoever pushed it, or have it signed: kubectl scan db push --key, or cosign sign --key";
    let Some(found) = repository.tagged(&artifact::signature_tag(digest))? else {
        bail!("it is not signed; {advice}");
    };
    for (blob, text) in artifact::signatures(&found) {
        let payload = repository.small_blob(&blob.digest, blob.size, MAX_SIGNATURE)?;
        let Ok(signed) = STANDARD.decode(text.trim()) else { continue };
        if key.verifies(&payload, &signed) && signature::names(&payload, digest.as_str()) {
            return Ok(());
        }
    }
    bail!("no signature of it is by this key; {advice}")
}

/// Verifies the bundles that refer to a manifest: one of them must be sound, and by whom it must be.
fn verify_keyless(
    keyless: &KeylessVerifier,
    repository: &ArtifactRepository,
    manifest: &[u8],
    digest: &Digest,
) -> Result<()> {
    let mut refused = anyhow!("it has no Sigstore bundle; have it signed: cosign sign --new-bundle-format");
    for referrer in repository.referrers(digest, BUNDLE)? {
        let Some(blob) = bundle_layer(&repository.manifest_of(&referrer.digest)?) else { continue };
        let bundle = repository.small_blob(&blob.digest, blob.size, MAX_SIGNATURE)?;
        match keyless.verify(&mut &*manifest, &String::from_utf8_lossy(&bundle)) {
            Ok(()) => return Ok(()),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}
