//! Applies a delta, which may be hostile: every length is compared with what the file is said to have, and with what its
//! size allows.

use super::copies::CopyRange;
use super::units::{RecordUnits, Relocation, Space, UnitRecord, Units as _};
use super::wire::{self, DeltaHead};
use super::{FileDeltaError, RawDetails, max_result};
use crate::details;
use crate::format::{
    AdvisoryEntry, BlockEntry, CveEntry, DatabaseHeader, DatabaseSection, IntervalEntry, MAGIC, MAX_BLOCK_BYTES,
    PackageEntry, QualifierEntry, RowEntry, SECTIONS, SectionEntry, VERSION,
};
use crate::reader::Database;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use zerocopy::IntoBytes as _;

/// The largest window of zstd that is accepted: the one that deltas are made with.
const WINDOW_LOG: u32 = 23;
/// Bytes copied at once.
const BUFFER: usize = 64 << 10;

/// Writes to `out`, an empty file, what `delta` makes from `old`. Needs a file in `folder`, without a name, as large as the
/// decompressed details. Whether it is the new database is for [`Database::open_verified`] to say, and whether it is the one
/// that was wanted for [`Database::checksum`].
///
/// # Errors
/// When the delta is malformed, from another database or for another program, or a file cannot be read or written.
pub fn apply(old: &Database, delta: &mut dyn Read, out: &mut File, folder: &Path) -> Result<(), FileDeltaError> {
    let mut input = zstd::Decoder::new(delta)?;
    input.window_log_max(WINDOW_LOG)?;
    let mut input = BufReader::with_capacity(BUFFER, input);
    let head = DeltaHead::read(&mut input)?;
    let ranges = checked(&head, old)?;
    out.write_all(head.header.as_bytes())?;
    out.write_all(head.sections.as_bytes())?;
    let mut maker = Maker { old, input: &mut input, out, ranges, from: Space::default(), to: Space::default() };
    maker.literal(DatabaseSection::Meta)?;
    let raw = RawDetails::of(old, folder)?;
    maker.from.starts.clone_from(&raw.starts);
    let lengths = maker.lengths()?;
    maker.from.strings = maker.strings()?;
    maker.from.details = maker.details(&raw, &lengths)?;
    maker.from.advisories = Relocation::of(&maker.records::<AdvisoryEntry>(DatabaseSection::Advisories)?);
    maker.records::<CveEntry>(DatabaseSection::Cves)?;
    maker.records::<QualifierEntry>(DatabaseSection::Qualifiers)?;
    maker.records::<PackageEntry>(DatabaseSection::Packages)?;
    maker.records::<RowEntry>(DatabaseSection::Rows)?;
    maker.records::<IntervalEntry>(DatabaseSection::Intervals)?;
    // Whatever follows is read, so that the checksum of the whole frame is compared.
    match std::io::copy(&mut input, &mut std::io::sink())? {
        0 => Ok(()),
        _ => Err(FileDeltaError::Malformed("it is longer than its sections")),
    }
}

/// The place of a section in the new file.
#[derive(Debug, Clone, Copy, Default)]
struct SectionRange {
    start: u64,
    len: u64,
}

/// Where the new file has its sections: one after the other, in a file that is not larger than deltas make.
fn checked(head: &DeltaHead, old: &Database) -> Result<[SectionRange; SECTIONS.len()], FileDeltaError> {
    if head.base != old.head()?.0.sha256 {
        return Err(FileDeltaError::OtherBase);
    }
    let here = zstd::zstd_safe::version_number();
    if head.compressor != here {
        return Err(FileDeltaError::OtherCompressor { made: head.compressor, here });
    }
    let malformed = FileDeltaError::Malformed("the head of the new file");
    let known = head.header.magic == MAGIC && head.header.version.get() == VERSION;
    if !known || head.header.file_len.get() > max_result(old.size()) {
        return Err(malformed);
    }
    let mut end = (size_of::<DatabaseHeader>() + size_of::<[SectionEntry; SECTIONS.len()]>()) as u64;
    let mut ranges = [SectionRange::default(); SECTIONS.len()];
    for ((section, entry), range) in SECTIONS.iter().zip(&head.sections).zip(&mut ranges) {
        let len = entry.len.get();
        if entry.id.get() != *section as u32 || entry.offset.get() != end {
            return Err(malformed);
        }
        *range = SectionRange { start: end, len };
        end = end.saturating_add(len);
    }
    if end == head.header.file_len.get() { Ok(ranges) } else { Err(malformed) }
}

