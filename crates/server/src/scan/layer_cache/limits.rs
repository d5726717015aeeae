//! What of the cache stays and what goes, by numbers alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

/// How long an entry stays that no scan uses. Namespaces that are gone use none.
pub(super) const UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an empty file in `fresh` stays: longer than a worker lives, so that none has it open and writes where nobody looks.
const LINGER: Duration = Duration::from_secs(20 * 60);
/// Bytes in `fresh` of one namespace that its workers leave behind in a second: eight of the largest entries.
const FRESH_BYTES: u64 = 8 * tidewaiter_scan::cache::SHARED_ENTRY_BYTES;
/// Names in `fresh` of one namespace: more than its images have layers that are read at the same time.
pub(super) const FRESH_NAMES: usize = 4096;
/// The part of the volume that the cache leaves free for the store and the database, and the most of it.
const RESERVE: (u64, u64) = (20, 512 << 20);

/// The file system of the cache, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VolumeSpace {
    pub(super) size: u64,
    pub(super) free: u64,
}

/// What the cache may take that takes `used` bytes now: less than its limit where the volume is nearly full.
pub(super) fn allowed(limit: u64, used: u64, volume: VolumeSpace) -> u64 {
    let (part, most) = RESERVE;
    let reserve = (volume.size / part).min(most);
    limit.min(used.saturating_add(volume.free).saturating_sub(reserve))
}

/// A file that workers write.
#[derive(Debug, Clone, Copy)]
pub(super) struct FreshFile {
    pub(super) bytes: u64,
    /// Whether a process says that it writes it.
    pub(super) is_locked: bool,
    /// Whether it is named as an entry is.
    pub(super) is_named: bool,
    /// Since it was written.
    pub(super) age: Duration,
}

/// What all such files of a namespace take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FreshSum {
    pub(super) bytes: u64,
    pub(super) names: usize,
}

/// What becomes of a file that workers write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FreshStep {
    Keep,
    /// It is copied to `sealed`, if it is whole, and emptied.
    Seal,
    /// Not deleted: a worker that has it open would fill a file that has no name.
    Empty,
    Delete,
}

/// Decides about a file in `fresh`; `all` is of its namespace.
pub(super) fn fresh_step(file: FreshFile, all: FreshSum) -> FreshStep {
    match file {
        FreshFile { bytes: 0, age, .. } if age > LINGER || all.names > FRESH_NAMES => FreshStep::Delete,
        FreshFile { bytes: 0, .. } => FreshStep::Keep,
        // Whatever it says of itself: nothing that scans do takes so much.
        _ if all.bytes > FRESH_BYTES => FreshStep::Empty,
        FreshFile { is_locked: true, .. } => FreshStep::Keep,
        FreshFile { is_named: true, .. } => FreshStep::Seal,
        _ => FreshStep::Empty,
    }
}

/// An entry that scans use.
#[derive(Debug, Clone, Copy)]
pub(super) struct SealedFile {
    /// Number of its namespace.
    pub(super) owner: usize,
    pub(super) bytes: u64,
    /// Since it was used.
    pub(super) age: Duration,
}

