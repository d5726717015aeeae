//! Zip archives that are too large to buffer and not in a file, streamed entry by entry: by their local headers, because the directory comes
//! last (APPNOTE.TXT, 4.3.7 and 4.3.9). Bytes that belong to no entry could hide one, so they are an error.

use super::{CENTRAL, DEFLATED, END, END_64, LOCAL, LOCATOR_64, NARROW, STORED, ZIP64_EXTRA, ZipError, length, narrow};
use crate::bytes::{le16, le64};
use flate2::bufread::DeflateDecoder;
use std::io::{self, BufRead, BufReader, Read};

const DESCRIPTOR: &[u8] = b"PK\x07\x08";
/// Bytes of a script before the archive: those of Spring Boot have ten kilobytes.
const MAX_PREFIX: usize = 1 << 20;
const ENCRYPTED: u16 = 1;
/// Sizes follow the data.
const SIZES_FOLLOW: u16 = 8;

/// A zip archive that is streamed. After an error it is of no use.
pub struct ZipStream<'i> {
    input: &'i mut dyn BufRead,
    /// Entries so far.
    entries: u64,
}

/// The content of an entry of a stream.
pub enum StreamedContent<'c> {
    /// All of it.
    Whole(Vec<u8>),
    /// More than was asked for, from its beginning.
    Longer(&'c mut dyn BufRead),
    /// It cannot be unpacked.
    Unreadable(ZipError),
}

/// The header before an entry's content.
pub struct LocalHeader {
    /// The name; what is not UTF-8 in it is replaced.
    pub name: String,
    flags: u16,
    method: u16,
    stored: u64,
    /// Bytes when unpacked, as the header says; 0 when the sizes follow.
    size: u64,
}

impl<'i> ZipStream<'i> {
    /// Reads from the start of an archive or of the script before it.
    pub fn new(input: &'i mut dyn BufRead) -> Self {
        ZipStream { input, entries: 0 }
    }

    /// The next entry; `None` at the end. [`ZipStream::content`] or [`ZipStream::skip`] comes before the one after it.
    ///
    /// # Errors
    /// When the stream fails or ends, bytes belong to no entry, or the directory does not list the entries.
    pub fn next_entry(&mut self) -> Result<Option<LocalHeader>, ZipError> {
        if self.entries == 0 {
            first_mark(self.input)?;
        } else {
            match exactly(self.input, 4)?.as_slice() {
                LOCAL => {}
                mark @ (CENTRAL | END | END_64) => return self.directory(mark.to_vec()).map(|()| None),
                _ => return Err(ZipError::Corrupt("bytes between entries")),
            }
        }
        self.entries += 1;
        LocalHeader::read(self.input).map(Some)
    }

    /// Reads the directory to the end of the archive: one too early would hide the entries after it.
    fn directory(&mut self, mut mark: Vec<u8>) -> Result<(), ZipError> {
        let mut listed = 0_u64;
        while mark == CENTRAL {
            listed += 1;
            let fixed = exactly(self.input, 42)?;
            let rest: usize = [24, 26, 28].iter().filter_map(|at| length(&fixed, *at)).sum();
            exactly(self.input, rest)?;
            mark = exactly(self.input, 4)?;
        }
        if listed != self.entries {
            return Err(ZipError::Corrupt("its directory does not list its entries"));
        }
        if mark == END_64 {
            let size = le64(&exactly(self.input, 8)?, 0).unwrap_or_default();
            let record = io::copy(&mut (&mut *self.input).take(size), &mut io::sink());
            record.map_err(|_| ZipError::Corrupt("it is cut"))?;
            mark = exactly(self.input, 4)?;
        }
        if mark == LOCATOR_64 {
            exactly(self.input, 16)?;
            mark = exactly(self.input, 4)?;
        }
        let fixed = if mark == END { exactly(self.input, 18)? } else { Vec::new() };
        let comment = exactly(self.input, length(&fixed, 16).ok_or(ZipError::Corrupt("its directory has no end"))?)?;
        // Java looks for the last end.
        let is_last =
            memchr::memmem::find(&comment, END).is_none() && self.input.fill_buf().is_ok_and(<[u8]>::is_empty);
        if is_last { Ok(()) } else { Err(ZipError::Corrupt("bytes after its end")) }
    }

