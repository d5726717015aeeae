//! SQLite's write-ahead log (`fileformat2.html`, "The Write-Ahead Log"): frames of whole pages, each with a checksum
//! over all before it. Those up to the last commit belong to the database; the last frame of a page counts.

use std::collections::BTreeMap;
use tidewaiter_archive::bytes::{be32, slice};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
// The byte order of the words that the checksums add; all else is big-endian.
const LITTLE: u32 = 0x377f_0682;
const BIG: u32 = 0x377f_0683;
// The one version of the format: that of SQLite 3.7.0, the first with logs.
const VERSION: u32 = 3_007_000;

type Cause = &'static str;

/// The pages that a log adds to its database.
#[derive(Debug, Default)]
pub(super) struct WalPages<'a> {
    /// Bytes of a page.
    pub(super) page_size: usize,
    /// Pages by number, as of the last commit.
    pub(super) pages: BTreeMap<u32, &'a [u8]>,
    /// How many pages the database has since then; 0 when nothing is committed.
    pub(super) count: u32,
    /// The damage after the last sound frame.
    pub(super) damage: Option<Cause>,
}

/// Reads a log as SQLite recovers one. A log of zeros is one that was emptied.
pub(super) fn read(bytes: &[u8]) -> Result<WalPages<'_>, Cause> {
    if bytes.iter().all(|b| *b == 0) {
        return Ok(WalPages::default());
    }
    let word = |at: usize| be32(bytes, at).ok_or("the write-ahead log ends within its header");
    let little = match word(0)? {
        LITTLE => true,
        BIG => false,
        _ => return Err("the write-ahead log has no magic number"),
    };
    let (version, size) = (word(4)?, word(8)?);
    if version != VERSION || !(512..=65536).contains(&size) || !size.is_power_of_two() {
        return Err("the write-ahead log is of an unknown form");
    }
    let sums = checksum(little, (0, 0), slice(bytes, 0, 24).unwrap_or_default());
    if sums != (word(24)?, word(28)?) {
        return Err("the checksum of the write-ahead log's header is wrong");
    }
    let mut frames = Frames { bytes, little, sums, salts: (word(16)?, word(20)?), page_size: size as usize };
    Ok(frames.read())
}

struct Frames<'a> {
    bytes: &'a [u8],
    little: bool,
    sums: (u32, u32),
    salts: (u32, u32),
    page_size: usize,
}

impl<'a> Frames<'a> {
    fn read(&mut self) -> WalPages<'a> {
        let mut log = WalPages { page_size: self.page_size, ..WalPages::default() };
        let mut open: Vec<(u32, &[u8])> = Vec::new();
        let mut at = HEADER;
        while let Some(head) = slice(self.bytes, at, FRAME_HEADER) {
            let word = |at: usize| be32(head, at).unwrap_or_default();
            // A log that was begun again is followed by frames of the round before, with other salts.
            if (word(8), word(12)) != self.salts {
                break;
            }
            let Some(page) = slice(self.bytes, at + FRAME_HEADER, self.page_size) else {
                log.damage = Some("the write-ahead log ends within a page");
                break;
            };
            self.sums = checksum(self.little, self.sums, head.get(..8).unwrap_or_default());
            self.sums = checksum(self.little, self.sums, page);
            if self.sums != (word(16), word(20)) || word(0) == 0 {
                log.damage = Some("the checksum of a page of the write-ahead log is wrong");
                break;
            }
            open.push((word(0), page));
            if word(4) != 0 {
                log.pages.extend(open.drain(..));
                log.count = word(4);
            }
            at += FRAME_HEADER + self.page_size;
        }
        log
    }
}

/// Fibonacci-weighted sums over pairs of words.
fn checksum(little: bool, sums: (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let (words, _) = bytes.as_chunks::<4>();
    let word = |w: &[u8; 4]| if little { u32::from_le_bytes(*w) } else { u32::from_be_bytes(*w) };
    words.chunks_exact(2).fold(sums, |(a, b), pair| {
        let (x, y) = (pair.first().map_or(0, word), pair.get(1).map_or(0, word));
        let a = a.wrapping_add(x).wrapping_add(b);
        (a, b.wrapping_add(y).wrapping_add(a))
    })
}
