//! Makes a part: sorts the records of a feed on disk, joins those of one advisory, and packs their details.

use super::coding::{self, Decoder, Fact, PackedRow};
use super::notices::SingleFixes;
use super::sort::{RecordWriter, Sorter};
use super::{Part, PartHeader, SECTIONS};
use crate::combine;
use crate::coverage::RowCounts;
use crate::format::Records;
use crate::rpm_modules::KnownStreams;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use tidewaiter_core::advisory::{Advisory, Affected, Interval, IntervalEnd, ModuleScope};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::version::VersionScheme;
use tidewaiter_db::details::{self, DetailPacker, DetailPosition, PackedBlock};

/// Bytes of records in memory, of each kind. Four feeds are read at the same time, so it counts four times.
const ADVISORY_BYTES: usize = 24 << 20;
const ROW_BYTES: usize = 24 << 20;
const FACT_BYTES: usize = 8 << 20;
const NAME_BYTES: usize = 4 << 20;
/// What the format of databases cannot hold: more intervals of a row, and longer texts (`db::writer`).
const MAX_INTERVALS: usize = u16::MAX as usize;
const MAX_TEXT: usize = u16::MAX as usize;

/// Collects the records of one feed.
pub(crate) struct PartBuilder {
    folder: PathBuf,
    header: PartHeader,
    advisories: Sorter,
    names: Sorter,
    facts: Sorter,
    streams: KnownStreams,
    single: SingleFixes,
    /// Reused.
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    key: Vec<u8>,
    value: Vec<u8>,
    content: Vec<u8>,
}

/// Which records of a key are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    All,
    EachOnce,
}

/// Whether the rows of an advisory are as they will be stored.
const FINAL: u8 = 0;
/// Streams of modules are derived when all records are known; then rows may be dropped.
const UNNAMED: u8 = 1;

impl PartBuilder {
    /// A builder whose temporary files are in `folder`, without names.
    pub(crate) fn new(folder: &Path) -> Self {
        PartBuilder {
            folder: folder.to_owned(),
            header: PartHeader::default(),
            advisories: Sorter::new(folder, ADVISORY_BYTES),
            names: Sorter::new(folder, NAME_BYTES),
            facts: Sorter::new(folder, FACT_BYTES),
            streams: KnownStreams::default(),
            single: SingleFixes::default(),
            buffers: Buffers::default(),
        }
    }

    /// Adds records, which are empty afterwards.
    pub(crate) fn add(&mut self, records: &mut Records) -> io::Result<()> {
        let Records { advisories, exploited, ratings, epss, published, support, skipped, as_of } =
            std::mem::take(records);
        for (cve, ratings) in ratings {
            self.fact(&cve, &Fact::Ratings(ratings))?;
        }
        for (cve, date) in exploited {
            self.fact(&cve, &Fact::Exploited(date))?;
        }
        for (cve, epss) in epss {
            self.fact(&cve, &Fact::Epss(epss))?;
        }
        // Not counted as records: NVD, whose days they are, counts its ratings.
        for (cve, day) in published {
            self.facts.add(cve.as_bytes(), &Fact::Published(day).encode()?)?;
        }
        self.header.records += support.len() as u64;
        self.header.support.extend(support);
        for (reason, count) in skipped {
            *self.header.skipped.entry(reason).or_default() += count;
        }
        self.header.as_of.advance(as_of.as_str());
        advisories.into_iter().try_for_each(|advisory| self.advisory(advisory))
    }

    /// Counts a document that could not be read.
    pub(crate) fn unreadable(&mut self) {
        self.header.unreadable += 1;
    }

