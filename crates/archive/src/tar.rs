//! A streaming tar reader with the semantics of Go's `archive/tar`, which is what unpacks images:
//! where a scanner and a runtime read a tar differently, packages can hide.
//!
//! Formats: v7, ustar, star, PAX (POSIX.1-2001), GNU long names, base-256 numbers and both kinds of sparse files.
//! Global PAX headers are read and not applied, as in Go.

mod header;
mod pax;
mod sparse;

use header::Header;
use pax::Pax;
use sparse::Sparse;
use std::io::{self, BufRead, Read, Seek};

const BLOCK: usize = 512;

/// Bytes of a PAX header or of a long name: the limit of Go's reader.
pub const HEADER_BYTES: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarEntryKind {
    /// A regular file of `size` bytes.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to the target.
    Symlink(String),
    /// A hard link to another path of the archive.
    Hardlink(String),
    /// Devices, FIFOs and everything else without content.
    Other,
}

/// One entry; its content follows in the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// The path as stored.
    pub path: String,
    /// What it is.
    pub kind: TarEntryKind,
    /// Bytes of content.
    pub size: u64,
}

/// Why a tar cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The format is broken.
    #[error("its tar is corrupt: {0}")]
    Corrupt(&'static str),
    /// A limit was hit.
    #[error("a path or header exceeds {0} bytes")]
    TooLong(u64),
}

/// Reads entries one after the other.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    /// Stored content and padding of the current entry that are not read yet.
    left: u64,
    padding: u64,
    /// Holes of the current entry.
    sparse: Option<Sparse>,
    header_bytes: u64,
}

/// The first name that there is, in the order in which Go prefers them: GNU's, PAX's, the header's own.
fn first_name(gnu: String, pax: Option<&str>, own: String) -> String {
    match pax {
        _ if !gnu.is_empty() => gnu,
        Some(name) => name.to_owned(),
        None => own,
    }
}

/// Headers that precede a real entry and apply to it.
#[derive(Debug, Default)]
struct Pending {
    pax: Pax,
    long_name: String,
    long_link: String,
}

impl<R: BufRead> TarReader<R> {
    /// Reads from the start of an uncompressed tar. A PAX header or a long name of more than `header_bytes`, which are
    /// buffered, is [`TarError::TooLong`]; usually [`HEADER_BYTES`].
    pub fn new(inner: R, header_bytes: u64) -> Self {
        TarReader { inner, left: 0, padding: 0, sparse: None, header_bytes }
    }

