//! Where a layer has entries that are not kept, and in which order they came: a hash and a number for each.

/// Paths by their hash, each with its place in the tar.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    hashes: Vec<u64>,
    places: Vec<u32>,
}

impl Marks {
    pub(crate) fn push(&mut self, hash: u64, place: u32) {
        self.hashes.push(hash);
        self.places.push(place);
    }

    /// Sorts; look-ups before that find nothing reliable.
    pub(crate) fn seal(&mut self) {
        let mut both: Vec<(u64, u32)> = self.hashes.drain(..).zip(self.places.drain(..)).collect();
        both.sort_unstable();
        (self.hashes, self.places) = both.into_iter().unzip();
        self.hashes.shrink_to_fit();
        self.places.shrink_to_fit();
    }

    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.hashes.iter().copied().zip(self.places.iter().copied())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether the path has an entry.
    pub(crate) fn contains(&self, hash: u64) -> bool {
        self.hashes.binary_search(&hash).is_ok()
    }

    /// Whether the path has an entry after place `after` and before place `before`.
    pub(crate) fn between(&self, hash: u64, after: u32, before: u32) -> bool {
        let from = self.hashes.partition_point(|h| *h < hash);
        let same = self.hashes.iter().zip(&self.places).skip(from).take_while(|(h, _)| **h == hash);
        // In order within one path, so that one of many duplicates is enough.
        let mut later = same.map(|(_, place)| *place).skip_while(|place| *place <= after);
        later.next().is_some_and(|place| place < before)
    }
}