    /// Whether it has no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.header.records == 0 && self.advisories.is_empty()
    }

    /// How many documents could not be read.
    pub(crate) fn count_unreadable(&self) -> u64 {
        self.header.unreadable
    }

    fn fact(&mut self, cve: &str, fact: &Fact) -> io::Result<()> {
        self.header.records += 1;
        self.facts.add(cve.as_bytes(), &fact.encode()?)
    }

    fn advisory(&mut self, mut advisory: Advisory) -> io::Result<()> {
        self.header.as_of.advance(&advisory.modified);
        if let Some((cves, ratings)) = combine::rated(&advisory) {
            let fact = Fact::Ratings(ratings).encode()?;
            cves.into_iter().try_for_each(|cve| self.facts.add(cve.as_bytes(), &fact))?;
        }
        for row in &advisory.affected {
            self.header.fixes.learn(&advisory.id, row);
            self.streams.learn(row);
        }
        let is_unnamed = advisory.affected.iter().any(|row| row.module == ModuleScope::Unnamed);
        if !is_unnamed {
            self.drop_rows(&mut advisory.affected);
        }
        if !advisory.affected.iter().any(|row| is_kept(&row.ecosystem)) {
            self.drop_rows(&mut advisory.affected);
            self.header.records += 1;
            return Ok(());
        }
        self.single.learn(&advisory);
        let details = serde_json::to_vec(&advisory)?;
        if !details::fits(&details) || !advisory.affected.iter().all(fits) {
            self.skip("exceeds the limits of the database");
            self.unreadable();
            return Ok(());
        }
        for cve in std::iter::once(&advisory.id).chain(&advisory.aliases).chain(&advisory.upstream) {
            if cve.starts_with("CVE-") {
                self.names.add(cve.as_bytes(), &[])?;
            }
        }
        let Buffers { key, value, content } = &mut self.buffers;
        key.clear();
        value.clear();
        coding::advisory_key(key, &advisory.id, release(&advisory.affected));
        value.push(if is_unnamed { UNNAMED } else { FINAL });
        coding::bytes(value, &details);
        advisory.affected.iter().for_each(|row| coding::row(value, row, content));
        self.advisories.add(key, value)
    }

    /// Drops rows that are not stored, and counts them.
    fn drop_rows(&mut self, rows: &mut Vec<Affected>) {
        for row in rows.extract_if(.., |row| !is_kept(&row.ecosystem)) {
            let has_order = row.ecosystem.version_scheme().is_some();
            let dropped = if has_order { &mut self.header.unasked } else { &mut self.header.left_out };
            *dropped.entry(row.ecosystem.base().to_string()).or_default() += 1;
        }
    }

    /// Writes the part to `path`. `key` says what it was made from, `feed` of which feed it is.
    pub(crate) fn finish(mut self, path: &Path, key: &str, feed: &str) -> io::Result<Part> {
        key.clone_into(&mut self.header.key);
        feed.clone_into(&mut self.header.feed);
        let none = || Sorter::new(&self.folder, 0);
        let [sorted, names, facts] =
            [&mut self.advisories, &mut self.names, &mut self.facts].map(|sorter| std::mem::replace(sorter, none()));
        let names = self.copy(names, Copied::EachOnce)?;
        let facts = self.copy(facts, Copied::All)?;
        let (blocks, advisories, rows) = self.join(sorted)?;
        let mut sections: [File; SECTIONS] = [blocks, advisories, rows, names, facts];
        super::write(path, &mut self.header, &mut sections)?;
        Part::open(path).ok_or_else(coding::corrupt)
    }

    /// Writes the sorted records to one file.
    fn copy(&self, sorter: Sorter, copied: Copied) -> io::Result<File> {
        let mut merged = sorter.finish()?;
        let mut out = RecordWriter::new(tidewaiter_io::scratch(&self.folder)?)?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while merged.next(&mut key, &mut value)?.is_some() {
            if copied == Copied::All || merged.peek() != Some(key.as_slice()) {
                out.write(&key, &value)?;
            }
        }
        out.finish()
    }

    /// Joins the records of each advisory, in order; returns the sections of blocks, advisories and rows.
    fn join(&mut self, sorted: Sorter) -> io::Result<(File, File, File)> {
        let mut merged = sorted.finish()?;
        let mut out = Joined::new(&self.folder)?;
        let (mut key, mut value, mut next) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = RowCounts::new();
        while merged.next(&mut key, &mut value)?.is_some() {
            let alone = merged.peek() != Some(key.as_slice());
            let is_notice = coding::id_of(&key).is_some_and(|id| self.single.concern(&id));
            if alone && !is_notice && value.first() == Some(&FINAL) {
                out.add_as_is(&key, &value, &mut rows)?;
                continue;
            }
            let mut all = vec![std::mem::take(&mut value)];
            while merged.peek() == Some(key.as_slice()) {
                merged.next(&mut key, &mut next)?;
                all.push(std::mem::take(&mut next));
            }
            match self.joined(&all, is_notice)? {
                Some(advisory) => out.add(&key, &advisory, &mut rows)?,
                None if is_notice => self.skip("notices that repeat the records of their CVEs"),
                None => {}
            }
        }
        self.header.advisories = out.count;
        self.header.records += u64::from(out.count);
        self.header.rows = rows.into_iter().map(|(ecosystem, rows)| (ecosystem.to_string(), rows)).collect();
        out.finish(&self.folder)
    }

    fn skip(&mut self, reason: &str) {
        *self.header.skipped.entry(reason.to_owned()).or_default() += 1;
    }

    /// One advisory of several records; `None` when no row remains.
    fn joined(&mut self, records: &[Vec<u8>], is_notice: bool) -> io::Result<Option<Advisory>> {
        let mut out: Option<Advisory> = None;
        for record in records {
            let mut decoder = Decoder(record);
            decoder.byte()?;
            let mut advisory: Advisory = serde_json::from_slice(decoder.bytes()?)?;
            while !decoder.is_empty() {
                advisory.affected.push(decoder.packed()?.affected()?);
            }
            self.streams.resolve(&mut advisory.affected);
            self.drop_rows(&mut advisory.affected);
            if is_notice {
                self.single.remove_repeated(&mut advisory);
            }
            match &mut out {
                Some(known) => combine::merge(known, advisory),
                None => out = Some(advisory),
            }
        }
        Ok(out.filter(|advisory| !advisory.affected.is_empty()))
    }
}

