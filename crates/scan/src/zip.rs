//! Zip archives in memory, by their central directory (PKWARE's APPNOTE.TXT, 4.3 and 4.5.3), which is what Java and Python
//! read. Entries are read one by one and never collected: an archive of a million of them costs no memory.

pub(crate) mod stream;

use crate::bytes::{le16, le32, le64};
use flate2::read::DeflateDecoder;
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read as _};

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const END_BYTES: usize = 22;
/// The end record and the longest comment after it.
const END_WITHIN: usize = END_BYTES + 0xffff;
/// In place of a number that does not fit into four bytes.
const NARROW: u64 = 0xffff_ffff;
const ZIP64_EXTRA: u16 = 1;
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
    /// Neither stored nor deflated.
    #[error("it is compressed by a method that Java does not know")]
    Method,
    /// More bytes than the caller allows.
    #[error("it is too large")]
    TooLarge,
}

/// A zip archive.
#[derive(Debug, Clone, Copy)]
pub struct ZipArchive<'a> {
    bytes: &'a [u8],
    directory: &'a [u8],
    /// Bytes before the archive, which offsets do not count: a script that starts it.
    prefix: u64,
}

/// A file in a zip archive, as the directory describes it.
#[derive(Debug, Clone, Copy)]
pub struct ZipEntry<'a> {
    /// The name as stored.
    pub name: &'a [u8],
    method: u16,
    encrypted: bool,
    stored: u64,
    /// Bytes when unpacked, as the directory says.
    pub size: u64,
    offset: u64,
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
    /// When there are signs of an archive, and no directory.
    pub fn open(bytes: &'a [u8]) -> Result<Option<Self>, ZipError> {
        let from = bytes.len().saturating_sub(END_WITHIN);
        let tail = bytes.get(from..).unwrap_or_default();
        let mut any = bytes.starts_with(LOCAL);
        for at in memchr::memmem::rfind_iter(tail, END) {
            any = true;
            // As Java does: an end whose comment ends the file is the only one; any other must lead to an entry. Otherwise
            // an archive inside a damaged one would be read in its place.
            let comment = length(tail, at + END_BYTES - 2);
            let is_last = comment.is_some_and(|comment| at + END_BYTES + comment == tail.len());
            let archive = Self::ending_at(bytes, from + at).filter(|archive| is_last || archive.begins_with_entry());
            if archive.is_some() {
                return Ok(archive);
            }
            if is_last {
                break;
            }
        }
        if any { Err(ZipError::Corrupt("it has no directory")) } else { Ok(None) }
    }

    fn begins_with_entry(&self) -> bool {
        let begin = usize::try_from(self.prefix).ok().and_then(|prefix| self.bytes.get(prefix..));
        begin.is_some_and(|begin| begin.starts_with(LOCAL))
    }

    fn ending_at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let end = bytes.get(at..)?;
        let (mut size, mut offset, mut until) = (narrow(end, 12)?, narrow(end, 16)?, at);
        if size == NARROW || offset == NARROW || le16(end, 10)? == 0xffff {
            // The locator's offset does not count the prefix either: the record is right before the locator.
            let locator = at.checked_sub(20)?;
            let record = locator.checked_sub(56)?;
            if bytes.get(locator..)?.starts_with(LOCATOR_64) && bytes.get(record..)?.starts_with(END_64) {
                let record_bytes = bytes.get(record..)?;
                (size, offset, until) = (le64(record_bytes, 40)?, le64(record_bytes, 48)?, record);
            }
        }
        let start = until.checked_sub(usize::try_from(size).ok()?)?;
        let prefix = u64::try_from(start).ok()?.checked_sub(offset)?;
        let directory = bytes.get(start..until)?;
        // Only an archive that says it has no entries has no directory.
        let is_empty = directory.is_empty() && le16(end, 10)? == 0;
        (is_empty || directory.starts_with(CENTRAL)).then_some(ZipArchive { bytes, directory, prefix })
    }

    /// All entries, up to the first that is broken.
    pub fn entries(&self) -> impl Iterator<Item = Result<ZipEntry<'a>, ZipError>> + use<'a> {
        let mut rest = self.directory;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (entry, after) =
                entry(rest).map_or((Err(ZipError::Corrupt("an entry")), [].as_slice()), |(e, r)| (Ok(e), r));
            rest = after;
            Some(entry)
        })
    }

    /// Unpacks an entry of at most `max` bytes. Its checksum is not compared.
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
            _ => Err(ZipError::Method),
        }
    }

    /// The content of a compressed entry, unpacked as it is read.
    pub(crate) fn inflated(&self, entry: &ZipEntry<'a>) -> Result<impl BufRead + use<'a>, ZipError> {
        let stored = self.stored(entry)?;
        if entry.method == DEFLATED { Ok(BufReader::new(DeflateDecoder::new(stored))) } else { Err(ZipError::Method) }
    }

    fn stored(&self, entry: &ZipEntry<'a>) -> Result<&'a [u8], ZipError> {
        if entry.encrypted {
            return Err(ZipError::Encrypted);
        }
        self.place(entry).ok_or(ZipError::Corrupt("where an entry lies"))
    }

    fn place(&self, entry: &ZipEntry<'a>) -> Option<&'a [u8]> {
        let local = self.bytes.get(usize::try_from(self.prefix.checked_add(entry.offset)?).ok()?..)?;
        if !local.starts_with(LOCAL) {
            return None;
        }
        let start = 30 + length(local, 26)? + length(local, 28)?;
        local.get(start..start.checked_add(usize::try_from(entry.stored).ok()?)?)
    }
}

/// The first entry of a directory, and what follows.
fn entry(bytes: &[u8]) -> Option<(ZipEntry<'_>, &[u8])> {
    if !bytes.starts_with(CENTRAL) {
        return None;
    }
    let name_end = 46 + length(bytes, 28)?;
    let extra_end = name_end + length(bytes, 30)?;
    let rest = bytes.get(extra_end + length(bytes, 32)?..)?;
    let mut entry = ZipEntry {
        name: bytes.get(46..name_end)?,
        method: le16(bytes, 10)?,
        encrypted: le16(bytes, 8)? & 1 != 0,
        stored: narrow(bytes, 20)?,
        size: narrow(bytes, 24)?,
        offset: narrow(bytes, 42)?,
    };
    entry.widen(bytes.get(name_end..extra_end)?);
    Some((entry, rest))
}

impl ZipEntry<'_> {
    pub(crate) fn is_stored(&self) -> bool {
        self.method == STORED
    }

    /// Takes numbers that do not fit from the extra field, which has only those that are needed, in this order.
    fn widen(&mut self, mut extra: &[u8]) {
        while let (Some(id), Some(size)) = (le16(extra, 0), length(extra, 2)) {
            let Some(field) = extra.get(4..4 + size) else { return };
            if id == ZIP64_EXTRA {
                let mut wide = (0..).map_while(|index: usize| le64(field, index * 8));
                for narrow in [&mut self.size, &mut self.stored, &mut self.offset] {
                    if *narrow == NARROW {
                        *narrow = wide.next().unwrap_or(NARROW);
                    }
                }
                return;
            }
            extra = extra.get(4 + size..).unwrap_or_default();
        }
    }
}
