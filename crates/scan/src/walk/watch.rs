//! Stored bytes on their way in: progress is reported, and a cancelled scan stops at its next read.

use crate::progress::ScanProgress;
use crate::walk::ScanResources;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

/// A stream that is watched.
pub(super) struct Watched<'a> {
    inner: Box<dyn Read + Send>,
    layer: usize,
    progress: &'a dyn ScanProgress,
    cancel: &'a AtomicBool,
}

impl<'a> Watched<'a> {
    pub(super) fn new(inner: Box<dyn Read + Send>, layer: usize, scan: &ScanResources<'a>) -> Self {
        Watched { inner, layer, progress: scan.progress, cancel: scan.cancel }
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.cancel.load(Ordering::Relaxed) {
            // Its text is never shown: `read` reports a cancelled scan as just that.
            return Err(io::Error::other("cancelled"));
        }
        let n = self.inner.read(buf)?;
        self.progress.bytes(self.layer, n as u64);
        Ok(n)
    }
}
