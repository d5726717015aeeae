//! Why an image could not be opened or read.

use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_http::FailureKind;

/// Why an image could not be opened or read. Every message names what was read, the cause and the next step.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// Image, manifest, blob or file does not exist.
    #[error("{what} does not exist ({cause}); check the name, the tag and the registry")]
    NotFound {
        /// What was requested.
        what: String,
        /// What the registry or the file system said.
        cause: String,
    },
    /// The registry refused the credentials, or wants some.
    #[error("{what}: the registry refused access ({cause}); check the credentials for this registry and repository")]
    Unauthorized {
        /// What was requested.
        what: String,
        /// What the registry said.
        cause: String,
    },
    /// No answer, or no useful one.
    #[error("{what}: the registry cannot be reached ({cause}); {advice}")]
    Unreachable {
        /// What was requested.
        what: String,
        /// Connection error or status.
        cause: String,
        /// The next step for this kind of cause.
        advice: &'static str,
    },
    /// The registry accepts no more requests for a while (RFC 6585, section 4).
    #[error("{what}: rate limited: log in, or wait ({cause})")]
    RateLimited {
        /// What was requested.
        what: String,
        /// What the registry said.
        cause: String,
        /// The pause that it asks for.
        retry_after: Option<Duration>,
        /// Whether it refused an account, and not whoever asks from this address.
        logged_in: bool,
    },
    /// The scan's own settings for the network cannot be used.
    #[error("{what}: no request was sent: {cause}")]
    Setup {
        /// What was to be requested.
        what: String,
        /// The file or variable, what is wrong with it, and the next step.
        cause: String,
    },
    /// Fewer bytes than promised.
    #[error("{what} is truncated: {expected} bytes expected, {got} read; try again, or push the image again")]
    Truncated {
        /// What was read.
        what: String,
        /// Bytes promised by the descriptor.
        expected: u64,
        /// Bytes read.
        got: u64,
    },
    /// The bytes are not those the digest names.
    #[error(
        "{what} has digest {actual}, not {expected}; its source serves wrong bytes: push the image again or use another source"
    )]
    DigestMismatch {
        /// What was read.
        what: String,
        /// The digest that was requested.
        expected: Digest,
        /// Digest of the bytes read.
        actual: Digest,
    },
    /// A kind of manifest, config or layer this program does not read.
    #[error(
        "{what} has the unsupported media type {media_type:?}; rebuild it as an OCI image with tar, gzip or zstd layers"
    )]
    UnsupportedMediaType {
        /// Manifest, config or layer.
        what: String,
        /// The media type found.
        media_type: String,
    },
    /// The index has nothing for the requested platform.
    #[error("{what} has no image for platform {wanted}; it has {available}: choose one of these with --platform")]
    NoMatchingPlatform {
        /// The image.
        what: String,
        /// The requested platform.
        wanted: Platform,
        /// Platforms the image has.
        available: String,
    },
    /// The image contradicts itself or its format.
    #[error("{what} is not a valid image ({cause}); build or push it again")]
    BadImage {
        /// What was read.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The address rule forbids the connection.
    #[error("{what}: connections to this host are not allowed ({cause}); {advice}")]
    HostNotAllowed {
        /// What was requested.
        what: String,
        /// Which address or scheme was refused.
        cause: String,
        /// The next step.
        advice: &'static str,
    },
    /// Larger than this program reads.
    #[error("{what} is larger than the limit of {limit} bytes; images do not need that, check where it comes from")]
    LimitExceeded {
        /// What was read.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
}

impl SourceError {
    /// Machine-readable reason for conditions and reports.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotFound { .. } => Reason::ImageNotFound,
            Self::Unauthorized { .. } => Reason::Unauthorized,
            Self::Unreachable { .. } => Reason::RegistryUnreachable,
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::Setup { .. } => Reason::BadNetworkSettings,
            Self::Truncated { .. } => Reason::LayerTruncated,
            Self::DigestMismatch { .. } => Reason::DigestMismatch,
            Self::UnsupportedMediaType { .. } => Reason::UnsupportedMediaType,
            Self::NoMatchingPlatform { .. } => Reason::NoMatchingPlatform,
            Self::BadImage { .. } => Reason::BadImage,
            Self::HostNotAllowed { .. } => Reason::HostNotAllowed,
            Self::LimitExceeded { .. } => Reason::LimitExceeded,
        }
    }

    /// The pause after which the registry accepts requests again, where it says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether a registry's limit was that of an account.
    #[must_use]
    pub fn logged_in(&self) -> bool {
        matches!(self, Self::RateLimited { logged_in: true, .. })
    }

    /// The source error inside an I/O error of a layer reader, if that is what stopped it.
    #[must_use]
    pub fn from_io(error: &std::io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// What the other side said, where the message has that apart.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::NotFound { cause, .. }
            | Self::Unauthorized { cause, .. }
            | Self::Unreachable { cause, .. }
            | Self::RateLimited { cause, .. }
            | Self::Setup { cause, .. }
            | Self::HostNotAllowed { cause, .. } => cause.clone(),
            other => other.to_string(),
        }
    }

    /// The same with what was said by the mirrors that were asked before.
    pub(super) fn after(mut self, mirrors: &[String]) -> Self {
        if let Self::NotFound { cause, .. }
        | Self::Unauthorized { cause, .. }
        | Self::Unreachable { cause, .. }
        | Self::RateLimited { cause, .. }
        | Self::HostNotAllowed { cause, .. } = &mut self
            && !mirrors.is_empty()
        {
            *cause = format!("{cause}; before it, {}", mirrors.join("; "));
        }
        self
    }

    /// A failure of the network, or of the registry.
    pub(super) fn unreachable(what: &str, cause: impl ToString) -> Self {
        Self::Unreachable { what: what.to_owned(), cause: cause.to_string(), advice: FailureKind::Network.advice() }
    }

    pub(super) fn bad(what: &str, cause: impl ToString) -> Self {
        Self::BadImage { what: what.to_owned(), cause: cause.to_string() }
    }

    /// An I/O error of a local file.
    pub(super) fn file(what: &str, error: &std::io::Error) -> Self {
        let (what, cause) = (what.to_owned(), error.to_string());
        if error.kind() == std::io::ErrorKind::NotFound {
            Self::NotFound { what, cause }
        } else {
            Self::BadImage { what, cause }
        }
    }
}
