//! What anybody may attach to an image, and what was signed: read after its signature was verified, but whoever has the key may
//! sign anything.

use crate::Target;
use jiff::Timestamp;
use tidewaiter_attestation::{
    AttestationManifest, Envelope, Expectation, SigningKey, VERDICT, VULNERABILITIES, bundle_layer,
};
use tidewaiter_attestation::{SigstoreBundle, UnsignedEnvelope};
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory, Report};

/// Of `openssl genpkey -algorithm ed25519`.
const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICfhmu+AZLkAuL2Y6XYBU9Bo9Zq8W96qorTfTajTbPS1\n-----END PRIVATE KEY-----\n";

/// When the seeds were made.
const MADE: &str = "2026-11-30T12:00:00Z";

/// Documents of JSON.
pub(crate) const TARGETS: &[Target] =
    &[("attached", bundle, attached), ("signed-statement", statement, signed), ("signed-scan", scan, signed)];

fn bundle() -> Vec<u8> {
    br#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"aGludA=="}},
        "layers":[{"mediaType":"application/vnd.dsse.envelope.v1+json","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":7}],
        "dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AAAA","keyid":""}]}}"#
        .to_vec()
}

fn statement() -> Vec<u8> {
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"r.example/app","digest":{{"sha256":"{}"}}}}],
        "predicateType":"{VERDICT}","predicate":{{"outcome":"Pass","evaluated":"{MADE}","scanned":"{MADE}","policy":{{"digest":"sha256:{}",
        "content":{{}}}},"images":[],"scanner":{{"name":"t","version":"1"}}}}}}"#,
        "0".repeat(64),
        "0".repeat(64),
    )
    .into_bytes()
}

fn scan() -> Vec<u8> {
    let subject = Digest::from_sha256([0; 32]);
    let image = ImageInfo::new("app", subject.clone(), subject.clone(), Platform::new("linux", "amd64"));
    let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
    let mut report = Vec::new();
    // A seed that cannot be written is none, and the test of the seeds says so.
    drop(Report::new(inventory, DatabaseInfo::default(), vec![], vec![]).write_json(&mut report));
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"r.example/app","digest":{{"sha256":"{}"}}}}],
        "predicateType":"{VULNERABILITIES}","predicate":{{"invocation":{{}},"scanner":{{"uri":"","version":"1","db":{{}},
        "result":{}}},"metadata":{{"scanStartedOn":"{MADE}","scanFinishedOn":"{MADE}"}}}}}}"#,
        subject.hex(),
        String::from_utf8_lossy(&report),
    )
    .into_bytes()
}

/// A manifest, a bundle or an envelope, none of which is by the key.
fn attached(bytes: &[u8]) {
    drop(bundle_layer(bytes));
    if let Ok(manifest) = AttestationManifest::parse(bytes) {
        assert!(manifest.envelopes(VERDICT).len() <= 16);
    }
    for envelope in [SigstoreBundle::envelope(bytes), Envelope::parse(bytes)].into_iter().flatten() {
        read(&envelope, |verified| assert!(!verified, "nobody signed this"));
    }
}

/// A payload that the key signed.
fn signed(bytes: &[u8]) {
    let Ok(key) = SigningKey::from_pem(KEY) else { return };
    let Ok(envelope) = UnsignedEnvelope::of_payload(bytes.to_vec()).sign(&key) else { return };
    read(&envelope, |_| {});
}

fn read(envelope: &Envelope, then: impl Fn(bool)) {
    let Ok(key) = SigningKey::from_pem(KEY).map(|key| key.verifying_key()) else { return };
    // After the seeds were made: what is of the future is not read to its end.
    let Ok(now) = MADE.parse::<Timestamp>() else { return };
    let digest = Digest::from_sha256([0; 32]);
    let expectation = Expectation { key: &key, digest: &digest, now, max_age: None };
    then(expectation.verdict(envelope).is_ok());
    then(expectation.scan(envelope).is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_are_read_to_their_end() {
        let check = |seed: Vec<u8>, expected: [bool; 2]| {
            let key = SigningKey::from_pem(KEY).unwrap();
            let envelope = UnsignedEnvelope::of_payload(seed).sign(&key).unwrap();
            let found = std::cell::RefCell::new(Vec::new());
            read(&envelope, |is_read| found.borrow_mut().push(is_read));
            assert_eq!(found.into_inner(), expected);
        };
        check(statement(), [true, false]);
        check(scan(), [false, true]);
    }
}
