//! Zip archives in files: nothing but the directory, and one content at a time, is in memory.

use super::directory::{self, MISPLACED, NONE, Place, TAIL};
use super::{DEFLATED, LOCAL_BYTES, STORED, ZipEntry, ZipError};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// A zip archive in a file, or in another reader that can seek. Errors of the format are I/O errors that hold a
/// [`ZipError`].
#[derive(Debug)]
pub struct ZipFile<R> {
    inner: R,
    /// Bytes of the file.
    len: u64,
    /// Where `inner` is, if known.
    at: Option<u64>,
    place: Place,
}

/// The directory of a [`ZipFile`].
#[derive(Debug, Clone)]
pub struct ZipDirectory(Vec<u8>);

impl ZipDirectory {
    /// All entries in the order of the directory, up to the first that is broken.
    pub fn entries(&self) -> impl Iterator<Item = Result<ZipEntry<'_>, ZipError>> {
        directory::entries(&self.0)
    }
}

impl<R: BufRead + Seek> ZipFile<R> {
    /// Finds the directory; `None` when there is no sign of an archive.
    ///
    /// # Errors
    /// When the file cannot be read, or has signs of an archive and no directory.
    pub fn open(mut inner: R) -> io::Result<Option<Self>> {
        let len = inner.seek(SeekFrom::End(0))?;
        let tail_at = len.saturating_sub(TAIL as u64);
        let nowhere = Place { start: 0, end: 0, prefix: 0 };
        let mut file = ZipFile { inner, len, at: None, place: nowhere };
        let mut tail = Vec::new();
        file.seek(tail_at)?;
        file.inner.by_ref().take(len - tail_at).read_to_end(&mut tail)?;
        let place = directory::find(&tail, tail_at, |at, mark| file.has_mark(at, mark))?;
        Ok(place.map(|place| ZipFile { place, ..file }))
    }

    fn has_mark(&mut self, at: u64, mark: &[u8]) -> io::Result<bool> {
        let mut found = [0; 4];
        match self.read_exact_at(at, &mut found) {
            Ok(()) => Ok(found == mark),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads the directory, which is in memory as it is stored: about a hundred bytes an entry.
    ///
    /// # Errors
    /// When it has more than `max` bytes, or the file cannot be read.
    pub fn directory(&mut self, max: u64) -> io::Result<ZipDirectory> {
        let Place { start, end, .. } = self.place;
        let size = end - start;
        if size > max {
            return Err(ZipError::TooLarge.into());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| NONE)?];
        self.read_exact_at(start, &mut bytes)?;
        Ok(ZipDirectory(bytes))
    }

    /// Unpacks an entry of at most `max` bytes, and compares its size and checksum with the directory's. Entries that are
    /// read in the order in which they lie in the file are read without seeking.
    ///
    /// # Errors
    /// When it is larger, encrypted, damaged, compressed by another method, or the file cannot be read. Other entries can
    /// be read all the same.
    pub fn content(&mut self, entry: &ZipEntry<'_>, max: u64) -> io::Result<Vec<u8>> {
        match entry {
            _ if entry.encrypted => return Err(ZipError::Encrypted.into()),
            _ if entry.size > max => return Err(ZipError::TooLarge.into()),
            _ if ![STORED, DEFLATED].contains(&entry.method) => return Err(ZipError::Method(entry.method).into()),
            _ => {}
        }
        let start = self.content_start(entry)?;
        self.seek(start)?;
        let mut part = self.inner.by_ref().take(entry.stored);
        // In one allocation, as in memory. What is only claimed is never touched.
        let mut out = Vec::with_capacity(usize::try_from(entry.size).unwrap_or_default());
        // One byte more shows that there are too many.
        let most = entry.size.saturating_add(1);
        let read = match entry.method {
            DEFLATED => DeflateDecoder::new(&mut part).take(most).read_to_end(&mut out),
            _ => part.by_ref().take(most).read_to_end(&mut out),
        };
        self.at = Some(start + (entry.stored - part.limit()));
        read.map_err(|error| match error.raw_os_error() {
            Some(_) => error,
            None => ZipError::Corrupt("compressed data").into(),
        })?;
        let mut checksum = Crc::new();
        checksum.update(&out);
        match () {
            () if u64::try_from(out.len()).ok() != Some(entry.size) => Err(ZipError::Corrupt("an entry's size").into()),
            () if checksum.sum() != entry.checksum => Err(ZipError::Corrupt("an entry's checksum").into()),
            () => Ok(out),
        }
    }

    fn content_start(&mut self, entry: &ZipEntry<'_>) -> io::Result<u64> {
        let at = self.place.prefix.checked_add(entry.offset).ok_or(MISPLACED)?;
        let mut local = [0; LOCAL_BYTES];
        self.read_exact_at(at, &mut local).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => MISPLACED.into(),
            _ => error,
        })?;
        let start = directory::content_start(&local).and_then(|start| at.checked_add(u64::try_from(start).ok()?));
        let start = start.filter(|start| start.checked_add(entry.stored).is_some_and(|end| end <= self.len));
        Ok(start.ok_or(MISPLACED)?)
    }

    fn read_exact_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.seek(at)?;
        self.inner.read_exact(bytes)?;
        self.at = at.checked_add(bytes.len() as u64);
        Ok(())
    }

    /// Moves to an offset. Whoever reads from there says where that ends.
    fn seek(&mut self, to: u64) -> io::Result<()> {
        let to = i64::try_from(to).map_err(|_| MISPLACED)?;
        match self.at.take().and_then(|at| to.checked_sub_unsigned(at)) {
            // Within what is buffered, this costs nothing.
            Some(distance) => self.inner.seek_relative(distance),
            None => self.inner.seek(SeekFrom::Start(to.unsigned_abs())).map(drop),
        }
    }
}
