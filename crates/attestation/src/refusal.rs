//! Why what a registry has does not count.

use jiff::{SignedDuration, Timestamp};
use tidewaiter_core::image::Digest;

/// Why an attestation does not count. Of what nobody verified, no more is quoted than its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a DSSE envelope, or not a bundle of one.
    #[error("it is not an attestation ({0})")]
    Malformed(String),
    /// Its payload is something else than an in-toto statement.
    #[error("its payload is not an in-toto statement but {0:?}")]
    PayloadType(String),
    /// None of its signatures is by the key.
    #[error("it is not signed by the key {0}, or was changed afterwards")]
    OtherKey(Digest),
    /// The signed payload cannot be read.
    #[error("what was signed cannot be read ({0}); attest again with a program of this version")]
    Unreadable(String),
    /// It is about something else.
    #[error("it is about another image: {}", .0.iter().map(Digest::as_str).collect::<Vec<_>>().join(", "))]
    OtherSubject(Vec<Digest>),
    /// It says something else.
    #[error("it says something else ({0})")]
    OtherPredicate(String),
    /// Older than was asked for.
    #[error("it was made at {made}, and may be {limit:#} old at most; attest again")]
    TooOld {
        /// When it was made.
        made: Timestamp,
        /// The largest age.
        limit: SignedDuration,
    },
    /// One of two clocks is wrong, so its age is not known.
    #[error("it was made at {0}, which is in the future; correct the clock that is wrong")]
    FromTheFuture(Timestamp),
}
