//! The form of a delta: numbers (LEB128), the head, and the copied ranges of a section.

use super::copies::CopyRange;
use super::units::Lanes;
use super::{FileDeltaError, MAX_OPERATIONS};
use crate::format::{DatabaseHeader, SECTIONS, SectionEntry};
use std::io::{self, Read, Write};
use zerocopy::{FromZeros, IntoBytes};

/// The first bytes of a delta. The last one rises with every change of the form.
const MAGIC: [u8; 8] = *b"TIDEWDL1";

/// The head of a delta.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeltaHead {
    /// The checksum of the old file, as in its header.
    pub(super) base: [u8; 32],
    /// The version of zstd that details are compressed with.
    pub(super) compressor: u32,
    /// The new file's.
    pub(super) header: DatabaseHeader,
    /// The new file's.
    pub(super) sections: [SectionEntry; SECTIONS.len()],
}

impl DeltaHead {
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&MAGIC)?;
        out.write_all(&self.base)?;
        out.write_all(&self.compressor.to_le_bytes())?;
        out.write_all(self.header.as_bytes())?;
        out.write_all(self.sections.as_bytes())
    }

    pub(super) fn read(input: &mut dyn Read) -> Result<Self, FileDeltaError> {
        let mut magic = [0; 8];
        input.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(FileDeltaError::Malformed("it is not a delta of a database"));
        }
        let (mut base, mut compressor) = ([0; 32], [0; 4]);
        input.read_exact(&mut base)?;
        input.read_exact(&mut compressor)?;
        let mut header = DatabaseHeader::new_zeroed();
        input.read_exact(header.as_mut_bytes())?;
        let mut sections = [SectionEntry::new_zeroed(); SECTIONS.len()];
        input.read_exact(sections.as_mut_bytes())?;
        Ok(DeltaHead { base, compressor: u32::from_le_bytes(compressor), header, sections })
    }
}

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// Reads a number.
pub(super) fn number(input: &mut dyn Read) -> Result<u64, FileDeltaError> {
    let mut out = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        out |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok(out);
        }
    }
    Err(FileDeltaError::Malformed("a number"))
}

/// A difference as a number without a sign, small where the difference is.
pub(super) fn zigzag(difference: i64) -> u64 {
    (difference.cast_unsigned() << 1) ^ (difference >> 63).cast_unsigned()
}

/// The difference of such a number.
pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Appends a unit as its difference from a likely one.
pub(super) fn put_unit(out: &mut Vec<u8>, likely: Lanes, unit: Lanes) {
    for (likely, lane) in likely.into_iter().zip(unit) {
        put(out, zigzag(i64::from(lane.wrapping_sub(likely).cast_signed())));
    }
}

/// Reads such a unit.
pub(super) fn unit(input: &mut dyn Read, likely: Lanes) -> Result<Lanes, FileDeltaError> {
    let mut out = likely;
    for lane in &mut out {
        let difference = i32::try_from(unzigzag(number(input)?));
        let difference = difference.map_err(|_| FileDeltaError::Malformed("the field of a record"))?;
        *lane = lane.wrapping_add(difference.cast_unsigned());
    }
    Ok(out)
}

/// Appends copied ranges.
pub(super) fn put_copies(out: &mut Vec<u8>, copies: &[CopyRange]) {
    let mut operations = Vec::new();
    let mut left = 0;
    for copy in copies {
        put(&mut operations, copy.literals as u64);
        let jump = (copy.old as u64).wrapping_sub((left + copy.literals) as u64);
        put(&mut operations, zigzag(jump.cast_signed()));
        put(&mut operations, copy.len as u64);
        left = copy.old + copy.len;
    }
    put(out, operations.len() as u64);
    out.extend_from_slice(&operations);
}

/// Reads the copied ranges of a section with `new` units, from one with `old` units: all of them are within both.
pub(super) fn copies(input: &mut dyn Read, old: usize, new: usize) -> Result<Vec<CopyRange>, FileDeltaError> {
    let outside = || FileDeltaError::Malformed("a range is outside of its section");
    let len = usize::try_from(number(input)?).ok().filter(|len| *len <= MAX_OPERATIONS).ok_or_else(outside)?;
    let mut operations = Vec::new();
    input.take(len as u64).read_to_end(&mut operations)?;
    let mut operations = &operations[..];
    let (mut out, mut left, mut produced) = (Vec::new(), 0_usize, 0_usize);
    while !operations.is_empty() {
        let [literals, jump, len] = [number(&mut operations)?, number(&mut operations)?, number(&mut operations)?];
        let [literals, len] = [literals, len].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        produced = produced.saturating_add(literals).saturating_add(len);
        let likely = left.saturating_add(literals) as u64;
        let start = usize::try_from(likely.wrapping_add(unzigzag(jump).cast_unsigned())).map_err(|_| outside())?;
        left = start.checked_add(len).filter(|end| *end <= old && produced <= new).ok_or_else(outside)?;
        out.push(CopyRange { literals, old: start, len });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_units_are_read_as_written() {
        let check = |n: u64| {
            let mut bytes = Vec::new();
            put(&mut bytes, n);
            assert_eq!(number(&mut &bytes[..]).unwrap(), n);
            assert_eq!(zigzag(unzigzag(n)), n);
        };
        [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX].into_iter().for_each(check);
        assert!(number(&mut &[0xff; 11][..]).is_err());
        let (likely, written) = ([1, 2, 3, u32::MAX], [0, 2, u32::MAX, 1]);
        let mut bytes = Vec::new();
        put_unit(&mut bytes, likely, written);
        assert_eq!(unit(&mut &bytes[..], likely).unwrap(), written);
    }

    #[test]
    fn ranges_are_within_their_sections() {
        let copy = |literals, old, len| CopyRange { literals, old, len };
        let check = |written: &[CopyRange], old: usize, new: usize, sound: bool| {
            let mut bytes = Vec::new();
            put_copies(&mut bytes, written);
            let read = copies(&mut &bytes[..], old, new);
            assert_eq!(read.ok().as_deref(), sound.then_some(written), "{written:?}");
        };
        check(&[], 0, 0, true);
        check(&[copy(0, 0, 5), copy(2, 1, 4)], 5, 11, true);
        check(&[copy(0, 0, 5), copy(2, 1, 4)], 5, 10, false);
        check(&[copy(0, 2, 4)], 5, 9, false);
        check(&[copy(0, 6, 0)], 5, 9, false);
        check(&[copy(usize::MAX / 2, 0, 1)], 5, 9, false);
        check(&[copy(0, usize::MAX / 2, 1)], 5, 9, false);
        assert!(copies(&mut &[0xff, 0xff, 0xff, 0x7f][..], 1, 1).is_err());
    }
}
