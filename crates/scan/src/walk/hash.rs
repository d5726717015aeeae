//! Hashes of paths and of all directories above them, in one pass over the bytes: a layer of deep paths must not cost
//! the square of their length.

use std::hash::{BuildHasher, Hasher, RandomState};

/// 2^61 - 1, a prime.
const MODULUS: u64 = (1 << 61) - 1;
/// Bytes of a name that are taken together: with their number above them they are smaller than the modulus.
const WORD: usize = 7;
/// Above the bytes of a word: how many they are, and whether a name ends with them.
const COUNT: u32 = 56;
const END: u64 = 1 << 59;

/// A polynomial over a prime field at a random point: two different paths collide with a chance of length / 2^61,
/// whatever an image's maker chooses, because the point is drawn anew for each scan. A general hash (SipHash, foldhash)
/// would have to hash each directory of a path from its beginning.
///
/// The coefficients are words of up to seven bytes with their number; the last word of each name is marked. Paths and
/// lists of words correspond one to one, so that different paths are different polynomials.
#[derive(Debug, Clone)]
pub(crate) struct PathHash {
    point: u64,
}

impl PathHash {
    pub(crate) fn new() -> Self {
        // The standard library's only source of randomness.
        Self::at(RandomState::new().hash_one(0))
    }

    /// The hash at a point that was drawn before.
    pub(crate) fn at(point: u64) -> Self {
        // At 0 only the last word of a path would count, at 1 only the sum of its words: neither is ever drawn.
        PathHash { point: point % (MODULUS - 512) + 256 }
    }

    /// The point from which [`PathHash::at`] makes the same hash.
    pub(crate) fn point(&self) -> u64 {
        self.point - 256
    }

    /// The hash of a path.
    pub(crate) fn of(&self, path: &str) -> u64 {
        self.names(path).last().unwrap_or_default()
    }

    /// The hash of a path; `parents` becomes those of the directories above it, nearest first.
    pub(crate) fn with_parents(&self, path: &str, parents: &mut Vec<u64>) -> u64 {
        parents.clear();
        parents.extend(self.names(path));
        let own = parents.pop().unwrap_or_default();
        parents.reverse();
        own
    }

    /// The hashes of the path up to each of its names.
    fn names(&self, path: &str) -> impl Iterator<Item = u64> {
        path.as_bytes().split(|byte| *byte == b'/').scan(0, |hash, name| {
            *hash = self.with_name(*hash, name);
            Some(*hash)
        })
    }

    fn with_name(&self, mut hash: u64, name: &[u8]) -> u64 {
        let mut words = name.chunks_exact(WORD);
        for word in &mut words {
            hash = self.step(hash, coefficient(word));
        }
        // Empty where the name ends with a whole word.
        self.step(hash, coefficient(words.remainder()) | END)
    }

    fn step(&self, hash: u64, coefficient: u64) -> u64 {
        let product = u128::from(hash) * u128::from(self.point) + u128::from(coefficient);
        // 2^61 is 1 here, so the high part is simply added.
        let low = u64::try_from(product & u128::from(MODULUS)).unwrap_or_default();
        let high = u64::try_from(product >> 61).unwrap_or_default();
        let sum = low + high;
        // Both parts are below the modulus or equal to it: one subtraction is enough.
        if sum >= MODULUS { sum - MODULUS } else { sum }
    }
}

/// Up to seven bytes as one number, never zero with what marks it.
fn coefficient(bytes: &[u8]) -> u64 {
    let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    value | (bytes.len() as u64) << COUNT
}

/// The hasher of sets of path hashes, which are random already.
#[derive(Debug, Default, Clone)]
pub(crate) struct PathSetHasher(u64);

impl Hasher for PathSetHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        // Path hashes have 61 bits, and hash sets use the highest ones of 64 too.
        self.0 = value | value << 61;
    }
}

/// A set of path hashes.
pub(crate) type PathSet = std::collections::HashSet<u64, std::hash::BuildHasherDefault<PathSetHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_have_the_hash_of_their_own_path() {
        let hash = PathHash::new();
        let mut parents = vec![1];
        let own = hash.with_parents("usr/lib/x86_64-linux-gnu/x", &mut parents);
        assert_eq!(own, hash.of("usr/lib/x86_64-linux-gnu/x"));
        assert_eq!(parents, [hash.of("usr/lib/x86_64-linux-gnu"), hash.of("usr/lib"), hash.of("usr")]);
    }

    #[test]
    fn different_paths_differ() {
        let hash = PathHash::new();
        let long = |n: usize| "x".repeat(n);
        let mut paths: Vec<String> = (1..40).map(long).collect();
        paths.extend((1..40).map(|n| long(n) + "/x"));
        paths.extend(
            ["a", "b", "a/b", "ab", "a\0", "a\0/b", "1234567", "1234567/", "1234567/8", "12345678"].map(str::to_owned),
        );
        let all: PathSet = paths.iter().map(|path| hash.of(path)).collect();
        assert_eq!(all.len(), paths.len());
    }
}
