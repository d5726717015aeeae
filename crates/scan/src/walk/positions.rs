//! Where a layer has entries that are not recorded, and in which order: a hash and a number for each.

/// Paths by their hash, each with its position in the tar.
///
/// Two vectors and not one of pairs: a pair of `u64` and `u32` would be padded to 16 bytes, and a layer may have four
/// million entries.
#[derive(Debug, Default)]
pub(crate) struct EntryPositions {
    hashes: Vec<u64>,
    positions: Vec<u32>,
}

impl EntryPositions {
    pub(crate) fn push(&mut self, hash: u64, position: u32) {
        self.hashes.push(hash);
        self.positions.push(position);
    }

    /// Sorts by hash, then position. Look-ups before that find nothing reliable.
    pub(crate) fn sort(&mut self) {
        let mut both: Vec<(u64, u32)> = self.hashes.drain(..).zip(self.positions.drain(..)).collect();
        both.sort_unstable();
        (self.hashes, self.positions) = both.into_iter().unzip();
        self.hashes.shrink_to_fit();
        self.positions.shrink_to_fit();
    }

    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.hashes.iter().copied().zip(self.positions.iter().copied())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether the path has an entry.
    pub(crate) fn contains(&self, hash: u64) -> bool {
        self.hashes.binary_search(&hash).is_ok()
    }

    /// Whether the path has an entry after position `after` and before position `before`.
    pub(crate) fn between(&self, hash: u64, after: u32, before: u32) -> bool {
        let from = self.hashes.partition_point(|h| *h < hash);
        let same = self.hashes.iter().zip(&self.positions).skip(from).take_while(|(h, _)| **h == hash);
        // In order within one path, so that one of many duplicates is enough.
        let mut later = same.map(|(_, position)| *position).skip_while(|position| *position <= after);
        later.next().is_some_and(|position| position < before)
    }
}
