//! The error of a scan.
//!
//! Rules: one public error for what a caller can act on, with what was read, the cause and the next step in its message;
//! a source's error is passed on as it is; parsers have small private errors, or a `&'static str` as the cause of a gap.
//! What cannot be seen in bytes that are otherwise sound is not an error but a gap of the inventory.

use crate::source::SourceError;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::image::Digest;

/// Why there is no trustworthy inventory. What a scan could not see is a gap of the inventory instead.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScanError {
    /// The image could not be opened or read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A layer's bytes are not what the image says.
    #[error(
        "layer {layer} has {what} {actual}, the image says {expected}; the image is damaged or forged: push it again"
    )]
    Mismatch {
        /// The layer, as the manifest names it.
        layer: Digest,
        /// Which digest it is.
        what: NamedDigest,
        /// What the image says.
        expected: Digest,
        /// What was read.
        actual: Digest,
    },
    /// A layer cannot be inflated or its tar cannot be read.
    #[error("layer {layer} cannot be read ({cause}); build the image again")]
    BadLayer {
        /// The layer.
        layer: Digest,
        /// What is wrong with it.
        cause: String,
    },
    /// A layer exceeds a limit.
    #[error("layer {layer} exceeds the limit of {limit} {what}; it cannot be scanned safely")]
    LimitExceeded {
        /// The layer.
        layer: Digest,
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The caller cancelled.
    #[error("the scan was cancelled")]
    Cancelled,
}

/// The two digests of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedDigest {
    /// Of its stored bytes.
    Layer,
    /// Of its tar.
    DiffId,
}

impl std::fmt::Display for NamedDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NamedDigest::Layer => "digest",
            NamedDigest::DiffId => "diff ID",
        })
    }
}

impl ScanError {
    /// The pause after which the registry accepts requests again, where it says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Source(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether a registry's limit was that of an account.
    #[must_use]
    pub fn logged_in(&self) -> bool {
        matches!(self, Self::Source(error) if error.logged_in())
    }

    /// Machine-readable reason for conditions and reports.
    pub fn reason(&self) -> Reason {
        match self {
            ScanError::Source(source) => source.reason(),
            ScanError::Mismatch { what: NamedDigest::DiffId, .. } => Reason::DiffIdMismatch,
            ScanError::Mismatch { .. } => Reason::DigestMismatch,
            ScanError::BadLayer { .. } => Reason::BadLayer,
            ScanError::LimitExceeded { .. } => Reason::LimitExceeded,
            ScanError::Cancelled => Reason::Cancelled,
        }
    }
}