/// The indexes of the entries that go: those that nobody uses; and where the rest takes more than `allowed`, the least recently
/// used of the namespace that takes the most, until a tenth is free. So no namespace takes another one's share.
pub(super) fn evicted(entries: &[SealedFile], allowed: u64) -> Vec<usize> {
    let (mut gone, mut kept): (Vec<usize>, Vec<usize>) =
        (0..entries.len()).partition(|index| entries.get(*index).is_none_or(|entry| entry.age > UNUSED));
    let of = |index: &usize| entries.get(*index).copied();
    kept.sort_by_key(|index| Reverse(of(index).map(|entry| entry.age)));
    let mut owners: BTreeMap<usize, (u64, VecDeque<usize>)> = BTreeMap::new();
    for (index, entry) in kept.iter().filter_map(|index| Some((*index, of(index)?))) {
        let (bytes, all) = owners.entry(entry.owner).or_default();
        *bytes += entry.bytes;
        all.push_back(index);
    }
    let mut total: u64 = owners.values().map(|(bytes, _)| bytes).sum();
    if total <= allowed {
        return gone;
    }
    let mut largest: BinaryHeap<(u64, VecDeque<usize>)> = owners.into_values().collect();
    while total > allowed - allowed / 10
        && let Some((bytes, mut all)) = largest.pop()
    {
        let Some(index) = all.pop_front() else { continue };
        let freed = of(&index).map_or(0, |entry| entry.bytes);
        total -= freed;
        gone.push(index);
        largest.push((bytes - freed, all));
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_gives_way_before_the_volume_is_full() {
        let check = |limit: u64, used: u64, size: u64, free: u64, expected: u64| {
            assert_eq!(allowed(limit, used, VolumeSpace { size, free }), expected, "{limit} {used} {size} {free}");
        };
        const GIB: u64 = 1 << 30;
        check(2 * GIB, 0, 10 * GIB, 9 * GIB, 2 * GIB);
        check(2 * GIB, 2 * GIB, 10 * GIB, 5 * GIB, 2 * GIB);
        // Half a GiB is left free.
        check(2 * GIB, GIB, 10 * GIB, GIB, GIB + GIB / 2);
        check(2 * GIB, GIB, 10 * GIB, 0, GIB / 2);
        check(2 * GIB, 0, 10 * GIB, 0, 0);
        // Of a large one no more than that, of a small one a twentieth.
        check(2 * GIB, GIB, 10_000 * GIB, GIB / 2, GIB);
        check(200, 0, 100, 100, 95);
        check(2 * GIB, 10, 100, 0, 5);
        check(0, GIB, 10 * GIB, 9 * GIB, 0);
    }

    #[test]
    fn what_workers_write_is_sealed_or_emptied() {
        let young = Duration::from_secs(1);
        let check = |bytes: u64, is_locked: bool, is_named: bool, age: Duration, all: FreshSum, expected: FreshStep| {
            let file = FreshFile { bytes, is_locked, is_named, age };
            assert_eq!(fresh_step(file, all), expected, "{file:?} {all:?}");
        };
        let few = FreshSum { bytes: 100, names: 3 };
        check(100, false, true, young, few, FreshStep::Seal);
        check(100, true, true, young, few, FreshStep::Keep);
        check(100, false, false, young, few, FreshStep::Empty);
        // The lock of a layer that is being read.
        check(0, true, true, young, few, FreshStep::Keep);
        check(0, false, true, young, few, FreshStep::Keep);
        check(0, false, true, LINGER * 2, few, FreshStep::Delete);
        // A worker that fills its directory, whatever it locks.
        let much = FreshSum { bytes: FRESH_BYTES + 1, names: 3 };
        check(100, true, true, young, much, FreshStep::Empty);
        check(100, false, true, young, much, FreshStep::Empty);
        check(0, true, true, young, much, FreshStep::Keep);
        let many = FreshSum { bytes: 0, names: FRESH_NAMES + 1 };
        check(0, false, true, young, many, FreshStep::Delete);
        check(0, true, true, young, many, FreshStep::Delete);
        check(100, true, true, young, many, FreshStep::Keep);
    }

    #[test]
    fn the_least_recently_used_of_the_largest_namespace_go() {
        // (namespace, bytes, days since it was used)
        let check = |entries: &[(usize, u64, u64)], allowed: u64, expected: &[usize]| {
            let all = entries.iter().map(|(owner, bytes, days)| SealedFile {
                owner: *owner,
                bytes: *bytes,
                age: Duration::from_secs(days * 24 * 3600),
            });
            let mut found = evicted(&all.collect::<Vec<_>>(), allowed);
            found.sort_unstable();
            assert_eq!(found, expected, "{entries:?} {allowed}");
        };
        check(&[], 0, &[]);
        check(&[(0, 50, 1), (0, 50, 2)], 100, &[]);
        check(&[(0, 50, 1), (0, 50, 2)], 99, &[1]);
        check(&[(0, 50, 1), (0, 50, 2)], 0, &[0, 1]);
        // A tenth more than needed, so that it is not done again for the next entry.
        check(&[(0, 10, 1), (0, 10, 2), (0, 90, 3)], 105, &[2]);
        check(&[(0, 5, 1), (0, 5, 2), (0, 100, 0)], 109, &[0, 1, 2]);
        // The small namespace keeps what it used long ago.
        check(&[(0, 10, 6), (1, 50, 1), (1, 50, 2)], 100, &[2]);
        check(&[(0, 60, 6), (1, 50, 1), (1, 20, 2)], 120, &[0, 2]);
        // What nobody uses goes, with room too; and counts no more.
        check(&[(0, 10, 8), (0, 10, 6)], 1000, &[0]);
        check(&[(0, 100, 8), (1, 50, 6)], 50, &[0]);
    }
}
