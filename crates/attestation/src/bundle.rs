//! Sigstore bundles (`sigstore_bundle.proto`, version 0.3) around an envelope that a key signed: what cosign 3 attaches and
//! verifies. Without a proof of a public log.

use crate::envelope::Envelope;
use crate::key::VerifyingKey;
use crate::layout::BUNDLE;
use crate::refusal::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A bundle.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigstoreBundle {
    media_type: String,
    #[serde(default)]
    verification_material: VerificationMaterial,
    dsse_envelope: Envelope,
}

/// What a verifier needs besides the key. Nobody signed it: of a bundle that is read it is left alone.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationMaterial {
    #[serde(default)]
    public_key: KeyHint,
}

/// By which key, for verifiers that have several.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KeyHint {
    #[serde(default)]
    hint: String,
}

impl SigstoreBundle {
    /// Puts an envelope into a bundle, which names the key as cosign does: by the digest of its encoding, in base64.
    pub fn new(envelope: Envelope, key: &VerifyingKey) -> Self {
        SigstoreBundle {
            media_type: BUNDLE.to_owned(),
            verification_material: VerificationMaterial { public_key: KeyHint { hint: STANDARD.encode(key.digest()) } },
            dsse_envelope: envelope,
        }
    }

    /// The JSON form.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts in a list: nothing here can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The envelope of a bundle.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], also where it holds the signature of something else.
    pub fn envelope(bytes: &[u8]) -> Result<Envelope, Refusal> {
        let bundle: SigstoreBundle = serde_json::from_slice(bytes).map_err(|e| Refusal::Malformed(e.to_string()))?;
        Ok(bundle.dsse_envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::UnsignedEnvelope;
    use crate::key::tests::{EC_KEY, EC_PUB, signing, verifying};

    #[test]
    fn an_envelope_is_read_as_it_was_put_in() {
        let envelope = UnsignedEnvelope::of_payload(b"payload".to_vec()).sign(&signing(EC_KEY)).unwrap();
        let text = SigstoreBundle::new(envelope.clone(), &verifying(EC_PUB)).to_json();
        assert_eq!(SigstoreBundle::envelope(&text), Ok(envelope));
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
        // `openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64`
        assert_eq!(value["verificationMaterial"]["publicKey"]["hint"], "/3Ab0WTcvpTr0ikIHs8PNundrR4cfIZULU7z2wlMfik=");
        // Of a keyless signer, with fields that are not read.
        let other = r#"{"mediaType": "x", "verificationMaterial": {"certificate": {"rawBytes": ""}, "tlogEntries": []},
            "dsseEnvelope": {"payload": "", "payloadType": "", "signatures": []}}"#;
        assert!(SigstoreBundle::envelope(other.as_bytes()).is_ok());
    }

    #[test]
    fn other_signatures_are_refused() {
        let check = |text: &str| {
            let said = SigstoreBundle::envelope(text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains("not an attestation"), "{said}");
        };
        check("");
        check(r#"{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "messageSignature": {}}"#);
    }
}
