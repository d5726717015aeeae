//! Bounded and verifying readers.

use super::SourceError;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use tidewaiter_core::image::Digest;

/// The digest of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

/// Reads everything, at most `limit` bytes.
pub(super) fn read_capped(reader: impl Read, what: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    // One more than allowed, to tell what fits from what was cut.
    match reader.take(limit + 1).read_to_end(&mut bytes) {
        Ok(read) if read as u64 > limit => Err(SourceError::LimitExceeded { what: what.to_owned(), limit }),
        Ok(_) => Ok(bytes),
        Err(error) => {
            Err(SourceError::from_io(&error).cloned().unwrap_or_else(|| SourceError::unreachable(what, &error)))
        }
    }
}

/// Checks bytes against the descriptor that named them.
pub(super) fn verify(bytes: &[u8], what: &str, digest: &Digest, size: Option<u64>) -> Result<(), SourceError> {
    let got = bytes.len() as u64;
    // Before the digest, which is wrong as well then: missing bytes are another fault than other bytes.
    if let Some(expected) = size.filter(|expected| got < *expected) {
        return Err(SourceError::Truncated { what: what.to_owned(), expected, got });
    }
    let actual = sha256(bytes);
    if actual != *digest {
        return Err(SourceError::DigestMismatch { what: what.to_owned(), expected: digest.clone(), actual });
    }
    if size.is_some_and(|expected| got != expected) {
        return Err(SourceError::bad(what, format!("it has {got} bytes, its descriptor says {size:?}")));
    }
    Ok(())
}

/// Fails unless the inner reader has exactly the promised number of bytes.
pub(super) struct Exact<R> {
    inner: R,
    what: String,
    size: u64,
    got: u64,
}

impl<R> Exact<R> {
    pub(super) fn new(inner: R, what: String, size: u64) -> Self {
        Self { inner, what, size, got: 0 }
    }
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A read of nothing returns 0, which below means the end.
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(buffer)?;
        self.got += read as u64;
        if self.got > self.size {
            let cause = format!("it has more than the {} bytes its descriptor says", self.size);
            return Err(io::Error::other(SourceError::bad(&self.what, cause)));
        }
        if read == 0 && self.got < self.size {
            let what = self.what.clone();
            return Err(io::Error::other(SourceError::Truncated { what, expected: self.size, got: self.got }));
        }
        Ok(read)
    }
}
