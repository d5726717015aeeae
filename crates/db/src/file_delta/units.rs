//! The sections of a database as sequences of units that an insertion does not change: what is counted from the start of
//! something (an offset, a number) is said as it will be in the new file, or as the difference from what follows from the
//! unit before.

use super::copies::CopyRange;
use crate::format::{
    AdvisoryEntry, BlockEntry, CveEntry, FROM_START, HI_MASK, IntervalEntry, PackageEntry, QualifierEntry, RowEntry,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A unit: the fields of a record, or one byte.
pub(super) type Lanes = [u32; 4];

/// A sequence of units.
pub(super) trait Units {
    /// How many.
    fn len(&self) -> usize;
    /// One of them; zeros past the end.
    fn unit(&self, at: usize) -> Lanes;
}

/// Bytes, one to a unit.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Units for Bytes<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn unit(&self, at: usize) -> Lanes {
        [self.0.get(at).copied().unwrap_or_default().into(), 0, 0, 0]
    }
}

/// The records of a section, one to a unit.
pub(super) struct RecordUnits<'a, T> {
    pub(super) records: &'a [T],
    pub(super) space: &'a Space,
}

impl<T: UnitRecord> Units for RecordUnits<'_, T> {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn unit(&self, at: usize) -> Lanes {
        let before = at.checked_sub(1).and_then(|before| self.records.get(before));
        self.records.get(at).map_or([0; 4], |record| record.lanes(before, self.space))
    }
}

/// Where what was at some place of the old sequence is in the new one: old places, each with the new one, in order.
#[derive(Debug, Default)]
pub(super) struct Relocation(Vec<(u64, u64)>);

/// Moves the beginning of a range (old place, new place, length) to where the ranges before it end; false if nothing is left.
fn cut((old, new, len): &mut (u64, u64, u64), end: &mut u64) -> bool {
    let covered = end.saturating_sub(*old);
    let is_more = covered < *len;
    *end = (*end).max(*old + *len);
    (*old, *new) = (*old + covered, *new + covered);
    is_more
}

impl Relocation {
    /// By the ranges that were copied. Of what was copied more than once, the range that begins first counts: the others are
    /// short repetitions.
    pub(super) fn of(copies: &[CopyRange]) -> Self {
        let mut new = 0;
        let mut ranges = Vec::with_capacity(copies.len());
        for copy in copies {
            new += copy.literals as u64;
            ranges.push((copy.old as u64, new, copy.len as u64));
            new += copy.len as u64;
        }
        ranges.sort_unstable_by_key(|(old, new, len)| (*old, std::cmp::Reverse(*len), *new));
        let mut end = 0_u64;
        ranges.retain_mut(|range| cut(range, &mut end));
        Relocation(ranges.into_iter().map(|(old, new, _)| (old, new)).collect())
    }

    /// The new place; of what was not copied, as far from the copied range before it as it was. It need not be right: the
    /// delta has what differs.
    fn place(&self, old: u64) -> u64 {
        let after = self.0.partition_point(|(start, _)| *start <= old);
        let found = after.checked_sub(1).and_then(|at| self.0.get(at));
        found.map_or(old, |(start, new)| new.wrapping_add(old - start))
    }

    /// As [`Relocation::place`], of a number that a record has.
    fn number(&self, old: u32) -> u32 {
        u32::try_from(self.place(old.into()) & u64::from(u32::MAX)).unwrap_or_default()
    }

    /// Of an offset in STRINGS below flags. Zero stands for no string where the flags say so, and is not moved.
    fn flagged(&self, field: u32) -> u32 {
        let offset = field & HI_MASK;
        if offset == 0 || field == FROM_START { field } else { (field & !HI_MASK) | (self.number(offset) & HI_MASK) }
    }
}

/// What references of a file's records become. Of the new file, nothing is moved.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) strings: Relocation,
    pub(super) advisories: Relocation,
    /// Places in the details of all blocks, decompressed.
    pub(super) details: Relocation,
    /// Where each block of this file begins there.
    pub(super) starts: Vec<u64>,
}

impl Space {
    fn place(&self, entry: &AdvisoryEntry) -> [u32; 2] {
        let start = self.starts.get(entry.block.get() as usize).copied().unwrap_or_default();
        let place = self.details.place(start.wrapping_add(entry.offset.get().into()));
        [place, place >> 32].map(|half| u32::try_from(half & u64::from(u32::MAX)).unwrap_or_default())
    }

