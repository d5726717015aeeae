//! Makes a delta.

use super::copies::{self, CopyRange, Thresholds};
use super::units::{Bytes, Lanes, RecordUnits, Relocation, Space, UnitRecord, Units};
use super::wire::{self, DeltaHead};
use super::{FileDeltaError, MAX_COPIES, RawDetails, apply, max_result};
use crate::format::{
    self, AdvisoryEntry, BlockEntry, CveEntry, DatabaseHeader, DatabaseSection, IntervalEntry, PackageEntry,
    QualifierEntry, RowEntry,
};
use crate::map::Map;
use crate::reader::Database;
use std::io::Write;
use std::path::Path;
use zerocopy::FromBytes as _;

/// The level of zstd: a delta is made once, and small.
const LEVEL: i32 = 19;
/// Most bytes of a section's literals: a delta with more is not worth its name.
const MAX_LITERALS: usize = 256 << 20;

/// Returns what makes the file of `new` from that of `old`. Needs files in `folder`, without names, as large as the
/// decompressed details of both. The delta is applied once, so that one that does not make the new file is an error.
///
/// # Errors
/// When a database cannot be read, `folder` cannot be written, or the two have too little in common.
pub fn encode(old: &Database, new: &Database, folder: &Path) -> Result<Vec<u8>, FileDeltaError> {
    if new.size() > max_result(old.size()) {
        return Err(FileDeltaError::Unsuited);
    }
    let (header, sections) = new.head()?;
    let base = old.head()?.0.sha256;
    let head = DeltaHead { base, compressor: zstd::zstd_safe::version_number(), header, sections };
    let mut out = zstd::Encoder::new(Vec::new(), LEVEL)?;
    head.write(&mut out)?;
    out.write_all(new.section(DatabaseSection::Meta))?;
    let raw = (RawDetails::of(old, folder)?, RawDetails::of(new, folder)?);
    let mut from = Space { starts: raw.0.starts.clone(), ..Space::default() };
    let to = Space { starts: raw.1.starts.clone(), ..Space::default() };
    let mut both = Both { old, new, out };
    both.records::<BlockEntry>(DatabaseSection::Blocks, &from, &to)?;
    let strings = [old, new].map(|database| Bytes(database.section(DatabaseSection::Strings)));
    from.strings = Relocation::of(&both.bytes(&strings[0], &strings[1])?);
    from.details = Relocation::of(&both.bytes(&Bytes(raw.0.bytes()), &Bytes(raw.1.bytes()))?);
    from.advisories = Relocation::of(&both.records::<AdvisoryEntry>(DatabaseSection::Advisories, &from, &to)?);
    both.records::<CveEntry>(DatabaseSection::Cves, &from, &to)?;
    both.records::<QualifierEntry>(DatabaseSection::Qualifiers, &from, &to)?;
    both.records::<PackageEntry>(DatabaseSection::Packages, &from, &to)?;
    both.records::<RowEntry>(DatabaseSection::Rows, &from, &to)?;
    both.records::<IntervalEntry>(DatabaseSection::Intervals, &from, &to)?;
    let delta = both.out.finish()?;
    // What the form does not express, or this program does not compress as the new file's writer did.
    let mut made = tidewaiter_io::scratch(folder)?;
    apply(old, &mut &delta[..], &mut made, folder)?;
    if is_sound(&Map::new(&made)?, &header.sha256) { Ok(delta) } else { Err(FileDeltaError::Unsuited) }
}

/// Whether a file has this checksum.
fn is_sound(file: &[u8], checksum: &[u8; 32]) -> bool {
    DatabaseHeader::ref_from_prefix(file).is_ok_and(|(header, rest)| format::checksum(header, rest) == *checksum)
}

struct Both<'a> {
    old: &'a Database,
    new: &'a Database,
    out: zstd::Encoder<'static, Vec<u8>>,
}

impl Both<'_> {
    fn records<T: UnitRecord>(
        &mut self,
        section: DatabaseSection,
        from: &Space,
        to: &Space,
    ) -> Result<Vec<CopyRange>, FileDeltaError> {
        let old = RecordUnits::<T> { records: self.old.records(section), space: from };
        let new = RecordUnits::<T> { records: self.new.records(section), space: to };
        self.section(&old, &new, copies::OF_RECORDS, wire::put_unit)
    }

    fn bytes(&mut self, old: &Bytes<'_>, new: &Bytes<'_>) -> Result<Vec<CopyRange>, FileDeltaError> {
        self.section(old, new, copies::OF_BYTES, |out, _, [byte, ..]| out.extend(u8::try_from(byte)))
    }

    /// Writes one section; returns what was copied.
    fn section(
        &mut self,
        old: &impl Units,
        new: &impl Units,
        thresholds: Thresholds,
        put: impl Fn(&mut Vec<u8>, Lanes, Lanes),
    ) -> Result<Vec<CopyRange>, FileDeltaError> {
        let copies = copies::find(old, new, thresholds, MAX_COPIES).map_err(|_| FileDeltaError::Unsuited)?;
        let mut bytes = Vec::new();
        wire::put_copies(&mut bytes, &copies);
        let (mut at, mut left) = (0, 0);
        let rest = CopyRange { literals: new.len() - produced(&copies), old: old.len(), len: 0 };
        for copy in copies.iter().chain([&rest]) {
            for n in 0..copy.literals {
                put(&mut bytes, old.unit(left + n), new.unit(at + n));
            }
            if bytes.len() > MAX_LITERALS {
                return Err(FileDeltaError::Unsuited);
            }
            at += copy.literals + copy.len;
            left = copy.old + copy.len;
        }
        self.out.write_all(&bytes)?;
        Ok(copies)
    }
}

fn produced(copies: &[CopyRange]) -> usize {
    copies.iter().map(|copy| copy.literals + copy.len).sum()
}
