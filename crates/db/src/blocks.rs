//! A cache of decompressed blocks of details: an image's findings share many of them.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Most bytes of cached blocks. The cache is emptied when it is full, so that there is no order of use to maintain.
const MAX_BYTES: usize = 4 << 20;

/// Decompressed blocks by their index.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    blocks: HashMap<u32, Arc<Vec<u8>>>,
    bytes: usize,
}

impl Blocks {
    /// A cached block, or the result of `inflate`.
    pub(crate) fn get(&self, index: u32, inflate: impl FnOnce() -> Option<Vec<u8>>) -> Option<Arc<Vec<u8>>> {
        let known = self.0.lock().blocks.get(&index).cloned();
        if known.is_some() {
            return known;
        }
        let block = Arc::new(inflate()?);
        let mut cached = self.0.lock();
        if cached.bytes.saturating_add(block.len()) > MAX_BYTES {
            *cached = Cached::default();
        }
        if block.len() <= MAX_BYTES && cached.blocks.insert(index, Arc::clone(&block)).is_none() {
            cached.bytes += block.len();
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded() {
        let blocks = Blocks::default();
        let check = |index: u32, size: usize, inflated: bool| {
            let mut asked = false;
            let block = blocks.get(index, || {
                asked = true;
                Some(vec![0; size])
            });
            assert_eq!((block.unwrap().len(), asked), (size, inflated), "{index}");
        };
        check(1, 10, true);
        check(1, 10, false);
        check(2, MAX_BYTES - 10, true);
        check(1, 10, false);
        check(3, 1, true);
        check(1, 10, true);
        check(4, MAX_BYTES + 1, true);
        check(4, MAX_BYTES + 1, true);
        assert!(blocks.get(9, || None).is_none());
    }
}
