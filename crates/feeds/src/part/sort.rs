//! Records with a key, sorted on disk: a bounded number of them is in memory, sorted ones are written as a run, and runs are
//! merged.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

/// Level of zstd for runs, which are written and read once or twice.
const LEVEL: i32 = 1;
/// Logarithm of zstd's window: many runs are read at the same time, each with a window.
const WINDOW: u32 = 17;
/// Bytes read or written at once.
const BUFFER: usize = 32 << 10;

/// Sorts records by their key as bytes; those with one key keep the order in which they were added.
pub(crate) struct Sorter {
    folder: PathBuf,
    /// Keys and values one after the other.
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Most bytes in memory.
    budget: usize,
    runs: Vec<File>,
}

/// Where a record is in memory.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    key: u32,
    value: u32,
}

impl Sorter {
    /// A sorter whose runs are files without a name in `folder`.
    pub(crate) fn new(folder: &Path, budget: usize) -> Self {
        Sorter { folder: folder.to_owned(), bytes: Vec::new(), places: Vec::new(), budget, runs: Vec::new() }
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        self.places.push(Place { start: self.bytes.len(), key: len(key)?, value: len(value)? });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        let used = self.bytes.len() + self.places.len() * size_of::<Place>();
        if used >= self.budget { self.spill() } else { Ok(()) }
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.runs.is_empty()
    }

    /// All records in order.
    pub(crate) fn finish(mut self) -> io::Result<Merged> {
        if !self.places.is_empty() {
            self.spill()?;
        }
        self.bytes = Vec::new();
        Merged::of(self.runs.into_iter().map(RecordReader::new).collect::<io::Result<_>>()?)
    }

    fn spill(&mut self) -> io::Result<()> {
        let bytes = &self.bytes;
        let slice = |start: usize, len: u32| bytes.get(start..start + len as usize).unwrap_or_default();
        self.places.sort_by(|a, b| slice(a.start, a.key).cmp(slice(b.start, b.key)));
        let mut writer = RecordWriter::new(tidewaiter_io::scratch(&self.folder)?)?;
        for place in &self.places {
            let Place { start, key, value } = *place;
            writer.write(slice(start, key), slice(start + key as usize, value))?;
        }
        let mut file = writer.finish()?;
        file.rewind()?;
        self.runs.push(file);
        self.bytes.clear();
        self.places.clear();
        Ok(())
    }
}

/// Writes records one after the other.
pub(crate) struct RecordWriter {
    out: zstd::Encoder<'static, BufWriter<File>>,
}

impl RecordWriter {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(BufWriter::with_capacity(BUFFER, file), LEVEL)?;
        out.window_log(WINDOW)?;
        Ok(RecordWriter { out })
    }

    pub(crate) fn write(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        for bytes in [key, value] {
            let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            self.out.write_all(&len.to_le_bytes())?;
            self.out.write_all(bytes)?;
        }
        Ok(())
    }

    /// The file, positioned at its end.
    pub(crate) fn finish(self) -> io::Result<File> {
        self.out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Reads records one after the other.
pub(crate) struct RecordReader {
    reader: Box<dyn io::BufRead + Send>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl RecordReader {
    pub(crate) fn new(stored: impl Read + Send + 'static) -> io::Result<Self> {
        let decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER, stored))?;
        let reader = Box::new(BufReader::with_capacity(BUFFER, decoder));
        Ok(RecordReader { reader, key: Vec::new(), value: Vec::new() })
    }

    /// Reads the next record; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(false);
        }
        for bytes in [&mut self.key, &mut self.value] {
            let mut len = [0; 4];
            self.reader.read_exact(&mut len)?;
            bytes.resize(u32::from_le_bytes(len) as usize, 0);
            self.reader.read_exact(bytes)?;
        }
        Ok(true)
    }
}

/// Several sorted streams as one. Of equal keys, those of earlier streams come first.
pub(crate) struct Merged {
    heads: BinaryHeap<Head>,
}

/// A stream at its next record.
struct Head {
    reader: RecordReader,
    rank: usize,
}

impl Ord for Head {
    /// The heap's greatest is the next one.
    fn cmp(&self, other: &Self) -> Ordering {
        (&other.reader.key, other.rank).cmp(&(&self.reader.key, self.rank))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Merged {
    /// Of streams in the order of their rank.
    pub(crate) fn of(streams: Vec<RecordReader>) -> io::Result<Self> {
        let mut heads = BinaryHeap::new();
        for (rank, mut reader) in streams.into_iter().enumerate() {
            if reader.advance()? {
                heads.push(Head { reader, rank });
            }
        }
        Ok(Merged { heads })
    }

    /// The key of the next record.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        self.heads.peek().map(|head| head.reader.key.as_slice())
    }

    /// The next record, whose key and value replace the content of the buffers; the rank of its stream, or `None` at the end.
    pub(crate) fn next(&mut self, key: &mut Vec<u8>, value: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
        std::mem::swap(key, &mut head.reader.key);
        std::mem::swap(value, &mut head.reader.value);
        let rank = head.rank;
        if !head.reader.advance()? {
            PeekMut::pop(head);
        }
        Ok(Some(rank))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_merged_in_the_order_of_keys_and_then_of_adding() {
        let dir = tempfile::tempdir().unwrap();
        for budget in [1, 200, 1 << 20] {
            let mut sorter = Sorter::new(dir.path(), budget);
            let mut expected = Vec::new();
            for number in 0..300_u32 {
                let key = format!("key {}", number * 7919 % 40);
                sorter.add(key.as_bytes(), &number.to_be_bytes()).unwrap();
                expected.push((key.into_bytes(), number.to_be_bytes().to_vec()));
            }
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            let mut merged = sorter.finish().unwrap();
            let (mut key, mut value, mut found) = (Vec::new(), Vec::new(), Vec::new());
            while merged.next(&mut key, &mut value).unwrap().is_some() {
                found.push((key.clone(), value.clone()));
            }
            assert!(found == expected, "{budget}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(Sorter::new(dir.path(), 1).finish().unwrap().peek().is_none());
    }
}
