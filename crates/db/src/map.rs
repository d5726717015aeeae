//! A read-only memory map of a database file.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature; everything above works on plain slices")]

use std::fs::File;
use std::io;
use std::ops::Deref;

/// A read-only view of a whole file.
#[derive(Debug)]
pub struct Map(memmap2::Mmap);

impl Map {
    /// Maps `file`. Database files are replaced by rename and never written in place.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the map is read-only and private to this type. The project never writes or truncates a database in
        // place (writer.rs renames), so the bytes do not change under the slice; readers bound-check all they take.
        unsafe { memmap2::Mmap::map(file) }.map(Map)
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
