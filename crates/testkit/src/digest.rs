//! Digests, as documents of images write them.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// `sha256:…` of some bytes.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
