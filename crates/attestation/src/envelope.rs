//! DSSE envelopes (`secure-systems-lab/dsse`, protocol 1.0.2): a payload, its type, and signatures over both.

use crate::key::{SigningFailed, SigningKey, VerifyingKey};
use crate::refusal::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

/// The type of payloads that are in-toto statements.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Characters of another type that are quoted: nobody signed it.
const QUOTED: usize = 100;
/// Most signatures of one envelope that are looked at: each signer adds one.
const SIGNATURES: usize = 16;

/// An envelope: whatever it holds is unverified, and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EnvelopeSignature {
    // What it says of its key is a hint that nobody signed: it is not read.
    sig: String,
}

/// A payload that is about to be signed.
#[derive(Debug)]
pub struct UnsignedEnvelope(Vec<u8>);

impl UnsignedEnvelope {
    /// Of a payload that is to be a statement.
    pub fn of_payload(payload: Vec<u8>) -> Self {
        UnsignedEnvelope(payload)
    }

    #[cfg(test)]
    pub(crate) fn payload(&self) -> &[u8] {
        &self.0
    }

    /// Signs the payload as an in-toto statement.
    ///
    /// # Errors
    /// When the library cannot sign.
    pub fn sign(&self, key: &SigningKey) -> Result<Envelope, SigningFailed> {
        let signature = key.sign(&signed_bytes(IN_TOTO, &self.0))?;
        Ok(Envelope {
            payload: STANDARD.encode(&self.0),
            payload_type: IN_TOTO.to_owned(),
            signatures: vec![EnvelopeSignature { sig: STANDARD.encode(signature) }],
        })
    }
}

/// A payload whose signature was verified.
#[derive(Debug)]
pub(crate) struct VerifiedPayload(Vec<u8>);

impl VerifiedPayload {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(bytes).map_err(|error| Refusal::Malformed(error.to_string()))
    }

    /// The JSON form, in one line.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts in a list: nothing here can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The payload, if it is a statement and one of the signatures is by the key.
    pub(crate) fn open(&self, key: &VerifyingKey) -> Result<VerifiedPayload, Refusal> {
        if self.payload_type != IN_TOTO {
            return Err(Refusal::PayloadType(self.payload_type.chars().take(QUOTED).collect()));
        }
        let payload =
            decode(&self.payload).ok_or_else(|| Refusal::Malformed("its payload is not base64".to_owned()))?;
        let signed = signed_bytes(&self.payload_type, &payload);
        let mut signatures = self.signatures.iter().take(SIGNATURES).filter_map(|signature| decode(&signature.sig));
        match signatures.any(|signature| key.verifies(&signed, &signature)) {
            true => Ok(VerifiedPayload(payload)),
            false => Err(Refusal::OtherKey(key.fingerprint())),
        }
    }
}

/// Either alphabet of RFC 4648, as DSSE allows.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// What is signed: DSSE's pre-authentication encoding of the type and the payload.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::tests::{EC_KEY, EC_PUB, ED_KEY, ED_PUB, signing, verifying};

    #[test]
    fn what_is_signed_is_that_of_the_specification() {
        // Of protocol.md's example.
        let signed = signed_bytes("http://example.com/HelloWorld", b"hello world");
        assert_eq!(signed, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn a_payload_is_read_by_the_key_that_signed_it() {
        let signed = |pem: &str| UnsignedEnvelope::of_payload(b"payload".to_vec()).sign(&signing(pem)).unwrap();
        let check = |envelope: &Envelope, pem: &str, expected: Result<(), &str>| {
            // As it comes from a registry.
            let read = Envelope::parse(&envelope.to_json()).unwrap();
            match (read.open(&verifying(pem)), expected) {
                (Ok(payload), Ok(())) => assert_eq!(payload.bytes(), b"payload"),
                (Err(said), Err(words)) => assert!(said.to_string().contains(words), "{said}"),
                (found, _) => panic!("{found:?}"),
            }
        };
        let (ed, ec) = (signed(ED_KEY), signed(EC_KEY));
        check(&ed, ED_PUB, Ok(()));
        check(&ec, EC_PUB, Ok(()));
        let changed = |change: fn(&mut Envelope)| {
            let mut envelope = ed.clone();
            change(&mut envelope);
            envelope
        };
        let none = "not signed by the key sha256:";
        check(&ec, ED_PUB, Err(none));
        check(&changed(|envelope| envelope.payload = STANDARD.encode(b"Payload")), ED_PUB, Err(none));
        check(&changed(|envelope| envelope.signatures.clear()), ED_PUB, Err(none));
        check(&changed(|envelope| envelope.signatures[0].sig = "x".to_owned()), ED_PUB, Err(none));
        check(&changed(|envelope| envelope.payload = "~".to_owned()), ED_PUB, Err("not base64"));
        check(&changed(|envelope| envelope.payload_type = "text/plain".to_owned()), ED_PUB, Err("\"text/plain\""));
        let long = changed(|envelope| envelope.payload_type = "x".repeat(QUOTED + 1));
        assert_eq!(long.open(&verifying(ED_PUB)).unwrap_err(), Refusal::PayloadType("x".repeat(QUOTED)));
        // Both alphabets are read.
        check(
            &changed(|e| e.signatures[0].sig = e.signatures[0].sig.replace('+', "-").replace('/', "_")),
            ED_PUB,
            Ok(()),
        );
        // Of several signers one is enough, wherever it stands; beyond the limit nobody looks.
        let mut both = ed.clone();
        both.signatures.insert(0, ec.signatures[0].clone());
        check(&both, ED_PUB, Ok(()));
        both.signatures.splice(0..0, vec![ec.signatures[0].clone(); SIGNATURES]);
        check(&both, ED_PUB, Err(none));
    }

    #[test]
    fn other_json_is_refused() {
        let check = |text: &str| {
            let said = Envelope::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains("not an attestation"), "{said}");
        };
        check("");
        check("{}");
        check(r#"{"payload": "", "payload": "", "payloadType": "", "signatures": []}"#);
    }
}