    /// Moves past an entry, and returns how many bytes were unpacked for that, at most `budget`.
    ///
    /// # Errors
    /// When the stream fails or ends, the entry's end cannot be found, or more bytes would have to be unpacked.
    pub fn skip(&mut self, header: &LocalHeader, budget: u64) -> Result<u64, ZipError> {
        if header.is_deflated() && header.sizes_follow() {
            return self.content(header, 0, budget, |_| {});
        }
        drain(&mut header.part(self.input)?)?;
        Ok(0)
    }

    /// Shows an entry's content, whole if it has at most `max` bytes; moves past it, and returns how many bytes were
    /// unpacked for that, at most `budget`.
    ///
    /// # Errors
    /// As [`ZipStream::skip`], and when the entry's compressed data is damaged. An entry that alone cannot be unpacked is
    /// shown as [`StreamedContent::Unreadable`].
    pub fn content(
        &mut self,
        header: &LocalHeader,
        max: u64,
        budget: u64,
        show: impl FnOnce(StreamedContent<'_>),
    ) -> Result<u64, ZipError> {
        if header.is_deflated() && header.sizes_follow() {
            let mut inflated = DeflateDecoder::new(&mut *self.input);
            let unpacked = header.inflated(&mut inflated, max, budget, show)?;
            let sizes = (inflated.total_in(), inflated.total_out());
            descriptor(self.input, sizes)?;
            return Ok(unpacked);
        }
        let mut part = header.part(self.input)?;
        let mut unpacked = 0;
        match header.method {
            _ if header.flags & ENCRYPTED != 0 => show(StreamedContent::Unreadable(ZipError::Encrypted)),
            STORED => header.show(&mut part, max, show)?,
            DEFLATED => unpacked = header.inflated(&mut DeflateDecoder::new(&mut part), max, budget, show)?,
            method => show(StreamedContent::Unreadable(ZipError::Method(method))),
        }
        drain(&mut part)?;
        Ok(unpacked)
    }
}

impl LocalHeader {
    /// Reads what follows the mark.
    fn read(input: &mut dyn BufRead) -> Result<Self, ZipError> {
        let fixed = exactly(input, 26)?;
        let short = |at| le16(&fixed, at).unwrap_or_default();
        let name = exactly(input, length(&fixed, 22).unwrap_or_default())?;
        let extra = exactly(input, length(&fixed, 24).unwrap_or_default())?;
        let long = |at| narrow(&fixed, at).unwrap_or_default();
        let (mut stored, mut size) = (long(14), long(18));
        if [stored, size].contains(&NARROW) {
            (size, stored) = wide_sizes(&extra).unwrap_or((size, stored));
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        Ok(LocalHeader { name, flags: short(2), method: short(4), stored, size })
    }

    fn is_deflated(&self) -> bool {
        self.method == DEFLATED && self.flags & ENCRYPTED == 0
    }

    fn sizes_follow(&self) -> bool {
        self.flags & SIZES_FOLLOW != 0
    }

    /// The stored bytes.
    fn part<'i>(&self, input: &'i mut dyn BufRead) -> Result<io::Take<&'i mut dyn BufRead>, ZipError> {
        match self.method {
            _ if !self.sizes_follow() => Ok(input.take(self.stored)),
            _ if self.flags & ENCRYPTED != 0 => Err(ZipError::Encrypted),
            STORED => Err(ZipError::Corrupt("an entry without a size")),
            method => Err(ZipError::Method(method)),
        }
    }

