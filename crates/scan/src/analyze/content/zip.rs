//! Zip archives in memory, by their central directory (PKWARE's APPNOTE.TXT, 4.3 and 4.5.3), which is what Java reads.
//! Entries are read one by one and never collected: an archive of a million of them costs no memory.

pub(super) mod stream;

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
const NARROW: u64 = 0xffff_ffff;
const ZIP64_EXTRA: u64 = 1;
const STORED: u64 = 0;
const DEFLATED: u64 = 8;

/// Why an archive or an entry cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ZipError {
    #[error("its zip is corrupt: {0}")]
    Corrupt(&'static str),
    #[error("it is encrypted")]
    Encrypted,
    #[error("it is compressed by a method that Java does not know")]
    Method,
    #[error("it is too large")]
    TooLarge,
}

/// An archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    directory: &'a [u8],
    /// What comes before the archive: offsets do not count it.
    prefix: u64,
}

/// A file in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    method: u64,
    encrypted: bool,
    stored: u64,
    /// Bytes when unpacked, as it says.
    pub(super) size: u64,
    offset: u64,
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(size)?)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn length(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(number(bytes, at, 2)?).ok()
}

impl<'a> Archive<'a> {
    /// Finds the directory; `None` when there is no sign of an archive.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Option<Self>, ZipError> {
        let from = bytes.len().saturating_sub(END_WITHIN);
        let tail = bytes.get(from..).unwrap_or_default();
        let mut any = bytes.starts_with(LOCAL);
        for at in memchr::memmem::rfind_iter(tail, END) {
            any = true;
            if let Some(archive) = Self::ending_at(bytes, from + at) {
                return Ok(Some(archive));
            }
        }
        if any { Err(ZipError::Corrupt("it has no directory")) } else { Ok(None) }
    }

    fn ending_at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let end = bytes.get(at..)?;
        let (mut size, mut offset, mut until) = (number(end, 12, 4)?, number(end, 16, 4)?, at);
        if size == NARROW || offset == NARROW || number(end, 10, 2)? == 0xffff {
            // The locator's offset does not count what comes before the archive either: the record is right before it.
            let locator = at.checked_sub(20)?;
            let record = locator.checked_sub(56)?;
            if bytes.get(locator..)?.starts_with(LOCATOR_64) && bytes.get(record..)?.starts_with(END_64) {
                let record_bytes = bytes.get(record..)?;
                (size, offset, until) = (number(record_bytes, 40, 8)?, number(record_bytes, 48, 8)?, record);
            }
        }
        let start = until.checked_sub(usize::try_from(size).ok()?)?;
        let prefix = u64::try_from(start).ok()?.checked_sub(offset)?;
        let directory = bytes.get(start..until)?;
        (directory.is_empty() || directory.starts_with(CENTRAL)).then_some(Archive { bytes, directory, prefix })
    }

    /// All entries, up to the first that is broken.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Entry<'a>, ZipError>> + use<'a> {
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

    /// Unpacks an entry of at most `max` bytes.
    pub(super) fn content(&self, entry: &Entry<'a>, max: u64) -> Result<Cow<'a, [u8]>, ZipError> {
        let stored = self.stored(entry)?;
        match entry.method {
            STORED if u64::try_from(stored.len()).is_ok_and(|size| size <= max) => Ok(Cow::Borrowed(stored)),
            STORED => Err(ZipError::TooLarge),
            DEFLATED => {
                let claimed = usize::try_from(entry.size.min(max)).unwrap_or_default();
                // At once: growing would for a moment hold it twice. What is only claimed is never touched.
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
    pub(super) fn inflated(&self, entry: &Entry<'a>) -> Result<impl BufRead + use<'a>, ZipError> {
        let stored = self.stored(entry)?;
        if entry.method == DEFLATED { Ok(BufReader::new(DeflateDecoder::new(stored))) } else { Err(ZipError::Method) }
    }

    fn stored(&self, entry: &Entry<'a>) -> Result<&'a [u8], ZipError> {
        if entry.encrypted {
            return Err(ZipError::Encrypted);
        }
        self.place(entry).ok_or(ZipError::Corrupt("where an entry lies"))
    }

    fn place(&self, entry: &Entry<'a>) -> Option<&'a [u8]> {
        let local = self.bytes.get(usize::try_from(self.prefix.checked_add(entry.offset)?).ok()?..)?;
        if !local.starts_with(LOCAL) {
            return None;
        }
        let start = 30 + length(local, 26)? + length(local, 28)?;
        local.get(start..start.checked_add(usize::try_from(entry.stored).ok()?)?)
    }
}

/// The first entry of a directory, and what follows.
fn entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    if !bytes.starts_with(CENTRAL) {
        return None;
    }
    let name_end = 46 + length(bytes, 28)?;
    let extra_end = name_end + length(bytes, 30)?;
    let rest = bytes.get(extra_end + length(bytes, 32)?..)?;
    let mut entry = Entry {
        name: bytes.get(46..name_end)?,
        method: number(bytes, 10, 2)?,
        encrypted: number(bytes, 8, 2)? & 1 != 0,
        stored: number(bytes, 20, 4)?,
        size: number(bytes, 24, 4)?,
        offset: number(bytes, 42, 4)?,
    };
    entry.widen(bytes.get(name_end..extra_end)?);
    Some((entry, rest))
}

impl Entry<'_> {
    pub(super) fn is_stored(&self) -> bool {
        self.method == STORED
    }

    /// Takes numbers that do not fit from the extra field, where each stands only if it is needed.
    fn widen(&mut self, mut extra: &[u8]) {
        while let (Some(id), Some(size)) = (number(extra, 0, 2), length(extra, 2)) {
            let Some(field) = extra.get(4..4 + size) else { return };
            if id == ZIP64_EXTRA {
                let mut wide = (0..).map_while(|index: usize| number(field, index * 8, 8));
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