    fn entry(&self, [low, high]: [u32; 2], len: u32) -> Option<AdvisoryEntry> {
        let place = u64::from(low) | u64::from(high) << 32;
        let block = self.starts.partition_point(|start| *start <= place).checked_sub(1)?;
        let offset = u32::try_from(place - self.starts.get(block)?).ok()?;
        Some(AdvisoryEntry { block: u32::try_from(block).ok()?.into(), offset: offset.into(), len: len.into() })
    }
}

/// A record as a unit.
pub(super) trait UnitRecord: Sized + FromBytes + IntoBytes + KnownLayout + Immutable {
    /// Its fields; references moved to where they are in the new file.
    fn lanes(&self, before: Option<&Self>, space: &Space) -> Lanes;

    /// The record of the new file; `None` if no record has these fields.
    fn of_lanes(lanes: Lanes, before: Option<&Self>, space: &Space) -> Option<Self>;
}

fn halves(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

fn low(field: u32) -> u16 {
    let [a, b, ..] = field.to_le_bytes();
    u16::from_le_bytes([a, b])
}

fn high(field: u32) -> u16 {
    let [.., a, b] = field.to_le_bytes();
    u16::from_le_bytes([a, b])
}

impl UnitRecord for PackageEntry {
    fn lanes(&self, before: Option<&Self>, space: &Space) -> Lanes {
        let first = self.first_row.get().wrapping_sub(before.map_or(0, PackageEntry::end));
        let names = [self.ecosystem, self.name].map(|offset| space.strings.number(offset.get()));
        [names[0], names[1], first, halves(self.rows.get(), self.key.into())]
    }

    fn of_lanes([ecosystem, name, first, rest]: Lanes, before: Option<&Self>, _: &Space) -> Option<Self> {
        let first_row = first.wrapping_add(before.map_or(0, PackageEntry::end)).into();
        let key = u8::try_from(high(rest)).ok()?;
        Some(PackageEntry { ecosystem: ecosystem.into(), name: name.into(), first_row, rows: low(rest).into(), key })
    }
}

impl PackageEntry {
    fn end(&self) -> u32 {
        self.first_row.get().wrapping_add(self.rows.get().into())
    }
}

impl UnitRecord for RowEntry {
    fn lanes(&self, before: Option<&Self>, space: &Space) -> Lanes {
        let first = self.first_interval.get().wrapping_sub(before.map_or(0, RowEntry::end));
        let codes = u32::from_le_bytes([self.fix_state, self.severity, self.flags, 0]);
        let advisory = space.advisories.number(self.advisory.get());
        [advisory, first, halves(self.intervals.get(), self.qualifiers.get()), codes]
    }

    fn of_lanes([advisory, first, counts, codes]: Lanes, before: Option<&Self>, _: &Space) -> Option<Self> {
        let [fix_state, severity, flags, 0] = codes.to_le_bytes() else { return None };
        Some(RowEntry {
            advisory: advisory.into(),
            first_interval: first.wrapping_add(before.map_or(0, RowEntry::end)).into(),
            intervals: low(counts).into(),
            qualifiers: high(counts).into(),
            fix_state,
            severity,
            flags,
        })
    }
}

impl RowEntry {
    fn end(&self) -> u32 {
        self.first_interval.get().wrapping_add(self.intervals.get().into())
    }
}

impl UnitRecord for IntervalEntry {
    fn lanes(&self, _: Option<&Self>, space: &Space) -> Lanes {
        [space.strings.flagged(self.lo.get()), space.strings.flagged(self.hi.get()), 0, 0]
    }

    fn of_lanes([lo, hi, ..]: Lanes, _: Option<&Self>, _: &Space) -> Option<Self> {
        Some(IntervalEntry { lo: lo.into(), hi: hi.into() })
    }
}

impl UnitRecord for QualifierEntry {
    fn lanes(&self, _: Option<&Self>, space: &Space) -> Lanes {
        [space.strings.number(self.modules.get()), space.strings.number(self.arches.get()), 0, 0]
    }

    fn of_lanes([modules, arches, ..]: Lanes, _: Option<&Self>, _: &Space) -> Option<Self> {
        Some(QualifierEntry { modules: modules.into(), arches: arches.into() })
    }
}

impl UnitRecord for AdvisoryEntry {
    fn lanes(&self, _: Option<&Self>, space: &Space) -> Lanes {
        let [low, high] = space.place(self);
        [low, high, self.len.get(), 0]
    }

    fn of_lanes([low, high, len, _]: Lanes, _: Option<&Self>, space: &Space) -> Option<Self> {
        space.entry([low, high], len)
    }
}

impl UnitRecord for CveEntry {
    fn lanes(&self, _: Option<&Self>, space: &Space) -> Lanes {
        let [low, high] = space.place(&self.details);
        [space.strings.number(self.name.get()), low, high, self.details.len.get()]
    }

    fn of_lanes([name, low, high, len]: Lanes, _: Option<&Self>, space: &Space) -> Option<Self> {
        Some(CveEntry { name: name.into(), details: space.entry([low, high], len)? })
    }
}

/// Of a block, its bytes when decompressed: the rest follows from compressing it.
impl UnitRecord for BlockEntry {
    fn lanes(&self, _: Option<&Self>, _: &Space) -> Lanes {
        [self.raw_len.get(), 0, 0, 0]
    }

    fn of_lanes([raw_len, ..]: Lanes, _: Option<&Self>, _: &Space) -> Option<Self> {
        Some(BlockEntry { offset: 0.into(), len: 0.into(), raw_len: raw_len.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_moved_with_what_they_refer_to() {
        let copy = |literals, old, len| CopyRange { literals, old, len };
        // 0..10 stays, 20..40 moves to 12, of which 25..30 is found a second time, later.
        let moved = Relocation::of(&[copy(0, 0, 10), copy(2, 20, 20), copy(100, 25, 5)]);
        let check = |old: u64, expected: u64| assert_eq!(moved.place(old), expected, "{old}");
        check(0, 0);
        check(9, 9);
        check(15, 15);
        check(20, 12);
        check(27, 19);
        check(39, 31);
        check(50, 42);
        assert_eq!(Relocation::default().place(7), 7);
        assert_eq!(moved.flagged(FROM_START), FROM_START);
        assert_eq!(moved.flagged(20 | !HI_MASK), 12 | !HI_MASK);
        assert_eq!(Relocation::of(&[copy(5, 0, 9)]).flagged(0), 0);
    }

    #[test]
    fn records_are_made_again_from_their_units() {
        fn check<T: UnitRecord + Copy>(record: T, before: Option<&T>) {
            let space = Space { starts: vec![0, 100, 100, 300], ..Space::default() };
            let made = T::of_lanes(record.lanes(before, &space), before, &space).unwrap();
            assert_eq!(made.as_bytes(), record.as_bytes());
        }
        let package = |first: u32| PackageEntry {
            ecosystem: 1.into(),
            name: u32::MAX.into(),
            first_row: first.into(),
            rows: u16::MAX.into(),
            key: 1,
        };
        check(package(7), None);
        check(package(7), Some(&package(u32::MAX)));
        let row = |first: u32| RowEntry {
            advisory: 9.into(),
            first_interval: first.into(),
            intervals: 300.into(),
            qualifiers: 2.into(),
            fix_state: 1,
            severity: 2,
            flags: 3,
        };
        check(row(5), None);
        check(row(5), Some(&row(1)));
        check(IntervalEntry { lo: FROM_START.into(), hi: 7.into() }, None);
        check(QualifierEntry { modules: 0.into(), arches: 7.into() }, None);
        let entry =
            |block: u32, offset: u32| AdvisoryEntry { block: block.into(), offset: offset.into(), len: 9.into() };
        check(entry(0, 99), None);
        // An empty block before it.
        check(entry(2, 0), None);
        check(CveEntry { name: 3.into(), details: entry(3, 1000) }, None);
        let odd = [0, 0, 0, u32::MAX];
        assert!(RowEntry::of_lanes(odd, None, &Space::default()).is_none());
        assert!(PackageEntry::of_lanes(odd, None, &Space::default()).is_none());
        assert!(AdvisoryEntry::of_lanes(odd, None, &Space::default()).is_none());
    }
}
