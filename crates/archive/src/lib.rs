//! Archives from anywhere: [`tar`] as streams; [`zip`] in memory, in files and as streams; [`bytes`] for fields of other
//! formats. Readers of hostile bytes: whatever the bytes are, the result is an entry or an error, in memory bounded by the
//! limits that the caller gives.
//!
//! ```
//! # fn main() -> Result<(), tidewaiter_archive::tar::TarError> {
//! use std::io::Read as _;
//! use tidewaiter_archive::tar::{HEADER_BYTES, TarEntryKind, TarReader};
//!
//! let stored: &[u8] = &[0; 1024]; // Two zero blocks: the end of an archive.
//! let mut tar = TarReader::new(stored, HEADER_BYTES);
//! while let Some(entry) = tar.next_entry()? {
//!     if entry.kind == TarEntryKind::File {
//!         let mut content = Vec::new();
//!         tar.by_ref().take(1 << 20).read_to_end(&mut content)?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! This crate must never know what the archives are for: neither images nor feeds.

pub mod bytes;
pub mod tar;
pub mod zip;
