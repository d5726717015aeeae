//! Keys (ADR 0012): ed25519, or ECDSA on P-256 with SHA-256, in PEM, as OpenSSL and cosign have them.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use std::fs::File;
use std::io::{self, Read as _};
use tidewaiter_core::image::Digest;

/// The encodings of public keys before the keys themselves (RFC 8410 §4, RFC 5480 §2.1.1 with an uncompressed point).
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// Why a PEM text is not a key that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its password would have to be asked for.
    #[error("it is encrypted")]
    Encrypted,
    /// It is not said which one is meant.
    #[error("it has several PEM blocks, and one key is asked for")]
    Several,
    /// Not PEM, or another section of it.
    #[error("{0}")]
    Pem(String),
    /// RSA, another curve.
    #[error("it is of another kind")]
    OtherKind,
}

/// The library could not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature could not be made")]
pub struct SigningFailed;

/// A key that signs.
pub struct SigningKey(KeyPair);

enum KeyPair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// Reads a PEM text in PKCS #8 form (RFC 5958), not encrypted.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        if is_encrypted(pem) {
            return Err(KeyError::Encrypted);
        }
        check_single(pem)?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|e| KeyError::Pem(e.to_string()))?;
        // OpenSSL leaves the public key out of ed25519 keys.
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()) {
            return Ok(SigningKey(KeyPair::Ed25519(key)));
        }
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_pkcs8_der());
        Ok(SigningKey(KeyPair::P256(key.map_err(|_| KeyError::OtherKind)?)))
    }

    /// The signature of a message.
    ///
    /// # Errors
    /// When the library has no random numbers.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        match &self.0 {
            KeyPair::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            KeyPair::P256(key) => {
                Ok(key.sign(&SystemRandom::new(), message).map_err(|_| SigningFailed)?.as_ref().to_vec())
            }
        }
    }

    /// The key that verifies what this one signs.
    pub fn verifying_key(&self) -> VerifyingKey {
        match &self.0 {
            KeyPair::Ed25519(key) => VerifyingKey::ed25519(key.public_key().as_ref()),
            KeyPair::P256(key) => VerifyingKey::p256(key.public_key().as_ref()),
        }
    }
}

/// Whether a PEM file says that its key is encrypted, as those of `cosign generate-key-pair` are.
fn is_encrypted(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).lines().any(|line| line.starts_with("-----BEGIN ENCRYPTED "))
}

/// A key that follows another one would silently be none.
fn check_single(pem: &[u8]) -> Result<(), KeyError> {
    let blocks =
        String::from_utf8_lossy(pem).lines().filter(|line| line.trim_start().starts_with("-----BEGIN ")).count();
    if blocks > 1 { Err(KeyError::Several) } else { Ok(()) }
}

/// Most bytes of a file that a key without a hash of its own (ed25519) signs: all of them are in memory to be verified, before
/// anything in them can be trusted. A compressed database of all feeds has half as many.
const MAX_UNHASHED: u64 = 1 << 30;

/// A key that verifies.
pub struct VerifyingKey {
    algorithm: &'static dyn VerificationAlgorithm,
    /// What of a message is signed: its digest, or `None` for all of it.
    hash: Option<&'static digest::Algorithm>,
    bytes: Vec<u8>,
    /// The key as a certificate would have it (RFC 5280, SubjectPublicKeyInfo).
    encoded: Vec<u8>,
}

