//! Sparse files: old GNU (type `S`), and PAX formats 0.0, 0.1 and 1.0. Only the parts with data are stored.

use super::header::{Header, number};
use super::pax::Pax;
use super::{BLOCK, TarError, TarReader};
use std::io::{self, BufRead, Read};

/// Bytes of a map: the limit of Go's reader.
const MAX_MAP: usize = 1 << 20;
const BAD: TarError = TarError::Corrupt("a sparse file's map");

/// Where the data of a sparse file is, and how far it was read.
#[derive(Debug)]
pub(super) struct Sparse {
    size: i64,
    /// (offset, length) of data, in order.
    parts: Vec<(i64, i64)>,
    part: usize,
    at: i64,
}

impl Sparse {
    fn new(size: i64, parts: Vec<(i64, i64)>) -> Self {
        Sparse { size, parts, part: 0, at: 0 }
    }

    /// The map in the header of a type `S` entry, and in the blocks that follow it.
    pub(super) fn old_gnu(header: &Header, inner: &mut impl Read) -> Result<Self, TarError> {
        if !header.is_gnu() {
            return Err(BAD);
        }
        let mut parts = Vec::new();
        entries(header.field(386, 96), &mut parts)?;
        let mut more = header.field(482, 1) != [0];
        let mut read = BLOCK;
        while more {
            read += BLOCK;
            if read > MAX_MAP {
                return Err(TarError::TooLong(MAX_MAP as u64));
            }
            let mut block = [0; BLOCK];
            inner.read_exact(&mut block).map_err(|_| TarError::Corrupt("it ends inside a header"))?;
            entries(block.get(..504).unwrap_or_default(), &mut parts)?;
            more = block.get(504).is_some_and(|b| *b != 0);
        }
        Ok(Self::new(number(header.field(483, 12))?, parts))
    }

    /// The map that PAX records name; `None` for a file that is not sparse. Format 1.0 also names the file anew and
    /// has its map at the start of the content.
    pub(super) fn pax<R: BufRead>(
        pax: &Pax,
        stored: u64,
        path: &mut String,
        reader: &mut TarReader<R>,
    ) -> Result<Option<Self>, TarError> {
        let map = pax.sparse_map();
        let in_content = match (pax.get("GNU.sparse.major"), pax.get("GNU.sparse.minor")) {
            (Some("0"), Some("0" | "1")) => false,
            (Some("1"), Some("0")) => true,
            (None, None) if !map.is_empty() => false,
            _ => return Ok(None),
        };
        if let Some(name) = pax.get("GNU.sparse.name") {
            name.clone_into(path);
        }
        let size = match pax.get("GNU.sparse.size").or_else(|| pax.get("GNU.sparse.realsize")) {
            Some(text) => text.parse().map_err(|_| BAD)?,
            None => i64::try_from(stored).map_err(|_| BAD)?,
        };
        let parts = if in_content {
            leading_map(reader)?
        } else {
            let count: usize = pax.get("GNU.sparse.numblocks").and_then(|n| n.parse().ok()).ok_or(BAD)?;
            if count.checked_mul(2) != Some(map.len()) {
                return Err(BAD);
            }
            pairs(map.into_iter())?
        };
        Ok(Some(Self::new(size, parts)))
    }

    /// In order, without overlap, inside the file.
    pub(super) fn is_sound(&self) -> bool {
        let after = |end: i64, (offset, length): &(i64, i64)| {
            offset.checked_add(*length).filter(|next| *offset >= end && *length >= 0 && *next <= self.size)
        };
        self.size >= 0 && self.parts.iter().try_fold(0, after).is_some()
    }

    /// Bytes of the file, holes included.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.size).unwrap_or_default()
    }

    /// Reads data through `stored`, and holes as zeros.
    pub(super) fn read(
        &mut self,
        buf: &mut [u8],
        stored: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let (data, end) = loop {
            match self.parts.get(self.part) {
                Some((offset, length)) if self.at >= offset + length => self.part += 1,
                Some((offset, _)) if self.at < *offset => break (false, *offset),
                Some((offset, length)) => break (true, offset + length),
                None => break (false, self.size),
            }
        };
        let max = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..max).unwrap_or_default();
        let read = if data && max > 0 {
            match stored(part)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a sparse file lacks data")),
                n => n,
            }
        } else {
            part.fill(0);
            max
        };
        self.at += i64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}

/// Reads 24-byte entries of an old map up to the first empty one.
fn entries(fields: &[u8], parts: &mut Vec<(i64, i64)>) -> Result<(), TarError> {
    for entry in fields.chunks_exact(24) {
        let (offset, length) = entry.split_at(12);
        if offset.first() == Some(&0) {
            break;
        }
        parts.push((number(offset)?, number(length)?));
    }
    Ok(())
}

/// The map of format 1.0: decimal lines, padded to whole blocks.
fn leading_map<R: BufRead>(reader: &mut TarReader<R>) -> Result<Vec<(i64, i64)>, TarError> {
    let mut text = Vec::new();
    read_lines(reader, &mut text, 1)?;
    let first = text.split(|b| *b == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let count: usize = first.and_then(|line| line.parse().ok()).ok_or(BAD)?;
    let numbers = count.checked_mul(2).filter(|n| *n < MAX_MAP).ok_or(BAD)?;
    read_lines(reader, &mut text, numbers + 1)?;
    let lines = text.split(|b| *b == b'\n').skip(1).take(numbers);
    pairs(lines.map(|line| std::str::from_utf8(line).unwrap_or_default()))
}

/// Reads blocks until there are so many lines.
fn read_lines<R: BufRead>(reader: &mut TarReader<R>, text: &mut Vec<u8>, wanted: usize) -> Result<(), TarError> {
    let mut lines = memchr::memchr_iter(b'\n', text).count();
    while lines < wanted {
        if text.len() + BLOCK > MAX_MAP {
            return Err(TarError::TooLong(MAX_MAP as u64));
        }
        let mut block = [0; BLOCK];
        reader.read_exact(&mut block).map_err(|_| BAD)?;
        lines += memchr::memchr_iter(b'\n', &block).count();
        text.extend_from_slice(&block);
    }
    Ok(())
}

fn pairs<'a>(mut numbers: impl Iterator<Item = &'a str>) -> Result<Vec<(i64, i64)>, TarError> {
    let mut parts = Vec::new();
    while let (Some(offset), Some(length)) = (numbers.next(), numbers.next()) {
        parts.push((offset.parse().map_err(|_| BAD)?, length.parse().map_err(|_| BAD)?));
    }
    Ok(parts)
}
