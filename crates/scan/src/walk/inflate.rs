//! Decompression by the first bytes, as runtimes do, because media types are often wrong. In the end the diff ID proves
//! that the layer was decompressed as its maker meant it.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, Read};

/// 128 MiB: what `zstd --long` writes; more would let a layer choose our memory.
const MAX_WINDOW_LOG: u32 = 27;

/// The uncompressed bytes of a layer; `None` where it is stored as it is.
pub(super) fn reader<'a>(stored: &'a mut impl BufRead) -> io::Result<Option<Box<dyn Read + 'a>>> {
    let head = stored.fill_buf()?;
    // gzip with DEFLATE, the only method there is (RFC 1952).
    if head.starts_with(&[0x1f, 0x8b, 0x08]) {
        // All members: `pigz` and concatenated layers have several, and runtimes unpack them all.
        return Ok(Some(Box::new(MultiGzDecoder::new(stored))));
    }
    if is_zstd(head) {
        let mut decoder = zstd::Decoder::with_buffer(stored)?;
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        return Ok(Some(Box::new(decoder)));
    }
    Ok(None)
}

/// A frame, or a skippable one before it (RFC 8878).
fn is_zstd(head: &[u8]) -> bool {
    match head {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => true,
        [first, 0x2a, 0x4d, 0x18, ..] => first & 0xf0 == 0x50,
        _ => false,
    }
}
