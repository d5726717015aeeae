//! The signature of a CloudEvent: `Tidewaiter-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 (RFC 2104) of `SECONDS.BODY`
//! and SECONDS the Unix time of the attempt. A receiver compares it in constant time, and refuses one that is older than five
//! minutes: nobody who saw a request can then send it again.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use tidewaiter_core::hex;

/// The header that has it.
pub(crate) const HEADER: &str = "Tidewaiter-Signature";

pub(crate) fn signature(key: &str, body: &str, now: Timestamp) -> String {
    let seconds = now.as_second();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected value is of another implementation: `printf '1764504000.{"a":1}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn time_and_body_are_signed() {
        let now = "2025-11-30T12:00:00Z".parse().unwrap();
        assert_eq!(
            signature("secret", r#"{"a":1}"#, now),
            "t=1764504000,v1=3c20260f7fe0233be1e2f549a1fdc082feed60f7a4b75b15f9ce5beef2fb74b5"
        );
        assert_ne!(signature("other", r#"{"a":1}"#, now), signature("secret", r#"{"a":1}"#, now));
    }
}
