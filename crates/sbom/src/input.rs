//! The bytes of a document: counted, and hashed on their way.

use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use tidewaiter_core::image::Digest;

/// Bytes of a document. The largest known ones have 300 MB.
pub const MAX_BYTES: u64 = 1 << 30;

/// What is known of the bytes that were read.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    hash: Sha256,
    bytes: u64,
}

impl Passed {
    pub(crate) fn is_too_large(&self) -> bool {
        self.bytes > MAX_BYTES
    }

    /// The digest of all bytes, once all were read.
    pub(crate) fn digest(self) -> Digest {
        Digest::from_sha256(self.hash.finalize().into())
    }
}

/// A reader that notes what passes.
pub(crate) struct CountedInput<'i> {
    pub(crate) inner: &'i mut dyn Read,
    pub(crate) passed: &'i mut Passed,
}

impl Read for CountedInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.passed.is_too_large() {
            return Err(io::Error::other("too large"));
        }
        let read = self.inner.read(buffer)?;
        self.passed.hash.update(buffer.get(..read).unwrap_or_default());
        self.passed.bytes += read as u64;
        Ok(read)
    }
}
