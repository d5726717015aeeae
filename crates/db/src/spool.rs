//! A section of a file as it is written: on disk, because it may be larger than memory should be.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, Write};
use std::path::Path;

/// Bytes written at once.
const BUFFER: usize = 64 << 10;

/// Bytes that were written one after the other.
#[derive(Debug)]
pub(crate) struct Spool {
    file: BufWriter<File>,
    len: u64,
}

impl Spool {
    /// An empty one; its bytes are in `folder`, without a name.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        Ok(Spool { file: BufWriter::with_capacity(BUFFER, tidewaiter_io::scratch(folder)?), len: 0 })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Calls `each` with all bytes, in pieces.
    pub(crate) fn read(&mut self, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.rewind()?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                n => each(buffer.get(..n).unwrap_or_default())?,
            }
        }
    }
}
