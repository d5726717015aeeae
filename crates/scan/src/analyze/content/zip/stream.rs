//! Zip archives that are too large to hold, entry by entry as they pass: by their local headers, because the directory
//! comes last (APPNOTE.TXT, 4.3.7 and 4.3.9). Bytes that belong to no entry could hide one, so they are an error.

use super::{CENTRAL, END, END_64, LOCAL, ZIP64_EXTRA, ZipError, length, number};
use flate2::bufread::DeflateDecoder;
use std::io::{self, BufRead, Read};

const DESCRIPTOR: &[u8] = b"PK\x07\x08";
/// A script before the archive may have so many bytes.
const MAX_PREFIX: usize = 1 << 20;
const ENCRYPTED: u64 = 1;
/// Sizes come after the data.
const SIZES_FOLLOW: u64 = 8;

/// What is done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::analyze::content) enum Use {
    Skip,
    /// Unpacked, if it has at most so many bytes.
    Read(u64),
}

/// Shows every entry: `wanted` says what to do with a name, `found` gets its content.
pub(in crate::analyze::content) fn entries(
    input: &mut impl BufRead,
    mut budget: u64,
    mut wanted: impl FnMut(&str) -> Use,
    mut found: impl FnMut(&str, Result<Vec<u8>, ZipError>),
) -> Result<(), ZipError> {
    let mut mark = first_mark(input)?;
    loop {
        match mark.as_slice() {
            LOCAL => {}
            CENTRAL | END | END_64 => return Ok(()),
            _ => return Err(ZipError::Corrupt("bytes between entries")),
        }
        let header = Header::read(input)?;
        let name = String::from_utf8_lossy(&header.name).into_owned();
        let purpose = if name.ends_with('/') { Use::Skip } else { wanted(&name) };
        let max = if let Use::Read(max) = purpose { max } else { 0 };
        let (content, unpacked) = header.content(input, max, budget)?;
        budget = budget.checked_sub(unpacked).ok_or(ZipError::TooLarge)?;
        if purpose != Use::Skip {
            found(&name, content);
        }
        mark = exactly(input, 4)?;
    }
}

/// The mark of the first entry, after what comes before the archive.
fn first_mark(input: &mut impl BufRead) -> Result<Vec<u8>, ZipError> {
    let mut last = exactly(input, 4)?;
    for _ in 0..MAX_PREFIX {
        if last == LOCAL {
            return Ok(last);
        }
        last.remove(0);
        last.extend(exactly(input, 1)?);
    }
    Err(ZipError::Corrupt("it does not begin with an entry"))
}

fn exactly(input: &mut impl Read, size: usize) -> Result<Vec<u8>, ZipError> {
    let mut out = vec![0; size];
    input.read_exact(&mut out).map_err(|_| ZipError::Corrupt("it is cut"))?;
    Ok(out)
}

struct Header {
    flags: u64,
    method: u64,
    stored: u64,
    /// Bytes when unpacked, as it says; nothing when the sizes follow.
    size: u64,
    name: Vec<u8>,
}

impl Header {
    /// Reads what follows the mark.
    fn read(input: &mut impl Read) -> Result<Self, ZipError> {
        let fixed = exactly(input, 26)?;
        let field = |at, size| number(&fixed, at, size).unwrap_or_default();
        let name = exactly(input, length(&fixed, 22).unwrap_or_default())?;
        let extra = exactly(input, length(&fixed, 24).unwrap_or_default())?;
        let mut stored = field(14, 4);
        if stored == super::NARROW {
            stored = wide_size(&extra).unwrap_or(stored);
        }
        Ok(Header { flags: field(2, 2), method: field(4, 2), stored, size: field(18, 4), name })
    }

    /// Memory for the content, all at once: growing would for a moment hold it twice.
    fn room(&self, max: u64) -> usize {
        usize::try_from(self.size.min(max)).unwrap_or_default()
    }

