//! Details as they are written: JSON, several to a block, each block compressed by itself.

use crate::format::{AdvisoryEntry, BLOCK_BYTES, MAX_BLOCK_BYTES};
use std::io;

/// Level of zstd for blocks. Of blocks of 8 KiB, higher ones save a hundredth of the bytes and take ten times as long.
const LEVEL: i32 = 8;

/// Where the details of one advisory or CVE are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetailPosition {
    /// The block, counted from the first one of its packer.
    pub block: u32,
    /// Bytes before it in the block.
    pub offset: u32,
    /// Its bytes.
    pub len: u32,
}

impl DetailPosition {
    /// The same place when other blocks come before its own.
    #[must_use]
    pub fn after(self, blocks: u32) -> Self {
        DetailPosition { block: self.block.saturating_add(blocks), ..self }
    }
}

impl From<DetailPosition> for AdvisoryEntry {
    fn from(position: DetailPosition) -> Self {
        let DetailPosition { block, offset, len } = position;
        AdvisoryEntry { block: block.into(), offset: offset.into(), len: len.into() }
    }
}

/// A compressed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBlock {
    /// One frame of zstd.
    pub bytes: Vec<u8>,
    /// Bytes of its content.
    pub raw_len: u32,
}

/// Fills blocks and compresses them.
pub struct DetailPacker {
    raw: Vec<u8>,
    blocks: u32,
    compressor: zstd::bulk::Compressor<'static>,
}

impl DetailPacker {
    /// A packer without blocks.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn new() -> io::Result<Self> {
        Ok(DetailPacker { raw: Vec::new(), blocks: 0, compressor: compressor()? })
    }

    /// Adds details. Returns their place, and the block if it is full now.
    ///
    /// # Errors
    /// When they are too long for a block.
    pub fn add(&mut self, json: &[u8]) -> io::Result<(DetailPosition, Option<PackedBlock>)> {
        if !fits(json) {
            return Err(io::Error::other(format!("details of {} bytes exceed a block", json.len())));
        }
        let number = |n: usize| u32::try_from(n).map_err(io::Error::other);
        let position = DetailPosition { block: self.blocks, offset: number(self.raw.len())?, len: number(json.len())? };
        self.raw.extend_from_slice(json);
        let full = self.raw.len() >= BLOCK_BYTES;
        Ok((position, if full { self.pack()? } else { None }))
    }

    /// The last block, if it has any content.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn finish(mut self) -> io::Result<Option<PackedBlock>> {
        if self.raw.is_empty() { Ok(None) } else { self.pack() }
    }

    fn pack(&mut self) -> io::Result<Option<PackedBlock>> {
        let raw_len = u32::try_from(self.raw.len()).map_err(io::Error::other)?;
        let bytes = self.compressor.compress(&self.raw)?;
        self.raw.clear();
        self.blocks = self.blocks.saturating_add(1);
        Ok(Some(PackedBlock { bytes, raw_len }))
    }
}

/// What compresses blocks: by the same version of zstd, the same bytes to the same block.
pub(crate) fn compressor() -> io::Result<zstd::bulk::Compressor<'static>> {
    zstd::bulk::Compressor::new(LEVEL)
}

/// Whether details can be stored: a reader refuses blocks that are much larger than usual.
pub fn fits(json: &[u8]) -> bool {
    json.len() <= MAX_BLOCK_BYTES / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_found_at_their_place() {
        let mut packer = DetailPacker::new().unwrap();
        let texts: Vec<String> = (0..900).map(|number| format!("{{\"id\":\"CVE-2024-{number}\"}}")).collect();
        let mut blocks = Vec::new();
        let mut places = Vec::new();
        for text in &texts {
            let (place, block) = packer.add(text.as_bytes()).unwrap();
            places.push(place);
            blocks.extend(block);
        }
        blocks.extend(packer.finish().unwrap());
        assert!(blocks.len() > 1);
        for (text, place) in texts.iter().zip(places) {
            let block = &blocks[place.block as usize];
            let raw = zstd::bulk::decompress(&block.bytes, block.raw_len as usize).unwrap();
            let start = place.offset as usize;
            assert_eq!(&raw[start..start + place.len as usize], text.as_bytes());
        }
        assert!(DetailPacker::new().unwrap().add(&vec![b' '; MAX_BLOCK_BYTES]).is_err());
        assert_eq!(DetailPacker::new().unwrap().finish().unwrap(), None);
    }
}
