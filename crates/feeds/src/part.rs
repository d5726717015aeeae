//! A part: the records of one feed, sorted, as a file that is merged with those of other feeds.
//!
//! ```text
//! documents → Records → PartBuilder: runs on disk → sorted, joined → PART → merge → db::writer
//! ```
//!
//! A part is stored next to the feed's download. It is used again while the download, the feed's configuration and the program
//! are the same, and when the feed cannot be read any more. `docs/adr/0011-parts-of-feeds.md` has the reasons.

mod builder;
mod coding;
mod notices;
pub(crate) mod sort;

pub(crate) use builder::PartBuilder;
pub(crate) use coding::{Decoder, Fact, corrupt, id_of, package_of};

use crate::coverage::RowCounts;
use crate::debian_fixes::DebianFixes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sort::RecordReader;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tidewaiter_core::report::SupportPeriod;
use tidewaiter_db::details::PackedBlock;
use tidewaiter_db::meta::AsOf;

/// The first bytes of every part; the number rises with every change of the layout.
const MAGIC: [u8; 8] = *b"TIDEPT02";
/// Bytes of a checksum.
const SUM: usize = 32;
/// Most bytes of the header: the counts of a few hundred ecosystems take some tens of kilobytes.
const HEADER_BYTES: u64 = 64 << 20;
/// Bytes copied at once.
const BUFFER: usize = 64 << 10;

/// The sections of a part, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartSection {
    /// Compressed blocks of details, as the database has them, each after its lengths.
    Blocks,
    /// Advisories by id: where their details are.
    Advisories,
    /// Rows by (ecosystem, kind of key, package).
    Rows,
    /// The CVEs that advisories name.
    Names,
    /// What is known about CVEs, by CVE.
    Facts,
}

const SECTIONS: usize = 5;

/// What a part says about itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PartHeader {
    /// What it was made from; see [`PartKey`].
    pub(crate) key: String,
    /// Name, format and location of the feed, and what its reader was told: a part of another feed is not used in its place.
    pub(crate) feed: String,
    /// The newest time or day in the records.
    pub(crate) as_of: AsOf,
    /// Advisories and facts.
    pub(crate) records: u64,
    /// Advisories with rows.
    pub(crate) advisories: u32,
    /// Documents that could not be read.
    pub(crate) unreadable: u64,
    /// Records that were read and dropped, by reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Until when releases get security fixes.
    pub(crate) support: Vec<SupportPeriod>,
    /// Rows by ecosystem.
    pub(crate) rows: Vec<(String, u64)>,
    /// Rows without an order of versions, and rows that no image asks for, by the base of their ecosystem.
    pub(crate) left_out: BTreeMap<String, u64>,
    pub(crate) unasked: BTreeMap<String, u64>,
    /// Fixes for Debian's releases, which lower the bounds of other feeds' rows.
    pub(crate) fixes: DebianFixes,
    /// Bytes of each section.
    sections: [u64; SECTIONS],
}

/// Says that what a file holds was the upstream's at this time: its age.
pub(crate) fn set_read(path: &Path, now: Timestamp) -> io::Result<()> {
    let set = |file: &File| file.set_modified(now.into());
    match File::options().write(true).open(path).and_then(|file| set(&file)) {
        // Another user wrote it, who alone may say so; of a copy this one may.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => tidewaiter_io::replace(path, |copy| {
            io::copy(&mut File::open(path)?, copy)?;
            set(copy)
        }),
        done => done,
    }
}

/// When what a file holds was the upstream's last.
pub(crate) fn last_read(path: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    Timestamp::try_from(modified).ok()?.round(jiff::Unit::Second).ok()
}

/// A part on disk.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    pub(crate) header: PartHeader,
    /// Where the first section begins.
    start: u64,
}

impl Part {
    /// The part at `path`, if there is a whole one.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let mut file = BufReader::with_capacity(BUFFER, File::open(path).ok()?);
        let (mut magic, mut sum) = ([0; MAGIC.len()], [0; SUM]);
        file.read_exact(&mut magic).ok().filter(|()| magic == MAGIC)?;
        file.read_exact(&mut sum).ok()?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer).ok()? {
                0 => break,
                n => hash.update(buffer.get(..n)?),
            }
        }
        (<[u8; SUM]>::from(hash.finalize()) == sum).then_some(())?;
        file.seek(SeekFrom::Start((MAGIC.len() + SUM) as u64)).ok()?;
        let mut len = [0; 8];
        file.read_exact(&mut len).ok()?;
        let len = Some(u64::from_le_bytes(len)).filter(|len| *len <= HEADER_BYTES)?;
        let mut json = Vec::new();
        file.by_ref().take(len).read_to_end(&mut json).ok()?;
        let header = serde_json::from_slice(&json).ok()?;
        Some(Part { path: path.to_owned(), header, start: (MAGIC.len() + SUM + 8) as u64 + len })
    }

    /// Its rows by ecosystem.
    pub(crate) fn rows(&self) -> RowCounts {
        self.header.rows.iter().map(|(ecosystem, rows)| (ecosystem.as_str().into(), *rows)).collect()
    }

    /// The records of a section, in order.
    pub(crate) fn records(&self, section: PartSection) -> io::Result<RecordReader> {
        RecordReader::new(self.section(section)?)
    }

    /// Calls `each` with every block of details, in order.
    pub(crate) fn blocks<E: From<io::Error>>(
        &self,
        mut each: impl FnMut(&PackedBlock) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reader = BufReader::with_capacity(BUFFER, self.section(PartSection::Blocks)?);
        let mut block = PackedBlock { bytes: Vec::new(), raw_len: 0 };
        let mut lengths = [0; 8];
        loop {
            match reader.read_exact(&mut lengths) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                other => other?,
            }
            let [a, b, c, d, e, f, g, h] = lengths;
            block.raw_len = u32::from_le_bytes([a, b, c, d]);
            block.bytes.resize(u32::from_le_bytes([e, f, g, h]) as usize, 0);
            reader.read_exact(&mut block.bytes)?;
            each(&block)?;
        }
    }

    fn section(&self, section: PartSection) -> io::Result<io::Take<File>> {
        let before: u64 = self.header.sections.iter().take(section as usize).sum();
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.start + before))?;
        let len = self.header.sections.get(section as usize).copied().unwrap_or_default();
        Ok(file.take(len))
    }
}

/// Writes a part to `path`, which is replaced as a whole. The sections are files that are read from their beginning.
fn write(path: &Path, header: &mut PartHeader, sections: &mut [File; SECTIONS]) -> io::Result<()> {
    for (file, len) in sections.iter_mut().zip(&mut header.sections) {
        *len = file.stream_position()?;
        file.rewind()?;
    }
    let json = serde_json::to_vec(header)?;
    tidewaiter_io::replace(path, |out| write_file(out, &json, sections))
}

/// Writes the header and the sections, and before them their checksum.
fn write_file(out: &mut File, header: &[u8], sections: &mut [File; SECTIONS]) -> io::Result<()> {
    let mut hash = Sha256::new();
    out.write_all(&MAGIC)?;
    out.write_all(&[0; SUM])?;
    let mut both = |bytes: &[u8]| {
        hash.update(bytes);
        out.write_all(bytes)
    };
    both(&(header.len() as u64).to_le_bytes())?;
    both(header)?;
    let mut buffer = vec![0; BUFFER];
    for file in sections {
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => both(buffer.get(..n).unwrap_or_default())?,
            }
        }
    }
    out.seek(SeekFrom::Start(MAGIC.len() as u64))?;
    out.write_all(&hash.finalize())
}
