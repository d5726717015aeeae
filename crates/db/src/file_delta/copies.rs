//! What two sequences of units share: ranges of the new one that the old one has, found in one pass.

use super::units::{Lanes, Units};
use std::io;
use std::ops::Range;

/// A range of the old sequence that the new one has after some units of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CopyRange {
    /// Units before it that are not copied.
    pub(super) literals: usize,
    /// Where the old sequence has it.
    pub(super) old: usize,
    /// Units that are copied.
    pub(super) len: usize,
}

/// How many units must be equal for a range to be copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    /// Anywhere in the old sequence; its windows of this length are indexed.
    pub(super) far: usize,
    /// At most [`NEAR`] units ahead of where the old sequence was left.
    pub(super) near: usize,
    /// Where units were replaced one by one.
    pub(super) in_place: usize,
}

/// Of text: shorter ranges are likely at places that have nothing in common.
pub(super) const OF_BYTES: Thresholds = Thresholds { far: 32, near: 12, in_place: 4 };
/// Of records.
pub(super) const OF_RECORDS: Thresholds = Thresholds { far: 4, near: 2, in_place: 1 };

/// Units that are looked ahead for a range that continues after an insertion or a removal.
const NEAR: usize = 32;
/// Multiplies the hash of a window for each unit. Odd, so that no bit is lost.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
/// A slot of the index without a window.
const FREE: u32 = u32::MAX;

/// Slots of windows with the same hash, and of those that share them by chance.
const GROUP: usize = 4;

/// Windows of the old sequence by their hash. Where a group of slots is full, further windows are left out: one that is missed
/// costs bytes, a list of all would cost memory.
struct WindowIndex {
    slots: Vec<u32>,
    window: usize,
}

impl WindowIndex {
    fn of(old: &impl Units, window: usize) -> Self {
        let windows = old.len() / window;
        let mut index = WindowIndex { slots: vec![FREE; (windows * 2).next_power_of_two().max(GROUP)], window };
        for number in 0..windows {
            let start = number * window;
            let hash = (start..start + window).fold(0, |hash, at| push(hash, old.unit(at)));
            let slots = index.slots_of(hash);
            let free = index.slots.get_mut(slots).and_then(|slots| slots.iter_mut().find(|slot| **slot == FREE));
            if let Some(free) = free {
                *free = u32::try_from(number).unwrap_or(FREE);
            }
        }
        index
    }

    fn slots_of(&self, hash: u64) -> Range<usize> {
        // The upper bits depend on all units of the window.
        let group = usize::try_from(hash >> 20).unwrap_or_default() & (self.slots.len() / GROUP - 1);
        group * GROUP..(group + 1) * GROUP
    }

    /// Where windows with this hash may begin.
    fn find(&self, hash: u64) -> impl Iterator<Item = usize> {
        let group = self.slots.get(self.slots_of(hash)).unwrap_or_default();
        group.iter().filter(|number| **number != FREE).map(|number| *number as usize * self.window)
    }
}