struct Maker<'a> {
    old: &'a Database,
    input: &'a mut dyn Read,
    out: &'a mut File,
    ranges: [SectionRange; SECTIONS.len()],
    from: Space,
    to: Space,
}

impl Maker<'_> {
    fn range(&self, section: DatabaseSection) -> SectionRange {
        self.ranges.get(section as usize - 1).copied().unwrap_or_default()
    }

    /// Goes to where a section begins.
    fn seek(&mut self, section: DatabaseSection) -> Result<SectionRange, FileDeltaError> {
        let range = self.range(section);
        self.out.seek(SeekFrom::Start(range.start))?;
        Ok(range)
    }

    /// Copies a section as the delta has it.
    fn literal(&mut self, section: DatabaseSection) -> Result<(), FileDeltaError> {
        let range = self.seek(section)?;
        let copied = std::io::copy(&mut (&mut *self.input).take(range.len), self.out)?;
        if copied == range.len { Ok(()) } else { Err(FileDeltaError::Malformed("it ends in the provenance")) }
    }

    /// How many records a section has.
    fn count<T>(&self, section: DatabaseSection) -> Result<usize, FileDeltaError> {
        let len = usize::try_from(self.range(section).len).unwrap_or(usize::MAX);
        let whole = len % size_of::<T>() == 0;
        whole.then_some(len / size_of::<T>()).ok_or(FileDeltaError::Malformed("the length of a section"))
    }

    /// Calls `each` with every record of a section; returns what was copied.
    fn each<T: UnitRecord>(
        &mut self,
        section: DatabaseSection,
        mut each: impl FnMut(&mut File, &T) -> Result<(), FileDeltaError>,
    ) -> Result<Vec<CopyRange>, FileDeltaError> {
        let count = self.count::<T>(section)?;
        let old = RecordUnits::<T> { records: self.old.records(section), space: &self.from };
        let copies = wire::copies(self.input, old.len(), count)?;
        let (mut before, mut produced, mut left) = (None::<T>, 0, 0);
        let rest = CopyRange { literals: count, old: 0, len: 0 };
        for copy in copies.iter().chain([&rest]) {
            // The last one has what is left.
            let literals = copy.literals.min(count - produced);
            for n in 0..literals + copy.len {
                let lanes = match n.checked_sub(literals) {
                    None => wire::unit(self.input, old.unit(left + n))?,
                    Some(n) => old.unit(copy.old + n),
                };
                let record = T::of_lanes(lanes, before.as_ref(), &self.to);
                let record = record.ok_or(FileDeltaError::Malformed("a record"))?;
                each(self.out, &record)?;
                before = Some(record);
            }
            produced += literals + copy.len;
            left = copy.old + copy.len;
        }
        Ok(copies)
    }

    fn records<T: UnitRecord>(&mut self, section: DatabaseSection) -> Result<Vec<CopyRange>, FileDeltaError> {
        self.seek(section)?;
        let mut buffer = Vec::with_capacity(BUFFER);
        let copies = self.each::<T>(section, |out, record| write_buffered(out, &mut buffer, record.as_bytes()))?;
        self.out.write_all(&buffer)?;
        Ok(copies)
    }

    /// The decompressed lengths of the blocks.
    fn lengths(&mut self) -> Result<Vec<u32>, FileDeltaError> {
        let mut lengths = Vec::new();
        self.each::<BlockEntry>(DatabaseSection::Blocks, |_, block| match block.raw_len.get() {
            len if len as usize <= MAX_BLOCK_BYTES => {
                lengths.push(len);
                Ok(())
            }
            _ => Err(FileDeltaError::Malformed("the length of a block")),
        })?;
        Ok(lengths)
    }

    fn strings(&mut self) -> Result<Relocation, FileDeltaError> {
        let len = self.seek(DatabaseSection::Strings)?.len;
        let old = self.old.section(DatabaseSection::Strings);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let mut out = BufWriter::new(&mut *self.out);
        let copies = bytes(self.input, old, len, &mut |bytes| Ok(out.write_all(bytes)?))?;
        out.flush()?;
        Ok(Relocation::of(&copies))
    }

    /// Makes DETAILS and BLOCKS.
    fn details(&mut self, raw: &RawDetails, lengths: &[u32]) -> Result<Relocation, FileDeltaError> {
        let range = self.seek(DatabaseSection::Details)?;
        let mut end = 0_u64;
        for length in lengths {
            self.to.starts.push(end);
            end += u64::from(*length);
        }
        let len = usize::try_from(end).unwrap_or(usize::MAX);
        let mut blocks = BlockMaker {
            known: known_blocks(raw),
            old: self.old,
            raw,
            lengths,
            compressor: details::compressor()?,
            out: BufWriter::new(&mut *self.out),
            left: range.len,
            buffer: Vec::new(),
            entries: Vec::new(),
            offset: 0,
        };
        let copies = bytes(self.input, raw.bytes(), len, &mut |bytes| blocks.add(bytes))?;
        let entries = blocks.finish()?;
        self.seek(DatabaseSection::Blocks)?;
        self.out.write_all(entries.as_bytes())?;
        Ok(Relocation::of(&copies))
    }
}

