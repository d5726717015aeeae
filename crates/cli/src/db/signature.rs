//! What is signed of a database (ADR 0012): cosign's "simple signing" payload.

use serde::Deserialize;
use serde_json::json;

/// The type that cosign's payloads state.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// The payload: it names the repository and the digest of the manifest.
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
