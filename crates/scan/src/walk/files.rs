//! The content of one file of a layer: buffered in memory or streamed, within the limits.

use crate::analyze::content::{self, Format};
use crate::analyze::{self, ParsedFile};
use crate::walk::tar_walk::TarWalk;
use std::io::{self, Read};
use tidewaiter_archive::tar::TarError;
use tidewaiter_core::package::Package;
use tidewaiter_core::report::{Gap, GapKind};

/// Bytes of a program up to which every thread buffers its own: nearly all programs of an image are smaller, and those of
/// several layers are then read concurrently.
const SMALL: u64 = 4 << 20;
/// Bytes allocated for a file before any of it is read: its size is only claimed.
const FIRST_ALLOCATION: u64 = 1 << 20;

impl TarWalk<'_> {
    /// The bytes of a file that is wanted as it is; none when it is too large.
    pub(super) fn raw(&mut self, path: &str, size: u64, content: &mut impl Read) -> Result<Option<Vec<u8>>, TarError> {
        if size > self.scan.limits.database_bytes {
            return Ok(None);
        }
        self.buffer_recorded(path, size, content).map(Some)
    }

    /// Parses a file that is wanted by a path.
    pub(super) fn parse(
        &mut self,
        path: &str,
        wanted: &str,
        size: u64,
        content: &mut impl Read,
    ) -> Result<ParsedFile, TarError> {
        let limits = &self.scan.limits;
        let max = if analyze::is_database(wanted) { limits.database_bytes } else { limits.file_bytes };
        if size > max {
            let message = format!("it has {size} bytes, the limit is {max}; its packages are not scanned");
            let gap = Gap { kind: GapKind::LimitReached, subject: path.to_owned(), message };
            return Ok(ParsedFile { gaps: vec![gap], ..ParsedFile::default() });
        }
        let bytes = self.buffer_recorded(path, size, content)?;
        Ok(analyze::parse(wanted, &bytes))
    }

    fn buffer_recorded(&mut self, path: &str, size: u64, content: &mut impl Read) -> Result<Vec<u8>, TarError> {
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(FIRST_ALLOCATION)).unwrap_or_default());
        content.take(size).read_to_end(&mut bytes)?;
        self.record(path.len() + bytes.len())?;
        Ok(bytes)
    }

    /// Reads a file that no path names, if its first bytes tell its format; `None` when they do not, or when nothing
    /// that a report needs is in it.
    pub(super) fn detect(
        &mut self,
        path: &str,
        size: u64,
        content: &mut impl Read,
    ) -> Result<Option<ParsedFile>, TarError> {
        let mut head = [0_u8; content::HEAD];
        let mut rest = content.take(size);
        let filled = fill(&mut rest, &mut head)?;
        let head = head.get(..filled).unwrap_or_default();
        // Nearly all files end here, after eight bytes.
        let Some(format) = content::detect(path, head) else { return Ok(None) };
        let parsed = self.detected(format, path, size, &mut head.chain(rest))?;
        if parsed.is_empty() {
            return Ok(None);
        }
        self.record(path.len() + parsed.packages.iter().map(package_bytes).sum::<usize>())?;
        Ok(Some(parsed))
    }

    fn detected(
        &mut self,
        format: Format,
        path: &str,
        size: u64,
        content: &mut impl Read,
    ) -> Result<ParsedFile, TarError> {
        if size > format.max_buffered(self.scan.limits.file_bytes) {
            // Streaming takes windows and unpacked archives of its own; they take the place of the buffer.
            let mut one_at_a_time = self.scan.large_file.lock();
            *one_at_a_time = Vec::new();
            return Ok(content::parse_stream(format, path, content)?);
        }
        if size <= SMALL && format != Format::Archive {
            self.buffer.clear();
            content.read_to_end(&mut self.buffer)?;
            return Ok(content::parse(format, path, &self.buffer));
        }
        let mut bytes = self.scan.large_file.lock();
        bytes.clear();
        bytes.reserve_exact(usize::try_from(size).unwrap_or_default());
        content.read_to_end(&mut bytes)?;
        Ok(content::parse(format, path, &bytes))
    }
}

fn package_bytes(package: &Package) -> usize {
    package.name.len() + package.version.len() + size_of::<Package>()
}

/// Reads until the buffer is full or the content ends.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match content.read(rest)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}
