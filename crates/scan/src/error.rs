use crate::source::SourceError;
use tidewaiter_core::Reason;
use tidewaiter_core::image::Digest;

/// Why no trustworthy inventory exists. What was merely not seen is a gap of the inventory instead.
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
        /// The layer as the manifest names it.
        layer: Digest,
        /// Digest or diff id.
        what: &'static str,
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
        /// What does not hold.
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

impl ScanError {
    /// Machine-readable reason for conditions and reports.
    pub fn reason(&self) -> Reason {
        match self {
            ScanError::Source(source) => source.reason(),
            ScanError::Mismatch { what: "diff id", .. } => Reason::DiffIdMismatch,
            ScanError::Mismatch { .. } => Reason::DigestMismatch,
            ScanError::BadLayer { .. } => Reason::BadLayer,
            ScanError::LimitExceeded { .. } => Reason::LimitExceeded,
            ScanError::Cancelled => Reason::Cancelled,
        }
    }
}