fn mixed(unit: Lanes) -> u64 {
    let [a, b, c, d] = unit.map(u64::from);
    let both = (a | b << 32) ^ (c | d << 32).rotate_left(23).wrapping_mul(BASE);
    (both ^ both >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
}

fn push(hash: u64, unit: Lanes) -> u64 {
    hash.wrapping_mul(BASE).wrapping_add(mixed(unit))
}

/// The hash of the window that slides over the new sequence.
struct Sliding {
    hash: u64,
    /// What the first unit of a window was multiplied by.
    first: u64,
    /// The window that the hash is of, by its start.
    at: Option<usize>,
}

impl Sliding {
    /// The hash of the window at `at`; `None` at the end.
    fn hash(&mut self, new: &impl Units, at: usize, window: usize) -> Option<u64> {
        let end = at.checked_add(window).filter(|end| *end <= new.len())?;
        self.hash = match self.at {
            Some(last) if last == at => self.hash,
            Some(last) if last + 1 == at => {
                let without = self.hash.wrapping_sub(mixed(new.unit(last)).wrapping_mul(self.first));
                push(without, new.unit(end - 1))
            }
            _ => (at..end).fold(0, |hash, at| push(hash, new.unit(at))),
        };
        self.at = Some(at);
        Some(self.hash)
    }
}

/// Finds the copied ranges, in the order of the new sequence. What follows the last one is literal.
///
/// # Errors
/// When there are more than `most`: then the sequences have little in common.
pub(super) fn find(
    old: &impl Units,
    new: &impl Units,
    thresholds: Thresholds,
    most: usize,
) -> io::Result<Vec<CopyRange>> {
    let index = WindowIndex::of(old, thresholds.far);
    let first = (1..thresholds.far).fold(1_u64, |product, _| product.wrapping_mul(BASE));
    let mut sliding = Sliding { hash: 0, first, at: None };
    let mut out = Vec::new();
    // Literal units since `start`; the old sequence was left at `left`.
    let (mut start, mut at, mut left) = (0, 0, 0);
    while at < new.len() {
        let in_place = left + (at - start);
        let mut found = reaches(old, new, in_place, at, thresholds.in_place).then_some(in_place);
        if found.is_none() {
            found = (left..left + NEAR).find(|near| reaches(old, new, *near, at, thresholds.near));
        }
        if found.is_none() {
            let hash = sliding.hash(new, at, thresholds.far);
            let mut far = hash.into_iter().flat_map(|hash| index.find(hash));
            found = far.find(|far| reaches(old, new, *far, at, thresholds.far));
        }
        let Some(found) = found else {
            at += 1;
            continue;
        };
        let back = (1..=(at - start).min(found)).take_while(|n| old.unit(found - n) == new.unit(at - n)).count();
        let len = common(old, new, found, at);
        out.push(CopyRange { literals: at - back - start, old: found - back, len: len + back });
        if out.len() > most {
            return Err(io::Error::other(format!("more than {most} ranges differ")));
        }
        at += len;
        (start, left) = (at, found + len);
    }
    Ok(out)
}

/// Whether so many units from here on are equal. At the end of both, fewer are enough.
fn reaches(old: &impl Units, new: &impl Units, old_at: usize, new_at: usize, units: usize) -> bool {
    let ends = new_at + units > new.len() && new.len() - new_at == old.len().saturating_sub(old_at);
    let units = if ends { new.len() - new_at } else { units };
    old_at + units <= old.len()
        && new_at + units <= new.len()
        && (0..units).all(|n| old.unit(old_at + n) == new.unit(new_at + n))
}

fn common(old: &impl Units, new: &impl Units, old_at: usize, new_at: usize) -> usize {
    let most = old.len().saturating_sub(old_at).min(new.len() - new_at);
    (0..most).take_while(|n| old.unit(old_at + n) == new.unit(new_at + n)).count()
}

#[cfg(test)]
mod tests {
    use super::super::units::Bytes;
    use super::*;

    #[test]
    fn shared_ranges_are_found() {
        let check = |old: &str, new: &str, thresholds: Thresholds, expected: &[(usize, usize, usize)]| {
            let found = find(&Bytes(old.as_bytes()), &Bytes(new.as_bytes()), thresholds, 9).unwrap();
            let found: Vec<_> = found.iter().map(|copy| (copy.literals, copy.old, copy.len)).collect();
            assert_eq!(found, expected, "{old:?} {new:?}");
        };
        check("", "", OF_RECORDS, &[]);
        check("", "abcdef", OF_RECORDS, &[]);
        check("abcdef", "", OF_RECORDS, &[]);
        check("abcdef", "abcdef", OF_RECORDS, &[(0, 0, 6)]);
        // Inserted, removed, replaced.
        check("abcdef", "abcXYdef", OF_RECORDS, &[(0, 0, 3), (2, 3, 3)]);
        check("abcXYdef", "abcdef", OF_RECORDS, &[(0, 0, 3), (0, 5, 3)]);
        check("abcdef", "abXdef", OF_RECORDS, &[(0, 0, 2), (1, 3, 3)]);
        // From far away, and backwards from where the window begins.
        let alphabet = "abcdefghijklmnopqrstuvwxyz".repeat(2);
        check(&format!("{alphabet}0123456789"), "__23456789", OF_RECORDS, &[(2, 54, 8)]);
        let text = "a text that is long enough for a window of text, and for two";
        check(&format!("{alphabet}{text}"), text, OF_BYTES, &[(0, 52, text.len())]);
        check("abcdef", "xabcyf", OF_BYTES, &[(5, 5, 1)]);
    }

    #[test]
    fn too_many_ranges_are_an_error() {
        let (old, new) = ("a-b-c-d-", "a+b+c+d+");
        assert!(find(&Bytes(old.as_bytes()), &Bytes(new.as_bytes()), OF_RECORDS, 3).is_err());
        assert_eq!(find(&Bytes(old.as_bytes()), &Bytes(new.as_bytes()), OF_RECORDS, 4).unwrap().len(), 4);
    }
}