/// The sections that advisories go to.
struct Joined {
    packer: DetailPacker,
    blocks: BufWriter<File>,
    advisories: RecordWriter,
    rows: Sorter,
    count: u32,
    buffers: Buffers,
}

impl Joined {
    fn new(folder: &Path) -> io::Result<Self> {
        Ok(Joined {
            packer: DetailPacker::new()?,
            blocks: BufWriter::new(tidewaiter_io::scratch(folder)?),
            advisories: RecordWriter::new(tidewaiter_io::scratch(folder)?)?,
            rows: Sorter::new(folder, ROW_BYTES),
            count: 0,
            buffers: Buffers::default(),
        })
    }

    /// Adds an advisory of one record, whose bytes are copied.
    fn add_as_is(&mut self, key: &[u8], record: &[u8], rows: &mut RowCounts) -> io::Result<()> {
        let mut decoder = Decoder(record);
        decoder.byte()?;
        self.details(key, decoder.bytes()?)?;
        while !decoder.is_empty() {
            self.row(&decoder.packed()?, rows)?;
        }
        self.count += 1;
        Ok(())
    }

    fn add(&mut self, key: &[u8], advisory: &Advisory, rows: &mut RowCounts) -> io::Result<()> {
        self.details(key, &serde_json::to_vec(advisory)?)?;
        let (mut packed, mut content) = (Vec::new(), Vec::new());
        for row in &advisory.affected {
            packed.clear();
            coding::row(&mut packed, row, &mut content);
            self.row(&Decoder(&packed).packed()?, rows)?;
        }
        self.count += 1;
        Ok(())
    }

    fn details(&mut self, key: &[u8], json: &[u8]) -> io::Result<()> {
        let (position, block) = self.packer.add(json)?;
        block.map_or(Ok(()), |block| self.block(&block))?;
        let DetailPosition { block, offset, len } = position;
        let value = &mut self.buffers.value;
        value.clear();
        [block, offset, len].into_iter().for_each(|n| coding::number(value, n.into()));
        self.advisories.write(key, value)
    }

    fn row(&mut self, row: &PackedRow<'_>, rows: &mut RowCounts) -> io::Result<()> {
        let Buffers { key, value, .. } = &mut self.buffers;
        key.clear();
        value.clear();
        coding::row_key(key, row);
        coding::number(value, self.count.into());
        value.extend_from_slice(row.content);
        self.rows.add(key, value)?;
        *rows.entry(Ecosystem::from(row.ecosystem)).or_default() += 1;
        Ok(())
    }

    fn block(&mut self, block: &PackedBlock) -> io::Result<()> {
        let len = u32::try_from(block.bytes.len()).map_err(io::Error::other)?;
        self.blocks.write_all(&block.raw_len.to_le_bytes())?;
        self.blocks.write_all(&len.to_le_bytes())?;
        self.blocks.write_all(&block.bytes)
    }

    fn finish(mut self, folder: &Path) -> io::Result<(File, File, File)> {
        let packer = std::mem::replace(&mut self.packer, DetailPacker::new()?);
        packer.finish()?.map_or(Ok(()), |block| self.block(&block))?;
        let mut merged = self.rows.finish()?;
        let mut rows = RecordWriter::new(tidewaiter_io::scratch(folder)?)?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while merged.next(&mut key, &mut value)?.is_some() {
            rows.write(&key, &value)?;
        }
        let blocks = self.blocks.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((blocks, self.advisories.finish()?, rows.finish()?))
    }
}

/// Whether rows of an ecosystem are stored: its versions have an order, and an image can ask for it.
fn is_kept(ecosystem: &Ecosystem) -> bool {
    ecosystem.version_scheme().is_some() && ecosystem.is_askable()
}

/// Distributions with rpm reuse an id for other releases, with other CVEs: there an advisory is one of (id, release).
fn release(rows: &[Affected]) -> Option<&Ecosystem> {
    let first = rows.iter().find(|row| is_kept(&row.ecosystem));
    first.map(|row| &row.ecosystem).filter(|ecosystem| ecosystem.version_scheme() == Some(VersionScheme::Rpm))
}

fn bounds(interval: &Interval) -> impl Iterator<Item = &String> {
    let end = match &interval.end {
        IntervalEnd::Fixed(end) | IntervalEnd::LastAffected(end) => Some(end),
        IntervalEnd::Open => None,
    };
    interval.introduced.iter().chain(end)
}

/// Whether the format of databases can hold a row.
fn fits(row: &Affected) -> bool {
    let bounds = row.intervals.iter().flat_map(bounds);
    let mut texts = bounds.chain(&row.versions).chain(Some(&row.package));
    row.intervals.len() + row.versions.len() <= MAX_INTERVALS && texts.all(|text| text.len() <= MAX_TEXT)
}