    /// The next entry; `None` at the end of the archive. What was not read of the entry before is skipped.
    ///
    /// # Errors
    /// When the stream fails, the format is broken, or a header exceeds the limit. The reader is of no use then.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        let mut pending = Pending::default();
        loop {
            // Callers need not read the content of an entry.
            self.skip_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            self.set_content(if header.is_bare() { 0 } else { header.size })?;
            match header.typeflag {
                // A later header of the same kind replaces an earlier one, as in Go.
                b'x' => pending.pax = Pax::parse(&self.small()?)?,
                b'g' => {
                    // Go returns it as an entry of its own: headers pending for the next one no longer apply.
                    Pax::parse(&self.small()?)?;
                    pending = Pending::default();
                }
                b'L' => pending.long_name = header::text(&self.small()?),
                b'K' => pending.long_link = header::text(&self.small()?),
                _ => return self.entry(header, pending).map(Some),
            }
        }
    }

    fn entry(&mut self, mut header: Header, pending: Pending) -> Result<TarEntry, TarError> {
        let Pending { pax, long_name, long_link } = pending;
        let mut path = first_name(long_name, pax.get("path"), std::mem::take(&mut header.name));
        let link = first_name(long_link, pax.get("linkpath"), std::mem::take(&mut header.link));
        if let Some(text) = pax.get("size") {
            header.size = text.parse().map_err(|_| TarError::Corrupt("a PAX size is not a number"))?;
        }
        // Old tars mark a directory by a trailing slash alone.
        if header.typeflag == 0 && path.ends_with('/') {
            header.typeflag = b'5';
        }
        let mut size = self.set_content(if header.is_bare() { 0 } else { header.size })?;
        self.sparse = match header.typeflag {
            b'S' => Some(Sparse::old_gnu(&header, &mut self.inner)?),
            _ => Sparse::pax(&pax, size, &mut path, &mut *self)?,
        };
        if let Some(sparse) = &self.sparse {
            if header.is_bare() || !sparse.is_sound() {
                return Err(TarError::Corrupt("a sparse file's map"));
            }
            size = sparse.size();
        }
        let kind = match header.typeflag {
            0 | b'0' | b'7' | b'S' => TarEntryKind::File,
            b'1' => TarEntryKind::Hardlink(link),
            b'2' => TarEntryKind::Symlink(link),
            b'5' => TarEntryKind::Directory,
            _ => TarEntryKind::Other,
        };
        Ok(TarEntry { path, kind, size })
    }

    fn set_content(&mut self, size: i64) -> Result<u64, TarError> {
        let size = u64::try_from(size).map_err(|_| TarError::Corrupt("a negative size"))?;
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        self.sparse = None;
        Ok(size)
    }

    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let mut block = [0_u8; BLOCK];
        if !self.block(&mut block)? {
            return Ok(None);
        }
        if block.iter().all(|b| *b == 0) {
            // Two zero blocks end an archive; so does one at the end of the stream.
            if !self.block(&mut block)? || block.iter().all(|b| *b == 0) {
                return Ok(None);
            }
            return Err(TarError::Corrupt("a lone zero block inside"));
        }
        Header::parse(&block).map(Some)
    }

    /// Reads one block; false at a clean end of the stream.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, TarError> {
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|r| !r.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(TarError::Corrupt("it ends inside a header")),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(true)
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        let wanted = self.left.saturating_add(self.padding);
        let mut skipped = 0;
        while skipped < wanted {
            let here = match self.inner.fill_buf() {
                Ok(bytes) => bytes.len(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            if here == 0 {
                break;
            }
            let step = usize::try_from(wanted - skipped).unwrap_or(usize::MAX).min(here);
            self.inner.consume(step);
            skipped += step as u64;
        }
        if skipped < self.left {
            return Err(TarError::Corrupt("it ends inside an entry"));
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// All bytes of a header that precedes an entry.
    fn small(&mut self) -> Result<Vec<u8>, TarError> {
        let size = self.left;
        if size > self.header_bytes {
            return Err(TarError::TooLong(self.header_bytes));
        }
        let mut bytes = Vec::new();
        self.by_ref().take(size).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Stored bytes of the current entry.
    fn read_stored(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let max = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if max == 0 {
            return Ok(0);
        }
        let n = self.inner.read(buf.get_mut(..max).unwrap_or_default())?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its tar ends inside an entry"));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

impl<R: BufRead + Seek> TarReader<R> {
    /// Moves past the current entry's content without reading it, in a stream of `len` bytes. Returns where the content
    /// begins; `None` for sparse files, which are not stored as they are.
    ///
    /// # Errors
    /// When the stream fails or ends before the content does.
    pub fn seek_past(&mut self, len: u64) -> Result<Option<u64>, TarError> {
        let start = self.inner.stream_position()?;
        // Seeking past the end would succeed and look like the end of the archive.
        let end = start.checked_add(self.left).filter(|end| *end <= len);
        let end = end.ok_or(TarError::Corrupt("it ends inside an entry"))?;
        let next = end.saturating_add(self.padding).min(len);
        self.inner.seek_relative(i64::try_from(next - start).map_err(io::Error::other)?)?;
        (self.left, self.padding) = (0, 0);
        Ok(Some(start).filter(|_| self.sparse.is_none()))
    }
}

/// The content of the current entry, holes as zeros: [`TarEntry::size`] bytes, or `UnexpectedEof`.
impl<R: BufRead> Read for TarReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(mut sparse) = self.sparse.take() else { return self.read_stored(buf) };
        let result = sparse.read(buf, |part| self.read_stored(part));
        self.sparse = Some(sparse);
        result
    }
}
