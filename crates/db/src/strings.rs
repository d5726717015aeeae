//! The string table of a file as it is written: each text once, found again by its hash.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

/// A place without a string.
const FREE: u32 = u32::MAX;

/// The texts, each behind its length. A map of owned texts would need several times the memory.
#[derive(Debug)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    /// Offsets of texts, at the place of their hash or the next free one. At most half of the places are taken.
    places: Vec<u32>,
    count: usize,
}

impl Strings {
    pub(crate) fn new() -> Self {
        Strings { bytes: Vec::new(), places: vec![FREE; 1 << 10], count: 0 }
    }

    /// The table as stored.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The offset of a text, which is added if it is new; `None` when it is longer than 64 KiB or the table than `max`.
    pub(crate) fn intern(&mut self, text: &str, max: u32) -> Option<u32> {
        let len = u16::try_from(text.len()).ok()?;
        let place = self.place(text.as_bytes());
        let known = self.places.get(place).copied().filter(|offset| *offset != FREE);
        if known.is_some() {
            return known;
        }
        let offset = u32::try_from(self.bytes.len()).ok().filter(|offset| *offset <= max)?;
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self.set(place, offset);
        self.count += 1;
        if self.count * 2 > self.places.len() {
            self.grow();
        }
        Some(offset)
    }

    /// Where the text is, or the free place where it belongs.
    fn place(&self, text: &[u8]) -> usize {
        let mask = self.places.len() - 1;
        let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(text);
        let mut place = usize::try_from(hash & mask as u64).unwrap_or_default();
        while let Some(offset) = self.places.get(place).filter(|offset| **offset != FREE) {
            if self.text(*offset) == text {
                break;
            }
            place = (place + 1) & mask;
        }
        place
    }

    fn text(&self, offset: u32) -> &[u8] {
        let at = offset as usize;
        let Some([a, b]) = self.bytes.get(at..at + 2) else { return &[] };
        self.bytes.get(at + 2..at + 2 + usize::from(u16::from_le_bytes([*a, *b]))).unwrap_or_default()
    }

    fn set(&mut self, place: usize, offset: u32) {
        if let Some(slot) = self.places.get_mut(place) {
            *slot = offset;
        }
    }

    fn grow(&mut self) {
        let doubled = vec![FREE; self.places.len() * 2];
        for offset in std::mem::replace(&mut self.places, doubled).into_iter().filter(|offset| *offset != FREE) {
            let place = self.place(self.text(offset));
            self.set(place, offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_stored_once() {
        let mut strings = Strings::new();
        let text = |number: usize| format!("text {number}");
        let offsets: Vec<u32> = (0..5000).map(|n| strings.intern(&text(n), u32::MAX - 1).unwrap()).collect();
        let len = strings.bytes().len();
        for (number, offset) in offsets.iter().enumerate() {
            assert_eq!(strings.intern(&text(number), u32::MAX - 1), Some(*offset), "{number}");
            assert_eq!(strings.text(*offset), text(number).as_bytes());
        }
        assert_eq!(strings.bytes().len(), len);
        assert_eq!(strings.intern("", 1 << 30).map(|offset| strings.text(offset)), Some(&b""[..]));
        assert_eq!(strings.intern(&"x".repeat(1 << 16), u32::MAX - 1), None);
        assert_eq!(strings.intern("new", 10), None);
    }
}