/// Calls `each` with all bytes of a section of this length, in pieces; returns what was copied.
fn bytes(
    input: &mut dyn Read,
    old: &[u8],
    len: usize,
    each: &mut dyn FnMut(&[u8]) -> Result<(), FileDeltaError>,
) -> Result<Vec<CopyRange>, FileDeltaError> {
    let copies = wire::copies(input, old.len(), len)?;
    let mut produced = 0;
    let mut buffer = vec![0; BUFFER];
    let rest = CopyRange { literals: len, old: 0, len: 0 };
    for copy in copies.iter().chain([&rest]) {
        let mut literals = copy.literals.min(len - produced);
        produced += literals + copy.len;
        while literals > 0 {
            let piece = buffer.get_mut(..literals.min(BUFFER)).unwrap_or_default();
            input.read_exact(piece)?;
            each(piece)?;
            literals -= piece.len();
        }
        old.get(copy.old..copy.old + copy.len).unwrap_or_default().chunks(BUFFER).try_for_each(&mut *each)?;
    }
    Ok(copies)
}

fn hash(bytes: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(bytes)
}

/// The blocks of the old file by what they hold.
fn known_blocks(raw: &RawDetails) -> HashMap<u64, usize> {
    let blocks = 0..raw.starts.len();
    blocks.map(|block| (hash(raw.block(block)), block)).collect()
}

/// Cuts details into blocks and compresses them.
struct BlockMaker<'a> {
    old: &'a Database,
    raw: &'a RawDetails,
    known: HashMap<u64, usize>,
    lengths: &'a [u32],
    compressor: zstd::bulk::Compressor<'static>,
    out: BufWriter<&'a mut File>,
    /// Bytes that DETAILS still has room for.
    left: u64,
    /// The block that is not full yet.
    buffer: Vec<u8>,
    entries: Vec<BlockEntry>,
    offset: u64,
}

impl BlockMaker<'_> {
    fn add(&mut self, mut bytes: &[u8]) -> Result<(), FileDeltaError> {
        while let Some(len) = self.lengths.get(self.entries.len()).filter(|_| !bytes.is_empty()) {
            let missing = (*len as usize).saturating_sub(self.buffer.len()).min(bytes.len());
            let (these, rest) = bytes.split_at(missing);
            self.buffer.extend_from_slice(these);
            bytes = rest;
            if self.buffer.len() == *len as usize {
                self.pack(*len)?;
            }
        }
        Ok(())
    }

    fn pack(&mut self, raw_len: u32) -> Result<(), FileDeltaError> {
        let same = self.known.get(&hash(&self.buffer)).filter(|block| self.raw.block(**block) == self.buffer);
        // Most blocks are those of the old file: not compressed again.
        let packed = match same.and_then(|block| self.old.packed_block(*block)) {
            Some(packed) => packed.to_vec(),
            None => self.compressor.compress(&self.buffer)?,
        };
        let malformed = FileDeltaError::Malformed("its details are longer than their section");
        self.left = self.left.checked_sub(packed.len() as u64).ok_or(malformed)?;
        let len = u32::try_from(packed.len()).map_err(std::io::Error::other)?;
        self.entries.push(BlockEntry { offset: self.offset.into(), len: len.into(), raw_len: raw_len.into() });
        self.offset += packed.len() as u64;
        self.out.write_all(&packed)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<BlockEntry>, FileDeltaError> {
        self.out.flush()?;
        if self.left == 0 && self.entries.len() == self.lengths.len() {
            return Ok(self.entries);
        }
        Err(FileDeltaError::Malformed("its details are shorter than their section"))
    }
}

fn write_buffered(out: &mut File, buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), FileDeltaError> {
    buffer.extend_from_slice(bytes);
    if buffer.len() >= BUFFER {
        out.write_all(buffer)?;
        buffer.clear();
    }
    Ok(())
}
