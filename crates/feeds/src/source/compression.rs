//! Compressed files as streams. Each decoder reads appended streams one after the other, as mirrors write them, reports a file
//! that is cut short as an error, and needs no more memory than [`WINDOW_BYTES`] and its own tables.

use std::io::{self, BufRead, BufReader, Read};

/// Most memory for what a decoder looks back at: 128 MiB, as `zstd --long` and twice as much as `xz -9` need. A file says
/// itself how much it wants, up to 4 GiB, so without a limit it would decide about our memory.
const WINDOW_BYTES: u32 = 1 << 27;

/// A form of compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Bzip2,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// By the end of a file's name, which comes first: what is before it names the content.
    pub(super) fn named(name: &str) -> Option<(&str, Self)> {
        let forms = [
            (".bz2", Compression::Bzip2),
            (".gz", Compression::Gzip),
            (".xz", Compression::Xz),
            (".zst", Compression::Zstd),
        ];
        forms.into_iter().find_map(|(suffix, form)| Some((name.strip_suffix(suffix)?, form)))
    }

    /// What `compressed` holds.
    ///
    /// # Errors
    /// When no decoder can be made; reading fails when the content is damaged, cut short or wants too much memory.
    pub(super) fn content<'a>(self, compressed: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(compressed)),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(compressed)),
            Compression::Xz => Box::new(xz(compressed)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(compressed)?;
                decoder.window_log_max(WINDOW_BYTES.ilog2())?;
                Box::new(decoder)
            }
        })
    }
}

/// The decoder asks for single bytes at block borders, and reads from a buffer as large as a file's.
fn xz(compressed: impl BufRead) -> impl Read {
    let reader = lzma_rust2::XzReader::new_mem_limit(compressed, true, WINDOW_BYTES >> 10);
    BufReader::with_capacity(super::BUFFER, reader)
}
