//! Sigstore bundles: signatures by certificates that were issued for minutes to an identity, with the proof that a public log
//! has them. Verified offline, with the certificates and keys in a file.

use crate::exit::UsageError;
use crate::login;
use anyhow::{Result, anyhow};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::Bundle;
use sigstore_verify::{VerificationPolicy, Verifier};
use std::io::Read;
use std::path::Path;

/// Verifies that an identity signed something.
pub(super) struct KeylessVerifier {
    verifier: Verifier,
    policy: VerificationPolicy,
    /// The identity and its issuer, for messages.
    signer: String,
}

impl KeylessVerifier {
    /// By the roots in a file (`trusted_root.json`), of which nothing is refreshed.
    pub(super) fn read(identity: &str, issuer: &str, root: &Path) -> Result<Self> {
        let refuse = |why: &dyn std::fmt::Display| {
            let advice = "write one with: cosign trusted-root create --with-default-services --out trusted_root.json";
            UsageError(format!("{}: not a trusted root of Sigstore ({why}); {advice}", root.display()))
        };
        let text = String::from_utf8(login::read(root)?).map_err(|e| refuse(&e))?;
        let trusted = TrustedRoot::from_json(&text).map_err(|e| refuse(&e))?;
        Ok(KeylessVerifier {
            verifier: Verifier::new(&trusted).map_err(|e| refuse(&e))?,
            policy: VerificationPolicy::new(identity, issuer),
            signer: format!("{identity} ({issuer})"),
        })
    }

    /// Verifies a bundle over all of `signed`: certificates, log, time, signature and identity.
    pub(super) fn verify(&self, signed: &mut dyn Read, bundle: &str) -> Result<()> {
        let bundle = Bundle::from_json(bundle).map_err(|e| anyhow!("not a Sigstore bundle: {e}"))?;
        let verified = self.verifier.verify_reader(signed, &bundle, &self.policy);
        verified.map(drop).map_err(|e| anyhow!("the bundle does not say that {} signed this: {e}", self.signer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    // Of sigstore-verify's tests (Apache-2.0): a blob that a person signed with cosign 3, and the roots of the public instance.
    const BUNDLE: &str = include_str!("../../tests/data/sigstore-blob.txt.sigstore.json");
    const BLOB: &[u8] = include_bytes!("../../tests/data/sigstore-blob.txt");
    const IDENTITY: &str = "w.vollprecht@gmail.com";
    const ISSUER: &str = "https://github.com/login/oauth";

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/trusted_root.json")
    }

    #[test]
    fn bundles_are_verified_offline() {
        let check = |identity: &str, issuer: &str, mut blob: &[u8], bundle: &str, expected: Result<(), &str>| {
            let verifier = KeylessVerifier::read(identity, issuer, &root()).unwrap();
            match (verifier.verify(&mut blob, bundle), expected) {
                (Ok(()), Ok(())) => {}
                (Err(said), Err(words)) => assert!(said.to_string().contains(words), "{said}"),
                (found, _) => panic!("{identity} {issuer}: {found:?}"),
            }
        };
        check(IDENTITY, ISSUER, BLOB, BUNDLE, Ok(()));
        check("other@example.com", ISSUER, BLOB, BUNDLE, Err("does not say that other@example.com"));
        check(IDENTITY, "https://accounts.google.com", BLOB, BUNDLE, Err("(https://accounts.google.com) signed this"));
        check(IDENTITY, ISSUER, b"other content", BUNDLE, Err("does not say that"));
        check(IDENTITY, ISSUER, BLOB, "{}", Err("not a Sigstore bundle"));
        // Without the log's proof, with another log's index, with another certificate's byte.
        let changed = |from: &str, to: &str| {
            assert!(BUNDLE.contains(from), "{from}");
            BUNDLE.replacen(from, to, 1)
        };
        for other in [
            changed("\"tlogEntries\"", "\"noEntries\""),
            changed("738312748", "738312749"),
            changed("1764787003", "1864787003"),
            changed("MIIC1TCCAlygAwIBAgIUQ6", "MIIC1TCCAlygAwIBAgIUQ7"),
        ] {
            check(IDENTITY, ISSUER, BLOB, &other, Err(""));
        }
    }

    #[test]
    fn roots_that_are_none_are_refused() {
        let said = KeylessVerifier::read("a", "b", Path::new(file!())).err().unwrap().to_string();
        assert!(said.contains("bundle.rs") || said.contains("No such file"), "{said}");
        let blob = root().with_file_name("sigstore-blob.txt");
        let said = KeylessVerifier::read("a", "b", &blob).err().unwrap().to_string();
        assert!(said.contains("not a trusted root") && said.contains("cosign trusted-root create"), "{said}");
    }
}
