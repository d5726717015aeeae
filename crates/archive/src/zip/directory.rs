//! The central directory of an archive: where it lies, and its entries.

use super::{
    CENTRAL, END, END_64, LOCAL, LOCAL_BYTES, LOCATOR_64, NARROW, STORED, ZIP64_EXTRA, ZipError, length, narrow,
};
use crate::bytes::{le16, le32, le64};

const END_BYTES: usize = 22;
/// Bytes of the locator of a zip64 record, and of that record, both before the end record.
const LOCATOR_64_BYTES: usize = 20;
const END_64_BYTES: usize = 56;
/// The end record and the longest comment after it.
const END_WITHIN: usize = END_BYTES + 0xffff;
/// Last bytes of an archive in which [`find`] finds its directory, if there is one.
pub(super) const TAIL: usize = END_WITHIN + LOCATOR_64_BYTES + END_64_BYTES;

pub(super) const NONE: ZipError = ZipError::Corrupt("it has no directory");
pub(super) const MISPLACED: ZipError = ZipError::Corrupt("where an entry lies");

/// "Version made by" of a writer whose attributes are a Unix mode.
const UNIX: u16 = 3;
const MODE_TYPE: u32 = 0o170_000;
const MODE_REGULAR: u32 = 0o100_000;

/// A file in a zip archive, as the directory describes it.
#[derive(Debug, Clone, Copy)]
pub struct ZipEntry<'a> {
    /// The name as stored.
    pub name: &'a [u8],
    pub(super) method: u16,
    pub(super) encrypted: bool,
    /// CRC-32 of the content.
    pub(super) checksum: u32,
    pub(super) stored: u64,
    /// Bytes when unpacked, as the directory says.
    pub size: u64,
    pub(super) offset: u64,
    /// Type bits of the mode; 0 where there is none.
    mode_type: u32,
}

/// Where a directory lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Bytes before the archive, which offsets do not count.
    pub(super) prefix: u64,
}

/// Finds the directory of an archive by its last bytes, which begin at `tail_at`: all or [`TAIL`] of them. `begins` says
/// whether what lies at an offset begins with a mark. `None` when there is no sign of an archive.
pub(super) fn find<E: From<ZipError>>(
    tail: &[u8],
    tail_at: u64,
    mut begins: impl FnMut(u64, &[u8]) -> Result<bool, E>,
) -> Result<Option<Place>, E> {
    let from = tail.len().saturating_sub(END_WITHIN);
    let last = tail.get(from..).unwrap_or_default();
    let mut any = begins(0, LOCAL)?;
    for at in memchr::memmem::rfind_iter(last, END) {
        any = true;
        // As Java does: an end whose comment ends the file is the only one; any other must lead to an entry. Otherwise an
        // archive inside a damaged one would be read in its place.
        let comment = length(last, at + END_BYTES - 2);
        let is_last = comment.is_some_and(|comment| at + END_BYTES + comment == last.len());
        if let Some((place, is_empty)) = ending_at(tail, tail_at, from + at) {
            let sound = is_empty || (place.end - place.start >= CENTRAL.len() as u64 && begins(place.start, CENTRAL)?);
            if sound && (is_last || begins(place.prefix, LOCAL)?) {
                return Ok(Some(place));
            }
        }
        if is_last {
            break;
        }
    }
    if any { Err(NONE.into()) } else { Ok(None) }
}

/// Where the end record at `at` says that the directory lies, and whether it says that the archive is empty.
fn ending_at(tail: &[u8], tail_at: u64, at: usize) -> Option<(Place, bool)> {
    let record = tail.get(at..)?;
    let (mut size, mut offset, mut until) = (narrow(record, 12)?, narrow(record, 16)?, at);
    let entries = le16(record, 10)?;
    if size == NARROW || offset == NARROW || entries == 0xffff {
        // The locator's offset does not count the prefix either: the record is right before the locator.
        let locator = at.checked_sub(LOCATOR_64_BYTES)?;
        let wide = locator.checked_sub(END_64_BYTES)?;
        if tail.get(locator..)?.starts_with(LOCATOR_64) && tail.get(wide..)?.starts_with(END_64) {
            let record = tail.get(wide..)?;
            (size, offset, until) = (le64(record, 40)?, le64(record, 48)?, wide);
        }
    }
    let end = tail_at.checked_add(u64::try_from(until).ok()?)?;
    let start = end.checked_sub(size)?;
    let place = Place { start, end, prefix: start.checked_sub(offset)? };
    // Only an archive that says it has no entries has no directory.
    Some((place, size == 0 && entries == 0))
}

/// The entries of a directory, up to the first that is broken.
pub(super) fn entries(mut rest: &[u8]) -> impl Iterator<Item = Result<ZipEntry<'_>, ZipError>> {
    std::iter::from_fn(move || next_entry(&mut rest))
}

/// Takes the next entry off `rest`; all of it where that is broken.
fn next_entry<'a>(rest: &mut &'a [u8]) -> Option<Result<ZipEntry<'a>, ZipError>> {
    if rest.is_empty() {
        return None;
    }
    let (entry, after) = entry(rest).map_or((Err(ZipError::Corrupt("an entry")), [].as_slice()), |(e, r)| (Ok(e), r));
    *rest = after;
    Some(entry)
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
        checksum: le32(bytes, 16)?,
        stored: narrow(bytes, 20)?,
        size: narrow(bytes, 24)?,
        offset: narrow(bytes, 42)?,
        mode_type: if le16(bytes, 4)? >> 8 == UNIX { le32(bytes, 38)? >> 16 & MODE_TYPE } else { 0 },
    };
    entry.widen(bytes.get(name_end..extra_end)?);
    Some((entry, rest))
}

/// Where an entry's content begins, from its local header.
pub(super) fn content_start(local: &[u8]) -> Option<usize> {
    if !local.starts_with(LOCAL) {
        return None;
    }
    Some(LOCAL_BYTES + length(local, 26)? + length(local, 28)?)
}

impl ZipEntry<'_> {
    /// Whether the content is stored as it is, not compressed.
    pub fn is_stored(&self) -> bool {
        self.method == STORED
    }

    /// Whether it is a regular file: neither a directory, whose name ends with a slash, nor, by its Unix mode, a symbolic
    /// link or another kind of file.
    pub fn is_file(&self) -> bool {
        // Old writers on Windows write backslashes.
        !self.name.ends_with(b"/") && !self.name.ends_with(b"\\") && matches!(self.mode_type, 0 | MODE_REGULAR)
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
