//! Signatures of databases (ADR 0012): with ed25519, or ECDSA on P-256 with SHA-256, by keys in PEM files, as OpenSSL and
//! cosign have them.

use crate::exit::UsageError;
use crate::login;
use anyhow::{Result, bail};
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The encodings of public keys before the keys themselves (RFC 8410 §4, RFC 5480 §2.1.1 with an uncompressed point).
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// The type that cosign's payloads state.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// A key that signs.
pub(super) enum SigningKey {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// Reads a PEM file in PKCS #8 form (RFC 5958), not encrypted.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let pem = login::read(path)?;
        let advice = "give an ed25519 or P-256 key in PKCS #8 form without a password, as of: openssl genpkey \
                      -algorithm ed25519";
        let refuse =
            |why: &str| UsageError(format!("{}: not a private key to sign with ({why}); {advice}", path.display()));
        if is_encrypted(&pem) {
            return Err(refuse("it is encrypted").into());
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|e| refuse(&e.to_string()))?;
        // OpenSSL leaves the public key out of ed25519 keys.
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()) {
            return Ok(SigningKey::Ed25519(key));
        }
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_pkcs8_der());
        Ok(SigningKey::P256(key.map_err(|_| refuse("it is of another kind"))?))
    }

    /// The signature of a message.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| anyhow::anyhow!("the signature could not be made");
        match self {
            SigningKey::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            SigningKey::P256(key) => Ok(key.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

/// Whether a PEM file says that its key is encrypted, as those of `cosign generate-key-pair` are.
fn is_encrypted(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).lines().any(|line| line.starts_with("-----BEGIN ENCRYPTED "))
}

/// Most bytes of a file that a key without a hash of its own (ed25519) signs: all of them are in memory to be verified, before
/// anything in them can be trusted. A compressed database of all feeds has half as many.
const MAX_UNHASHED: u64 = 1 << 30;

/// A key that verifies.
pub(super) struct VerifyingKey {
    algorithm: &'static dyn VerificationAlgorithm,
    /// What of a message is signed: its digest, or `None` for all of it.
    hash: Option<&'static digest::Algorithm>,
    bytes: Vec<u8>,
}

impl VerifyingKey {
    /// Reads a PEM file ("PUBLIC KEY", RFC 7468 §13).
    pub(super) fn read(path: &Path) -> Result<Self> {
        let advice = "give an ed25519 or P-256 key, as of: openssl pkey -in PRIVATE_KEY -pubout";
        let refuse = |why: &str| UsageError(format!("{}: not a public key ({why}); {advice}", path.display()));
        let der = SubjectPublicKeyInfoDer::from_pem_slice(&login::read(path)?);
        let der = der.map_err(|e| refuse(&e.to_string()))?;
        let (algorithm, hash, bytes): (&'static dyn VerificationAlgorithm, _, _) =
            match (der.strip_prefix(ED25519), der.strip_prefix(P256)) {
                (Some(bytes), _) if bytes.len() == 32 => (&signature::ED25519, None, bytes),
                (_, Some(bytes)) if bytes.len() == 65 => (&ECDSA_P256_SHA256_ASN1, Some(&digest::SHA256), bytes),
                _ => return Err(refuse("it is of another kind").into()),
            };
        Ok(VerifyingKey { algorithm, hash, bytes: bytes.to_vec() })
    }

    /// Whether this key signed a message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public().verify(message, signature).is_ok()
    }

    /// Whether this key signed the content of a file, in bounded memory whatever its size.
    ///
    /// # Errors
    /// When the file cannot be read, or is too large for a key that signs no digest.
    pub(super) fn verifies_file(&self, file: &mut File, signature: &[u8]) -> Result<bool> {
        let Some(hash) = self.hash else {
            if file.metadata()?.len() > MAX_UNHASHED {
                bail!(
                    "larger than {MAX_UNHASHED} bytes, the limit of what an ed25519 key verifies; have it compressed with \
                     zstd, signed by a P-256 key, or pushed to a registry"
                );
            }
            let mut content = Vec::new();
            // It may grow while it is read.
            file.take(MAX_UNHASHED).read_to_end(&mut content)?;
            return Ok(self.verifies(&content, signature));
        };
        let mut context = digest::Context::new(hash);
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => context.update(buffer.get(..n).unwrap_or_default()),
            }
        }
        Ok(self.public().verify_digest(&context.finish(), signature).is_ok())
    }

    fn public(&self) -> UnparsedPublicKey<&[u8]> {
        UnparsedPublicKey::new(self.algorithm, self.bytes.as_slice())
    }
}

/// What is signed of an artifact: cosign's "simple signing" payload, which names the repository and the digest of the
/// manifest.
pub(super) fn payload(repository: &str, digest: &str) -> Vec<u8> {
    let payload = json!({"critical": {"identity": {"docker-reference": repository},
        "image": {"docker-manifest-digest": digest}, "type": PAYLOAD_TYPE}, "optional": null});
    payload.to_string().into_bytes()
}

