//! A streaming tar reader with the semantics of Go's `archive/tar`, which is what unpacks images:
//! where a scanner and a runtime read a tar differently, packages can hide.
//!
//! Formats: ustar, PAX (POSIX.1-2001), GNU long names and base-256 numbers. Old GNU sparse files are a named error.

mod header;

use crate::limits::Limits;
use header::Header;
use std::collections::BTreeMap;
use std::io::{self, Read};

const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of `size` bytes.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to the target.
    Symlink(String),
    /// A hard link to another path of the archive.
    Hardlink(String),
    /// Devices, FIFOs and what else cannot hold a package.
    Other,
}

/// One entry; its content follows in the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path as stored.
    pub path: String,
    /// What it is.
    pub kind: Kind,
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
pub struct Reader<R> {
    inner: R,
    /// Content and padding of the current entry that was not read yet.
    left: u64,
    padding: u64,
    path_bytes: u64,
    global: BTreeMap<String, String>,
}

impl<R: Read> Reader<R> {
    /// Reads from the start of an uncompressed tar.
    pub fn new(inner: R, limits: &Limits) -> Self {
        Reader { inner, left: 0, padding: 0, path_bytes: limits.path_bytes, global: BTreeMap::new() }
    }

    /// The next entry; `None` at the end of the archive.
    ///
    /// # Errors
    /// When the stream fails or the format is broken.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut pax: BTreeMap<String, String> = BTreeMap::new();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            match header.typeflag {
                b'x' => pax = self.pax_records(header.size)?,
                b'g' => {
                    let records = self.pax_records(header.size)?;
                    self.global.extend(records);
                }
                b'L' => long_name = Some(self.long(header.size)?),
                b'K' => long_link = Some(self.long(header.size)?),
                b'S' => return Err(TarError::Corrupt("old GNU sparse files are not supported")),
                _ => return self.entry(&header, &pax, long_name, long_link).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        pax: &BTreeMap<String, String>,
        long_name: Option<String>,
        long_link: Option<String>,
    ) -> Result<Entry, TarError> {
        let record = |key: &str| pax.get(key).or_else(|| self.global.get(key)).filter(|v| !v.is_empty());
        if pax.keys().any(|key| key.starts_with("GNU.sparse.")) {
            return Err(TarError::Corrupt("PAX sparse files are not supported"));
        }
        let path = record("path").cloned().or(long_name).unwrap_or_else(|| header.name.clone());
        let link = record("linkpath").cloned().or(long_link).unwrap_or_else(|| header.link.clone());
        let size = match record("size") {
            Some(text) => text.parse().map_err(|_| TarError::Corrupt("a PAX size is no number"))?,
            None => header.size,
        };
        let kind = match header.typeflag {
            // Old tars mark a directory by a trailing slash alone.
            b'0' | 0 | b'7' if path.ends_with('/') => Kind::Directory,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::Hardlink(link),
            b'2' => Kind::Symlink(link),
            b'5' => Kind::Directory,
            _ => Kind::Other,
        };
        // Links, devices, directories and FIFOs have no content, whatever their size field says.
        let header_only = matches!(header.typeflag, b'1'..=b'6');
        let size = if header_only { 0 } else { size };
        self.set_content(size)?;
        Ok(Entry { path, kind, size })
    }

    fn set_content(&mut self, size: u64) -> Result<(), TarError> {
        if size > i64::MAX as u64 {
            return Err(TarError::Corrupt("a size is negative or absurd"));
        }
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        Ok(())
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
        let wanted = self.left + self.padding;
        let skipped = io::copy(&mut self.inner.by_ref().take(wanted), &mut io::sink())?;
        if skipped < self.left {
            return Err(TarError::Corrupt("it ends inside an entry"));
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// All bytes of a small special entry.
    fn small(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > self.path_bytes {
            return Err(TarError::TooLong(self.path_bytes));
        }
        self.set_content(size)?;
        let mut bytes = Vec::new();
        self.by_ref().take(size).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < size {
            return Err(TarError::Corrupt("it ends inside a header"));
        }
        Ok(bytes)
    }

    fn long(&mut self, size: u64) -> Result<String, TarError> {
        let bytes = self.small(size)?;
        Ok(header::text(&bytes))
    }

    fn pax_records(&mut self, size: u64) -> Result<BTreeMap<String, String>, TarError> {
        let bytes = self.small(size)?;
        header::pax_records(&bytes)
    }
}

/// The content of the current entry.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
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
