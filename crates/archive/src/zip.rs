//! Zip archives by their central directory (PKWARE's APPNOTE.TXT, 4.3 and 4.5.3), which is what Java and Python read: in
//! memory ([`ZipArchive`]), in a file ([`ZipFile`]), or streamed without it ([`stream`]). Entries are read one by one and
//! never collected: an archive of a million of them costs no memory, but for a file's its directory.

mod directory;
mod file;
pub mod stream;

pub use directory::ZipEntry;
pub use file::{ZipDirectory, ZipFile};

use crate::bytes::{le16, le32};
use directory::Place;
use flate2::read::DeflateDecoder;
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read as _};

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// Bytes of a local header before the name.
const LOCAL_BYTES: usize = 30;
/// In place of a number that does not fit into four bytes.
const NARROW: u64 = 0xffff_ffff;
const ZIP64_EXTRA: u16 = 1;
// The methods that Java's `java.util.zip` reads (4.4.5).
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Why an archive or an entry cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// The format is broken.
    #[error("its zip is corrupt: {0}")]
    Corrupt(&'static str),
    /// An entry needs a password.
    #[error("it is encrypted")]
    Encrypted,
    /// Neither stored nor deflated, but by another method of APPNOTE.TXT, 4.4.5.
    #[error("it is compressed by zip's method {0}; only 0 (stored) and 8 (deflated) can be read")]
    Method(u16),
    /// More bytes than the caller allows.
    #[error("it is too large")]
    TooLarge,
}

/// An I/O error that holds this one.
impl From<ZipError> for io::Error {
    fn from(error: ZipError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// A zip archive in memory.
#[derive(Debug, Clone, Copy)]
pub struct ZipArchive<'a> {
    bytes: &'a [u8],
    directory: &'a [u8],
    /// Bytes before the archive, which offsets do not count: a script that starts it.
    prefix: u64,
}

/// A number of two bytes that is a length.
fn length(bytes: &[u8], at: usize) -> Option<usize> {
    le16(bytes, at).map(usize::from)
}

/// A number of four bytes, which a zip64 field may replace by one of eight.
fn narrow(bytes: &[u8], at: usize) -> Option<u64> {
    le32(bytes, at).map(u64::from)
}

impl<'a> ZipArchive<'a> {
    /// Finds the directory; `None` when there is no sign of an archive.
    ///
    /// # Errors
    /// [`ZipError::Corrupt`] when there are signs of an archive, and no directory.
    pub fn open(bytes: &'a [u8]) -> Result<Option<Self>, ZipError> {
        let begins = |at, mark: &[u8]| Ok(rest_at(bytes, at).is_some_and(|rest| rest.starts_with(mark)));
        let Some(Place { start, end, prefix }) = directory::find(bytes, 0, begins)? else { return Ok(None) };
        let directory = rest_at(bytes, start).and_then(|rest| rest.get(..usize::try_from(end - start).ok()?));
        let directory = directory.ok_or(directory::NONE)?;
        Ok(Some(ZipArchive { bytes, directory, prefix }))
    }

    /// All entries in the order of the directory, up to the first that is broken.
    pub fn entries(&self) -> impl Iterator<Item = Result<ZipEntry<'a>, ZipError>> + use<'a> {
        directory::entries(self.directory)
    }

    /// Unpacks an entry of at most `max` bytes; one that is stored is borrowed. Its checksum is not compared.
    ///
    /// # Errors
    /// When it is larger, encrypted, damaged, or compressed by another method.
    pub fn content(&self, entry: &ZipEntry<'a>, max: u64) -> Result<Cow<'a, [u8]>, ZipError> {
        let stored = self.stored(entry)?;
        match entry.method {
            STORED if u64::try_from(stored.len()).is_ok_and(|size| size <= max) => Ok(Cow::Borrowed(stored)),
            STORED => Err(ZipError::TooLarge),
            DEFLATED => {
                let claimed = usize::try_from(entry.size.min(max)).unwrap_or_default();
                // In one allocation: growing would for a moment need twice the memory. What is only claimed is never touched.
                let mut out = Vec::with_capacity(claimed);
                let read = DeflateDecoder::new(stored).take(max.saturating_add(1)).read_to_end(&mut out);
                let read = read.map_err(|_| ZipError::Corrupt("compressed data"))?;
                let fits = u64::try_from(read).is_ok_and(|size| size <= max);
                if fits { Ok(Cow::Owned(out)) } else { Err(ZipError::TooLarge) }
            }
            method => Err(ZipError::Method(method)),
        }
    }

    /// The content of a compressed entry, unpacked as it is read. Its size is not limited; damage is an error of the reader.
    ///
    /// # Errors
    /// When it is encrypted, lies outside the archive, or is not compressed by DEFLATE.
    pub fn inflated(&self, entry: &ZipEntry<'a>) -> Result<impl BufRead + use<'a>, ZipError> {
        let stored = self.stored(entry)?;
        match entry.method {
            DEFLATED => Ok(BufReader::new(DeflateDecoder::new(stored))),
            method => Err(ZipError::Method(method)),
        }
    }

    fn stored(&self, entry: &ZipEntry<'a>) -> Result<&'a [u8], ZipError> {
        if entry.encrypted {
            return Err(ZipError::Encrypted);
        }
        self.place(entry).ok_or(directory::MISPLACED)
    }

    fn place(&self, entry: &ZipEntry<'a>) -> Option<&'a [u8]> {
        let local = rest_at(self.bytes, self.prefix.checked_add(entry.offset)?)?;
        let start = directory::content_start(local)?;
        local.get(start..start.checked_add(usize::try_from(entry.stored).ok()?)?)
    }
}

/// The bytes from an offset to the end.
fn rest_at(bytes: &[u8], at: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(at).ok()?..)
}