/// Whether a payload is about this manifest. Not about the repository: a mirror has the same database by another name.
pub(super) fn names(payload: &[u8], digest: &str) -> bool {
    #[derive(Deserialize)]
    struct Payload {
        critical: Critical,
    }
    #[derive(Deserialize)]
    struct Critical {
        image: SignedImage,
        #[serde(rename = "type")]
        kind: String,
    }
    #[derive(Deserialize)]
    struct SignedImage {
        #[serde(rename = "docker-manifest-digest")]
        digest: String,
    }
    serde_json::from_slice::<Payload>(payload)
        .is_ok_and(|found| found.critical.kind == PAYLOAD_TYPE && found.critical.image.digest == digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    // Of `openssl genpkey -algorithm ed25519` and `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`.
    const ED_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICfhmu+AZLkAuL2Y6XYBU9Bo9Zq8W96qorTfTajTbPS1\n-----END PRIVATE KEY-----\n";
    const ED_PUB: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEACrKOTMSRiPjEOIEBrXes3GLNRnNMmhSQ8DU/yEsOd+Q=\n-----END PUBLIC KEY-----\n";
    const EC_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzy1t2Mc8PFP5THDc\nr21Qoy8Xx+48FgxrbPkL7wpHJiOhRANCAAQr1OBlCE/b7JTV6l9htes4Z3ZhhKf2\nT6pv9mJjW72IkoONp6qksexub1gTg5s+BekYbg/QmrxAT2x+a/0ZD4Iz\n-----END PRIVATE KEY-----\n";
    const EC_PUB: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEK9TgZQhP2+yU1epfYbXrOGd2YYSn\n9k+qb/ZiY1u9iJKDjaeqpLHsbm9YE4ObPgXpGG4P0Jq8QE9sfmv9GQ+CMw==\n-----END PUBLIC KEY-----\n";
    /// Of `openssl dgst -sha256 -sign` with the P-256 key, over "message", in hexadecimal.
    const EC_SIGNATURE: &str = "3044022026aa13edcee43c070ebb677fd56858b6f3c0890851d979bb885599e9d02cec2502200344b8103b2deee690c97566598868ab86569269cc3bc8fed0787e19abb0d26a";
    /// Of `openssl pkeyutl -sign -rawin` with the ed25519 key, over "message".
    const ED_SIGNATURE: &str = "4999c65c0b26bd9498f2d35e799a3347425d34c4dde6cb46585901433a02e986571bf07a5c255852eed739634fb3906a1feb6cce96f5bb80e21a8506e9840d0c";

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().collect();
        digits.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap()).collect()
    }

    #[test]
    fn signatures_of_openssl_and_our_own_are_verified() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let file_of = |message: &[u8]| {
            fs::write(dir.path().join("message"), message).unwrap();
            dir.path().join("message")
        };
        let ed = (SigningKey::read(&file("a", ED_KEY)).unwrap(), VerifyingKey::read(&file("b", ED_PUB)).unwrap());
        let ec = (SigningKey::read(&file("c", EC_KEY)).unwrap(), VerifyingKey::read(&file("d", EC_PUB)).unwrap());
        let check = |key: &VerifyingKey, message: &[u8], signature: &[u8], expected: bool| {
            assert_eq!(key.verifies(message, signature), expected, "{message:?} {signature:?}");
            let mut opened = File::open(file_of(message)).unwrap();
            assert_eq!(key.verifies_file(&mut opened, signature).unwrap(), expected, "{message:?} {signature:?}");
        };
        for (keys, openssl, other) in [(&ed, ED_SIGNATURE, &ec.1), (&ec, EC_SIGNATURE, &ed.1)] {
            for signature in [unhex(openssl), keys.0.sign(b"message").unwrap()] {
                check(&keys.1, b"message", &signature, true);
                check(&keys.1, b"massage", &signature, false);
                check(&keys.1, b"message", &signature[1..], false);
                check(other, b"message", &signature, false);
            }
        }
    }

    #[test]
    fn files_are_verified_in_bounded_memory() {
        let dir = tempfile::tempdir().unwrap();
        // The database of an attacker: sparse, so that it costs them nothing.
        let large = dir.path().join("large");
        File::create(&large).unwrap().set_len(MAX_UNHASHED + 1).unwrap();
        let key = dir.path().join("key");
        let check = |pem: &str, expected: Result<bool, &str>| {
            fs::write(&key, pem).unwrap();
            let found = VerifyingKey::read(&key).unwrap().verifies_file(&mut File::open(&large).unwrap(), b"signature");
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(said), Err(words)) => assert!(said.to_string().contains(words), "{said}"),
                (found, _) => panic!("{found:?}"),
            }
        };
        check(ED_PUB, Err("the limit of what an ed25519 key verifies"));
        check(EC_PUB, Ok(false));
    }

    #[test]
    fn other_keys_are_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let check = |text: &str, private: &str, public: &str| {
            let path = dir.path().join("key");
            fs::write(&path, text).unwrap();
            let said = SigningKey::read(&path).err().unwrap().to_string();
            assert!(said.contains(private) && said.contains("openssl genpkey"), "{said}");
            let said = VerifyingKey::read(&path).err().unwrap().to_string();
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

    #[test]
    fn a_payload_names_its_manifest() {
        let check = |payload: &[u8], expected: bool| {
            assert_eq!(names(payload, "sha256:aa"), expected, "{}", String::from_utf8_lossy(payload));
        };
        check(&payload("r.example/db", "sha256:aa"), true);
        check(&payload("r.example/db", "sha256:bb"), false);
        check(b"{}", false);
        let of_cosign = br#"{"critical":{"identity":{"docker-reference":"r.example/db"},"image":{"docker-manifest-digest":"sha256:aa"},"type":"cosign container image signature"},"optional":{"creator":"x"}}"#;
        check(of_cosign, true);
        check(String::from_utf8_lossy(of_cosign).replace("cosign container", "other").as_bytes(), false);
    }
}