    /// Unpacks at most `max` bytes and moves past the entry; the second part is how much was unpacked.
    fn content(
        &self,
        input: &mut impl BufRead,
        max: u64,
        budget: u64,
    ) -> Result<(Result<Vec<u8>, ZipError>, u64), ZipError> {
        let follows = self.flags & SIZES_FOLLOW != 0;
        if self.flags & ENCRYPTED == 0 && self.method == 8 && (follows || max > 0) {
            return if follows {
                let mut inflated = DeflateDecoder::new(&mut *input);
                let content = limited(&mut inflated, self.room(max), max, budget)?;
                let sizes = (inflated.total_in(), inflated.total_out());
                descriptor(input, sizes)?;
                Ok(content)
            } else {
                let mut part = input.take(self.stored);
                let content = limited(&mut DeflateDecoder::new(&mut part), self.room(max), max, budget)?;
                io::copy(&mut part, &mut io::sink()).map_err(|_| ZipError::Corrupt("it is cut"))?;
                Ok(content)
            };
        }
        if follows && self.stored == 0 && self.method != 0 {
            return Err(ZipError::Method);
        }
        if follows {
            return Err(ZipError::Corrupt("an entry without a size"));
        }
        let mut part = input.take(self.stored);
        let content = match (self.flags & ENCRYPTED, self.method) {
            (ENCRYPTED, _) => Err(ZipError::Encrypted),
            (_, 0) if self.stored <= max => {
                let mut out = Vec::with_capacity(self.room(max));
                part.read_to_end(&mut out).map_err(|_| ZipError::Corrupt("it is cut"))?;
                Ok(out)
            }
            (_, 0) => Err(ZipError::TooLarge),
            (_, 8) => Ok(Vec::new()),
            _ => Err(ZipError::Method),
        };
        io::copy(&mut part, &mut io::sink()).map_err(|_| ZipError::Corrupt("it is cut"))?;
        if part.limit() > 0 {
            return Err(ZipError::Corrupt("it is cut"));
        }
        Ok((content, 0))
    }
}

/// Reads to the end, and keeps it when it is not too long.
fn limited(
    inflated: &mut impl Read,
    room: usize,
    max: u64,
    budget: u64,
) -> Result<(Result<Vec<u8>, ZipError>, u64), ZipError> {
    let mut out = Vec::with_capacity(room);
    let corrupt = |_| ZipError::Corrupt("compressed data");
    let kept = inflated.take(max).read_to_end(&mut out).map_err(corrupt)?;
    let rest = io::copy(&mut inflated.take(budget.saturating_add(1)), &mut io::sink()).map_err(corrupt)?;
    let unpacked = rest.saturating_add(u64::try_from(kept).unwrap_or(u64::MAX));
    if unpacked > budget {
        return Err(ZipError::TooLarge);
    }
    Ok((if rest == 0 { Ok(out) } else { Err(ZipError::TooLarge) }, unpacked))
}

/// Moves past the sizes that follow the data: a mark or none, and numbers of four bytes or of eight.
fn descriptor(input: &mut impl Read, (stored, size): (u64, u64)) -> Result<(), ZipError> {
    if exactly(input, 4)? == DESCRIPTOR {
        exactly(input, 4)?;
    }
    let sizes = exactly(input, 8)?;
    let narrow = |size: u64| Some(size & super::NARROW);
    if number(&sizes, 0, 4) != narrow(stored) || number(&sizes, 4, 4) != narrow(size) {
        exactly(input, 8)?;
    }
    Ok(())
}

/// The stored size in a zip64 field, after the unpacked size.
fn wide_size(mut extra: &[u8]) -> Option<u64> {
    while let (Some(id), Some(size)) = (number(extra, 0, 2), length(extra, 2)) {
        if id == ZIP64_EXTRA {
            return number(extra, 12, 8);
        }
        extra = extra.get(4 + size..)?;
    }
    None
}