    /// Shows what is inflated, and inflates the rest of it.
    fn inflated(
        &self,
        inflated: &mut impl Read,
        max: u64,
        budget: u64,
        show: impl FnOnce(StreamedContent<'_>),
    ) -> Result<u64, ZipError> {
        // One byte more shows that there are too many.
        let mut bounded = inflated.take(budget.saturating_add(1));
        self.show(&mut bounded, max, show)?;
        io::copy(&mut bounded, &mut io::sink()).map_err(|_| ZipError::Corrupt("compressed data"))?;
        if bounded.limit() == 0 { Err(ZipError::TooLarge) } else { Ok(budget + 1 - bounded.limit()) }
    }

    fn show(&self, content: &mut impl Read, max: u64, show: impl FnOnce(StreamedContent<'_>)) -> Result<(), ZipError> {
        if self.size > max {
            show(StreamedContent::Longer(&mut BufReader::new(content)));
            return Ok(());
        }
        // In one allocation: growing would for a moment need twice the memory.
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        let read = content.by_ref().take(max.saturating_add(1)).read_to_end(&mut bytes);
        let read = read.map_err(|_| ZipError::Corrupt("compressed data"))?;
        if u64::try_from(read).is_ok_and(|read| read <= max) {
            show(StreamedContent::Whole(bytes));
        } else {
            show(StreamedContent::Longer(&mut bytes.chain(BufReader::new(content))));
        }
        Ok(())
    }
}

/// Moves past the mark of the first entry and past the prefix of the archive.
fn first_mark(input: &mut dyn BufRead) -> Result<(), ZipError> {
    let (mut last, mut seen) = ([0; 4], 0);
    loop {
        let bytes = input.fill_buf().map_err(|_| ZipError::Corrupt("it is cut"))?;
        if bytes.is_empty() {
            return Err(ZipError::Corrupt("it is cut"));
        }
        let ends = |byte: &u8| {
            last = [last[1], last[2], last[3], *byte];
            last == LOCAL
        };
        let (found, length) = (bytes.iter().position(ends), bytes.len());
        input.consume(found.map_or(length, |at| at + 1));
        seen += length;
        if found.is_some() {
            return Ok(());
        }
        if seen > MAX_PREFIX {
            return Err(ZipError::Corrupt("it does not begin with an entry"));
        }
    }
}

fn exactly(input: &mut dyn BufRead, size: usize) -> Result<Vec<u8>, ZipError> {
    let mut out = vec![0; size];
    input.read_exact(&mut out).map_err(|_| ZipError::Corrupt("it is cut"))?;
    Ok(out)
}

/// Reads the rest of an entry, all of which must be there.
fn drain(part: &mut io::Take<&mut dyn BufRead>) -> Result<(), ZipError> {
    io::copy(part, &mut io::sink()).map_err(|_| ZipError::Corrupt("it is cut"))?;
    if part.limit() == 0 { Ok(()) } else { Err(ZipError::Corrupt("it is cut")) }
}

/// Moves past the sizes that follow the data: a mark or none, and numbers of four bytes or of eight.
fn descriptor(input: &mut dyn BufRead, (stored, size): (u64, u64)) -> Result<(), ZipError> {
    if exactly(input, 4)? == DESCRIPTOR {
        exactly(input, 4)?;
    }
    let sizes = exactly(input, 8)?;
    let differs = |at: usize, size: u64| narrow(&sizes, at) != Some(size & NARROW);
    if differs(0, stored) || differs(4, size) {
        exactly(input, 8)?;
    }
    Ok(())
}

/// The sizes in a zip64 field: unpacked and stored.
fn wide_sizes(mut extra: &[u8]) -> Option<(u64, u64)> {
    while let (Some(id), Some(size)) = (le16(extra, 0), length(extra, 2)) {
        if id == ZIP64_EXTRA {
            return le64(extra, 4).zip(le64(extra, 12));
        }
        extra = extra.get(4 + size..)?;
    }
    None
}