impl VerifyingKey {
    /// Reads a PEM text ("PUBLIC KEY", RFC 7468 §13).
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        check_single(pem)?;
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|e| KeyError::Pem(e.to_string()))?;
        match (der.strip_prefix(ED25519), der.strip_prefix(P256)) {
            (Some(bytes), _) if bytes.len() == 32 => Ok(Self::ed25519(bytes)),
            (_, Some(bytes)) if bytes.len() == 65 => Ok(Self::p256(bytes)),
            _ => Err(KeyError::OtherKind),
        }
    }

    fn ed25519(bytes: &[u8]) -> Self {
        let encoded = [ED25519, bytes].concat();
        VerifyingKey { algorithm: &signature::ED25519, hash: None, bytes: bytes.to_vec(), encoded }
    }

    fn p256(bytes: &[u8]) -> Self {
        let (algorithm, hash) = (&ECDSA_P256_SHA256_ASN1, Some(&digest::SHA256));
        VerifyingKey { algorithm, hash, bytes: bytes.to_vec(), encoded: [P256, bytes].concat() }
    }

    /// The digest of the key: `openssl pkey -pubin -in KEY -outform DER | sha256sum`.
    pub fn fingerprint(&self) -> Digest {
        Digest::from_sha256(self.digest())
    }

    /// The bytes of [`VerifyingKey::fingerprint`].
    pub(crate) fn digest(&self) -> [u8; 32] {
        sha256_bytes(&self.encoded)
    }

    /// Whether this key signed a message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public().verify(message, signature).is_ok()
    }

    /// Whether this key signed the content of a file, in bounded memory whatever its size.
    ///
    /// # Errors
    /// When the file cannot be read, or is too large for a key that signs no digest.
    pub fn verifies_file(&self, file: &mut File, signature: &[u8]) -> io::Result<bool> {
        let Some(hash) = self.hash else {
            if file.metadata()?.len() > MAX_UNHASHED {
                return Err(io::Error::other(format!(
                    "larger than {MAX_UNHASHED} bytes, the limit of what an ed25519 key verifies; have it compressed with \
                     zstd, signed by a P-256 key, or pushed to a registry"
                )));
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

/// The digest of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_sha256(sha256_bytes(bytes))
}

fn sha256_bytes(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;

    // Of `openssl genpkey -algorithm ed25519` and `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`.
    pub(crate) const ED_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICfhmu+AZLkAuL2Y6XYBU9Bo9Zq8W96qorTfTajTbPS1\n-----END PRIVATE KEY-----\n";
    pub(crate) const ED_PUB: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEACrKOTMSRiPjEOIEBrXes3GLNRnNMmhSQ8DU/yEsOd+Q=\n-----END PUBLIC KEY-----\n";
    pub(crate) const EC_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzy1t2Mc8PFP5THDc\nr21Qoy8Xx+48FgxrbPkL7wpHJiOhRANCAAQr1OBlCE/b7JTV6l9htes4Z3ZhhKf2\nT6pv9mJjW72IkoONp6qksexub1gTg5s+BekYbg/QmrxAT2x+a/0ZD4Iz\n-----END PRIVATE KEY-----\n";
    pub(crate) const EC_PUB: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEK9TgZQhP2+yU1epfYbXrOGd2YYSn\n9k+qb/ZiY1u9iJKDjaeqpLHsbm9YE4ObPgXpGG4P0Jq8QE9sfmv9GQ+CMw==\n-----END PUBLIC KEY-----\n";
    /// Of `openssl dgst -sha256 -sign` with the P-256 key, over "message", in hexadecimal.
    const EC_SIGNATURE: &str = "3044022026aa13edcee43c070ebb677fd56858b6f3c0890851d979bb885599e9d02cec2502200344b8103b2deee690c97566598868ab86569269cc3bc8fed0787e19abb0d26a";
    /// Of `openssl pkeyutl -sign -rawin` with the ed25519 key, over "message".
    const ED_SIGNATURE: &str = "4999c65c0b26bd9498f2d35e799a3347425d34c4dde6cb46585901433a02e986571bf07a5c255852eed739634fb3906a1feb6cce96f5bb80e21a8506e9840d0c";

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().collect();
        digits.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap()).collect()
    }

    pub(crate) fn signing(pem: &str) -> SigningKey {
        SigningKey::from_pem(pem.as_bytes()).unwrap()
    }

    pub(crate) fn verifying(pem: &str) -> VerifyingKey {
        VerifyingKey::from_pem(pem.as_bytes()).unwrap()
    }

    #[test]
    fn signatures_of_openssl_and_our_own_are_verified() {
        let dir = tempfile::tempdir().unwrap();
        let file_of = |message: &[u8]| {
            fs::write(dir.path().join("message"), message).unwrap();
            dir.path().join("message")
        };
        let (ed, ec) = ((signing(ED_KEY), verifying(ED_PUB)), (signing(EC_KEY), verifying(EC_PUB)));
        let check = |key: &VerifyingKey, message: &[u8], signature: &[u8], expected: bool| {
            assert_eq!(key.verifies(message, signature), expected, "{message:?} {signature:?}");
            let mut opened = File::open(file_of(message)).unwrap();
            assert_eq!(key.verifies_file(&mut opened, signature).unwrap(), expected, "{message:?} {signature:?}");
        };
        for (keys, openssl, other) in [(&ed, ED_SIGNATURE, &ec.1), (&ec, EC_SIGNATURE, &ed.1)] {
            for signature in [unhex(openssl), keys.0.sign(b"message").unwrap()] {
                check(&keys.1, b"message", &signature, true);
                check(&keys.0.verifying_key(), b"message", &signature, true);
                check(&keys.1, b"massage", &signature, false);
                check(&keys.1, b"message", &signature[1..], false);
                check(other, b"message", &signature, false);
            }
        }
    }

    #[test]
    fn a_file_has_one_key() {
        let check = |text: &str, private: Option<KeyError>, public: Option<KeyError>| {
            assert_eq!(SigningKey::from_pem(text.as_bytes()).err(), private, "{text}");
            assert_eq!(VerifyingKey::from_pem(text.as_bytes()).err(), public, "{text}");
        };
        let both = format!("{ED_PUB}{EC_PUB}");
        check(&both, Some(KeyError::Several), Some(KeyError::Several));
        check(&format!("{ED_KEY}{ED_PUB}"), Some(KeyError::Several), Some(KeyError::Several));
        let (private, public) = (format!("a comment\n{ED_KEY}"), format!("a comment\n{ED_PUB}"));
        assert!(SigningKey::from_pem(private.as_bytes()).is_ok() && VerifyingKey::from_pem(public.as_bytes()).is_ok());
    }

    #[test]
    fn files_are_verified_in_bounded_memory() {
        let dir = tempfile::tempdir().unwrap();
        // The database of an attacker: sparse, so that it costs them nothing.
        let large = dir.path().join("large");
        File::create(&large).unwrap().set_len(MAX_UNHASHED + 1).unwrap();
        let check = |pem: &str, expected: Result<bool, &str>| {
            let found = verifying(pem).verifies_file(&mut File::open(&large).unwrap(), b"signature");
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
    fn fingerprints_are_those_of_openssl() {
        // `openssl pkey -pubin -outform DER | sha256sum`
        let check = |private: &str, public: &str, expected: &str| {
            assert_eq!(verifying(public).fingerprint().hex(), expected);
            assert_eq!(signing(private).verifying_key().fingerprint().hex(), expected);
        };
        check(ED_KEY, ED_PUB, "977339bceedd52e8774e45f774abbd9da3692ca03c459ca6112ecde1b52dde2a");
        check(EC_KEY, EC_PUB, "ff701bd164dcbe94ebd229081ecf0f36e9ddad1e1c7c86542d4ef3db094c7e29");
    }
}
