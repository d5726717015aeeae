//! Hashes of paths and of all directories above them, in one pass over the bytes: a layer of deep paths must not cost
//! the square of their length.

use std::hash::{BuildHasher, RandomState};

/// 2^61 - 1, a prime.
const MODULUS: u64 = (1 << 61) - 1;

/// A polynomial over a prime field at a random point: two different paths collide with a chance of length / 2^61,
/// whatever an image's maker chooses, because the point is drawn anew for each scan.
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
        PathHash { point: point % (MODULUS - 512) + 256 }
    }

    /// What [`PathHash::at`] makes the same hash of.
    pub(crate) fn point(&self) -> u64 {
        self.point - 256
    }

    /// The hash of a path.
    pub(crate) fn of(&self, path: &str) -> u64 {
        path.bytes().fold(0, |hash, byte| self.step(hash, byte))
    }

    /// The hashes of the directories above a path, nearest first, and of the path itself.
    pub(crate) fn with_parents(&self, path: &str) -> (u64, Vec<u64>) {
        let mut parents = Vec::new();
        let mut hash = 0;
        for byte in path.bytes() {
            if byte == b'/' {
                parents.push(hash);
            }
            hash = self.step(hash, byte);
        }
        parents.reverse();
        (hash, parents)
    }

    fn step(&self, hash: u64, byte: u8) -> u64 {
        let product = u128::from(hash) * u128::from(self.point) + u128::from(byte) + 1;
        // 2^61 is 1 here, so the high part is simply added.
        let low = u64::try_from(product & u128::from(MODULUS)).unwrap_or_default();
        let high = u64::try_from(product >> 61).unwrap_or_default();
        (low + high) % MODULUS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_have_the_hash_of_their_own_path() {
        let hash = PathHash::new();
        let (own, parents) = hash.with_parents("usr/lib/x");
        assert_eq!(own, hash.of("usr/lib/x"));
        assert_eq!(parents, [hash.of("usr/lib"), hash.of("usr")]);
        assert_ne!(hash.of("a"), hash.of("b"));
    }
}
