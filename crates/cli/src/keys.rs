//! Keys of files.

use crate::exit::UsageError;
use crate::login;
use anyhow::Result;
use std::path::Path;
use tidewaiter_attestation::{KeyError, SigningKey, VerifyingKey};

/// Reads a private key.
pub(crate) fn signing(path: &Path) -> Result<SigningKey> {
    let advice = "give an ed25519 or P-256 key in PKCS #8 form without a password, as of: openssl genpkey -algorithm \
                  ed25519";
    let refuse =
        |why: KeyError| UsageError(format!("{}: not a private key to sign with ({why}); {advice}", path.display()));
    Ok(SigningKey::from_pem(&login::read(path)?).map_err(refuse)?)
}

/// Reads a public key.
pub(crate) fn verifying(path: &Path) -> Result<VerifyingKey> {
    let advice = "give an ed25519 or P-256 key, as of: openssl pkey -in PRIVATE_KEY -pubout";
    let refuse = |why: KeyError| UsageError(format!("{}: not a public key ({why}); {advice}", path.display()));
    Ok(VerifyingKey::from_pem(&login::read(path)?).map_err(refuse)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn other_keys_are_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let check = |text: &str, private: &str, public: &str| {
            let path = dir.path().join("key");
            fs::write(&path, text).unwrap();
            let said = signing(&path).err().unwrap().to_string();
            assert!(said.contains(private) && said.contains("openssl genpkey"), "{said}");
            let said = verifying(&path).err().unwrap().to_string();
            assert!(said.contains(public) && said.contains("-pubout"), "{said}");
        };
        check("", "not a private key", "not a public key");
        check(
            "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
            "it is encrypted",
            "not a public key",
        );
        check("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "another kind", "not a public key");
        check("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a private key", "another kind");
    }
}
