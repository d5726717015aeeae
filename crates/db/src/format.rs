//! The layout of a database file. All numbers are little-endian; all records are unaligned plain bytes.
//!
//! ```text
//! DatabaseHeader  SectionEntry × n  META  STRINGS  PACKAGES  ROWS  INTERVALS  QUALIFIERS  ADVISORIES  CVES  BLOCKS  DETAILS
//! ```
//!
//! A string is a `u16` length and its bytes; a reference to one is its offset in STRINGS.

use sha2::{Digest, Sha256};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first bytes of every database, so that another file is refused before anything else is read.
pub(crate) const MAGIC: [u8; 8] = *b"TIDEWVDB";
/// The version of this layout. It rises whenever an older program would misread a newer file.
pub const VERSION: u32 = 2;

/// The sections, in file order; the number is their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum DatabaseSection {
    Meta = 1,
    Strings,
    Packages,
    Rows,
    Intervals,
    Qualifiers,
    Advisories,
    Cves,
    Blocks,
    Details,
}

/// All sections. A reader relies on this order, and on all of them being present.
pub(crate) const SECTIONS: [DatabaseSection; 10] = [
    DatabaseSection::Meta,
    DatabaseSection::Strings,
    DatabaseSection::Packages,
    DatabaseSection::Rows,
    DatabaseSection::Intervals,
    DatabaseSection::Qualifiers,
    DatabaseSection::Advisories,
    DatabaseSection::Cves,
    DatabaseSection::Blocks,
    DatabaseSection::Details,
];

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DatabaseHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U32,
    pub(crate) sections: U32,
    pub(crate) file_len: U64,
    /// SHA-256 of the whole file with this field as zeros.
    pub(crate) sha256: [u8; 32],
    /// SHA-256 over all sections but META, and over what META says of coverage, ratings and support: the same facts have
    /// the same id, whenever they were built.
    pub(crate) id: [u8; 32],
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SectionEntry {
    pub(crate) id: U32,
    pub(crate) offset: U64,
    pub(crate) len: U64,
}

/// Sorted by (ecosystem, key kind, name) as text.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct PackageEntry {
    pub(crate) ecosystem: U32,
    pub(crate) name: U32,
    pub(crate) first_row: U32,
    pub(crate) rows: U16,
    pub(crate) key: u8,
}

/// One advisory for one package.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RowEntry {
    pub(crate) advisory: U32,
    pub(crate) first_interval: U32,
    pub(crate) intervals: U16,
    /// Index into QUALIFIERS, counted from 1; 0 for a row without any.
    pub(crate) qualifiers: U16,
    pub(crate) fix_state: u8,
    pub(crate) severity: u8,
    pub(crate) flags: u8,
}

/// The vendor says that the package was never affected.
pub(crate) const FLAG_NEVER: u8 = 1;

/// The conditions on an installed package for a row to apply. Few are different, so rows share them.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct QualifierEntry {
    /// A string: modules as `name:stream`, separated by commas; [`UNNAMED`]; empty for packages outside of modules.
    pub(crate) modules: U32,
    /// A string: architectures, separated by commas; empty for all.
    pub(crate) arches: U32,
}

/// A module whose stream the record does not name.
pub(crate) const UNNAMED: &str = "?";

/// `lo` is a string or [`FROM_START`]; the two top bits of `hi` say what it means.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct IntervalEntry {
    pub(crate) lo: U32,
    pub(crate) hi: U32,
}

/// In `lo`: the interval begins before all versions. No string can have this offset.
pub(crate) const FROM_START: u32 = u32::MAX;
/// In `lo`: the version itself is not in the interval.
pub(crate) const LO_AFTER: u32 = 1 << 30;
/// The bits of `lo` and `hi` that are an offset: strings take at most 1 GiB.
pub(crate) const HI_MASK: u32 = 0x3fff_ffff;
/// `hi` is the first version that is not vulnerable.
pub(crate) const HI_FIXED: u32 = 0;
/// `hi` is the last vulnerable version.
pub(crate) const HI_LAST: u32 = 1 << 30;
/// No end is known.
pub(crate) const HI_OPEN: u32 = 2 << 30;
/// `lo` alone is one vulnerable version.
pub(crate) const HI_EXACT: u32 = 3 << 30;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct AdvisoryEntry {
    pub(crate) block: U32,
    pub(crate) offset: U32,
    pub(crate) len: U32,
}

impl AdvisoryEntry {
    /// Its range in the decompressed block.
    pub(crate) fn range(&self) -> Option<std::ops::Range<usize>> {
        let start = self.offset.get() as usize;
        Some(start..start.checked_add(self.len.get() as usize)?)
    }
}

/// The facts about one CVE. Sorted by name as text.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct CveEntry {
    pub(crate) name: U32,
    pub(crate) details: AdvisoryEntry,
}

/// One zstd frame in DETAILS.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct BlockEntry {
    pub(crate) offset: U64,
    pub(crate) len: U32,
    pub(crate) raw_len: U32,
}

/// Details are compressed in blocks of about this many bytes: small enough to inflate for one finding.
pub(crate) const BLOCK_BYTES: usize = 8 << 10;
/// No block of a valid file decompresses to more: bounds the memory that a corrupt one can ask for.
pub(crate) const MAX_BLOCK_BYTES: usize = 16 << 20;

/// The checksum of a file: of its header with the checksum as zeros, and of all that follows.
pub(crate) fn checksum(header: &DatabaseHeader, rest: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(DatabaseHeader { sha256: [0; 32], ..*header }.as_bytes());
    hash.update(rest);
    hash.finalize().into()
}
