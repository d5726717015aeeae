//! File deltas: what makes the bytes of a new database from those of an old one.
//!
//! ```text
//! old, new → units of each section → copied ranges, literals → zstd → DELTA
//! old, DELTA → units of the new file → records, blocks compressed again → new
//! ```
//!
//! One inserted string moves the offsets in all records after it, and one changed advisory the blocks of details: as plain
//! bytes, two daily editions share little. Therefore records are compared with their references moved to where the new file
//! has what they refer to (`units::Space`), and details as they are before compression. A delta is needed for speed, not
//! for trust: whoever applies one compares the checksum of what it made.
//!
//! Sections follow each other in an order in which each finds what its references need: lengths of blocks, STRINGS, details,
//! ADVISORIES, CVES, QUALIFIERS, PACKAGES, ROWS, INTERVALS.

mod apply;
mod copies;
mod encode;
mod units;
mod wire;

use crate::error::DatabaseError;
use crate::map::Map;
use crate::reader::Database;
pub use apply::apply;
pub use encode::encode;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// Most bytes of the copied ranges of one section, and so of the memory that they need: an honest delta has a twentieth.
const MAX_OPERATIONS: usize = 16 << 20;
/// Most copied ranges of one section.
const MAX_COPIES: usize = MAX_OPERATIONS / 4;

/// The most bytes that a delta makes from an old file of this size: what is larger shares too little with it.
fn max_result(old: u64) -> u64 {
    old.saturating_mul(4).saturating_add(64 << 20)
}

/// Why a delta could not be made or applied.
#[derive(Debug, thiserror::Error)]
pub enum FileDeltaError {
    /// The file system refused, or what the delta is read from.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// One of the two databases cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The delta does not hold what a delta must.
    #[error("the delta is malformed: {0}")]
    Malformed(&'static str),
    /// It begins at another database.
    #[error("the delta is from another database than the current one")]
    OtherBase,
    /// Its details were compressed by another version of zstd, which may make other bytes of them.
    #[error("the delta is for zstd {made}, this program has {here}")]
    OtherCompressor {
        /// The version that made it, as a number: 10507 is 1.5.7.
        made: u32,
        /// The version of this program.
        here: u32,
    },
    /// The two have too little in common.
    #[error("the two databases have too little in common for a delta")]
    Unsuited,
}

/// The details of all blocks, decompressed and one after the other.
struct RawDetails {
    map: Option<Map>,
    /// Where each block begins.
    starts: Vec<u64>,
}

impl RawDetails {
    /// Of a database, in a file without a name.
    fn of(database: &Database, folder: &Path) -> Result<Self, FileDeltaError> {
        let mut file = BufWriter::new(tidewaiter_io::scratch(folder)?);
        let (mut starts, mut end) = (Vec::new(), 0_u64);
        for number in 0..database.blocks() {
            let raw = database.block(number).ok_or_else(|| database.corrupt("a block of details"))?;
            file.write_all(&raw)?;
            starts.push(end);
            end += raw.len() as u64;
        }
        let file: File = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        // An empty file cannot be mapped.
        let map = if end > 0 { Some(Map::new(&file)?) } else { None };
        Ok(RawDetails { map, starts })
    }

    fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    /// One block; empty when there is none of this number.
    fn block(&self, number: usize) -> &[u8] {
        let bytes = self.bytes();
        let start = |number: usize| {
            let start = self.starts.get(number).and_then(|start| usize::try_from(*start).ok());
            start.unwrap_or(bytes.len())
        };
        bytes.get(start(number)..start(number.saturating_add(1))).unwrap_or_default()
    }
}
