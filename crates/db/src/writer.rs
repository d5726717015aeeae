//! Writes a database file: sorted, deterministic, complete before it takes its name.
//!
//! Only the strings are in memory; every other section is a file until all are joined.

use crate::details::{DetailPacker, DetailPosition, PackedBlock};
use crate::error::DatabaseError;
use crate::format::{
    AdvisoryEntry, BlockEntry, CveEntry, DatabaseHeader, FLAG_NEVER, FROM_START, HI_EXACT, HI_FIXED, HI_LAST, HI_MASK,
    HI_OPEN, IntervalEntry, LO_AFTER, MAGIC, PackageEntry, QualifierEntry, RowEntry, SECTIONS, SectionEntry, UNNAMED,
    VERSION,
};
use crate::meta::Meta;
use crate::spool::Spool;
use crate::strings::Strings;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, FixState, Interval, IntervalEnd, KeyKind, ModuleScope};
use tidewaiter_core::severity::Severity;
use zerocopy::IntoBytes;

/// The content of a small database.
#[derive(Debug, Default)]
pub struct BuildInput {
    /// All advisories; those without affected packages are dropped.
    pub advisories: Vec<Advisory>,
    /// Facts about CVEs; those that no advisory names are dropped.
    pub cves: BTreeMap<String, CveFacts>,
    /// Provenance; the two counts are filled in by the writer.
    pub meta: Meta,
}

/// A row of a package: what an advisory says of it. Rows of one advisory are ordered by content: their order in the feed has
/// no meaning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageRow {
    /// The advisory, by its place in the order in which advisories are written.
    pub advisory: u32,
    /// Version intervals, each of them vulnerable.
    pub intervals: Vec<Interval>,
    /// Vulnerable versions listed one by one.
    pub versions: Vec<String>,
    /// Which module a package must belong to.
    pub module: ModuleScope,
    /// Architectures it is limited to; empty for all.
    pub arches: Vec<String>,
    /// The vendor says that this package was never affected.
    pub never_affected: bool,
    /// Whether a fix exists or will.
    pub fix_state: FixState,
    /// The vendor's rating for this package.
    pub severity: Severity,
}

impl PackageRow {
    /// A row of the advisory at this place.
    pub fn new(advisory: u32, affected: Affected) -> Self {
        let Affected { intervals, versions, module, arches, never_affected, fix_state, severity, .. } = affected;
        PackageRow { advisory, intervals, versions, module, arches, never_affected, fix_state, severity }
    }
}

/// Writes a database to `path`, which is replaced as a whole.
///
/// # Errors
/// When the file system refuses, or the input exceeds the format's limits.
pub fn write(path: &Path, input: &BuildInput) -> Result<(), DatabaseError> {
    let mut writer = DatabaseWriter::new(path)?;
    let mut advisories: Vec<&Advisory> = input.advisories.iter().filter(|a| !a.affected.is_empty()).collect();
    advisories.sort_by(|a, b| (&a.id, &a.feed).cmp(&(&b.id, &b.feed)));
    write_details(&mut writer, &advisories, &input.cves)?;
    write_rows(&mut writer, &advisories)?;
    writer.finish(input.meta.clone())
}

fn write_details(
    writer: &mut DatabaseWriter,
    advisories: &[&Advisory],
    cves: &BTreeMap<String, CveFacts>,
) -> Result<(), DatabaseError> {
    let mut packer = DetailPacker::new().map_err(|e| writer.io(e))?;
    for advisory in advisories {
        let position = write_detail(writer, &mut packer, advisory)?;
        writer.advisory(position)?;
    }
    let names = advisories.iter().flat_map(|a| std::iter::once(&a.id).chain(&a.aliases).chain(&a.upstream));
    let named: HashSet<&str> = names.map(String::as_str).collect();
    for (cve, facts) in cves.iter().filter(|(cve, _)| named.contains(cve.as_str())) {
        let position = write_detail(writer, &mut packer, facts)?;
        writer.cve(cve, position)?;
    }
    let last = packer.finish().map_err(|e| writer.io(e))?;
    last.map_or(Ok(()), |block| writer.block(&block).map(drop))
}

fn write_detail(
    writer: &mut DatabaseWriter,
    packer: &mut DetailPacker,
    what: &impl Serialize,
) -> Result<DetailPosition, DatabaseError> {
    let json = serde_json::to_vec(what).map_err(|e| writer.too_large(&e.to_string()))?;
    let (position, block) = packer.add(&json).map_err(|e| writer.too_large(&e.to_string()))?;
    block.map_or(Ok(()), |block| writer.block(&block).map(drop))?;
    Ok(position)
}

fn write_rows(writer: &mut DatabaseWriter, advisories: &[&Advisory]) -> Result<(), DatabaseError> {
    let mut all: Vec<(String, KeyKind, &str, usize, &Affected)> = Vec::new();
    for (index, advisory) in advisories.iter().enumerate() {
        for affected in &advisory.affected {
            all.push((affected.ecosystem.to_string(), affected.key, &affected.package, index, affected));
        }
    }
    all.sort_by(|a, b| (&a.0, a.1, a.2).cmp(&(&b.0, b.1, b.2)));
    for group in all.chunk_by(|a, b| (&a.0, a.1, a.2) == (&b.0, b.1, b.2)) {
        let Some((ecosystem, key, name, ..)) = group.first() else { continue };
        let mut rows = Vec::new();
        for (.., advisory, affected) in group {
            rows.push(PackageRow::new(writer.number(*advisory)?, (*affected).clone()));
        }
        writer.package(ecosystem, *key, name, &mut rows)?;
    }
    Ok(())
}

/// Writes a database step by step: blocks of details in any order, advisories, CVEs and packages each in their own.
pub struct DatabaseWriter {
    path: PathBuf,
    strings: Strings,
    packages: Spool,
    rows: Spool,
    intervals: Spool,
    qualifiers: Vec<QualifierEntry>,
    qualified: HashMap<(ModuleScope, Vec<String>), u16>,
    advisories: Spool,
    cves: Spool,
    blocks: Spool,
    details: Spool,
    counts: Counts,
}

/// How many entries were written.
#[derive(Debug, Default)]
struct Counts {
    rows: usize,
    intervals: usize,
    advisories: usize,
    blocks: usize,
}

impl DatabaseWriter {
    /// A writer of `path`; its temporary files are in the same folder, without names.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn new(path: &Path) -> Result<Self, DatabaseError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let spool = || Spool::new(folder).map_err(|source| DatabaseError::Io { path: path.to_owned(), source });
        Ok(DatabaseWriter {
            path: path.to_owned(),
            strings: Strings::new(),
            packages: spool()?,
            rows: spool()?,
            intervals: spool()?,
            qualifiers: Vec::new(),
            qualified: HashMap::new(),
            advisories: spool()?,
            cves: spool()?,
            blocks: spool()?,
            details: spool()?,
            counts: Counts::default(),
        })
    }

    /// Appends a block of details; returns its number.
    ///
    /// # Errors
    /// When the file system refuses, or the format has no room.
    pub fn block(&mut self, block: &PackedBlock) -> Result<u32, DatabaseError> {
        let entry = BlockEntry {
            offset: self.details.len().into(),
            len: self.number(block.bytes.len())?.into(),
            raw_len: block.raw_len.into(),
        };
        let number = self.number(self.counts.blocks)?;
        self.counts.blocks += 1;
        let written = self.blocks.write(entry.as_bytes()).and_then(|()| self.details.write(&block.bytes));
        written.map(|()| number).map_err(|e| self.io(e))
    }

    /// Appends an advisory, by the place of its details; returns its own. Advisories are written by (id, feed).
    ///
    /// # Errors
    /// When the file system refuses, or the format has no room.
    pub fn advisory(&mut self, details: DetailPosition) -> Result<u32, DatabaseError> {
        let number = self.number(self.counts.advisories)?;
        self.counts.advisories += 1;
        let written = self.advisories.write(AdvisoryEntry::from(details).as_bytes());
        written.map(|()| number).map_err(|e| self.io(e))
    }

    /// Appends the facts about a CVE, by the place of their details. CVEs are written by name, each once.
    ///
    /// # Errors
    /// When the file system refuses, or the format has no room.
    pub fn cve(&mut self, name: &str, details: DetailPosition) -> Result<(), DatabaseError> {
        let entry = CveEntry { name: self.intern(name)?.into(), details: details.into() };
        self.cves.write(entry.as_bytes()).map_err(|e| self.io(e))
    }

    /// Appends a package with all its rows, which are sorted; equal ones are stored once. Packages are written by (ecosystem
    /// as text, kind of key, name), each once.
    ///
    /// # Errors
    /// When the file system refuses, or the format has no room.
    pub fn package(
        &mut self,
        ecosystem: &str,
        key: KeyKind,
        name: &str,
        rows: &mut Vec<PackageRow>,
    ) -> Result<(), DatabaseError> {
        rows.sort();
        rows.dedup();
        let count = u16::try_from(rows.len()).map_err(|_| self.too_large(&format!("{name} has too many rows")))?;
        let entry = PackageEntry {
            ecosystem: self.intern(ecosystem)?.into(),
            name: self.intern(name)?.into(),
            first_row: self.number(self.counts.rows)?.into(),
            rows: count.into(),
            key: key_code(key),
        };
        self.packages.write(entry.as_bytes()).map_err(|e| self.io(e))?;
        rows.iter().try_for_each(|row| self.row(name, row))
    }

    /// Completes the file, which replaces the one at its path. The counts of `meta` are set to what was written.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn finish(mut self, mut meta: Meta) -> Result<(), DatabaseError> {
        meta.advisories = self.counts.advisories as u64;
        meta.rows = self.counts.rows as u64;
        let json = |e: serde_json::Error| self.too_large(&e.to_string());
        let coverage = serde_json::to_vec(&meta.coverage()).map_err(json)?;
        let meta = serde_json::to_vec(&meta).map_err(json)?;
        let path = self.path.clone();
        self.assemble(&meta, &coverage).map_err(|source| DatabaseError::Io { path, source })
    }

    fn row(&mut self, package: &str, row: &PackageRow) -> Result<(), DatabaseError> {
        let first = self.number(self.counts.intervals)?;
        for interval in &row.intervals {
            let lo = match &interval.introduced {
                Some(version) if interval.after => self.intern(version)? | LO_AFTER,
                Some(version) => self.intern(version)?,
                None => FROM_START,
            };
            let hi = match &interval.end {
                IntervalEnd::Fixed(v) => self.intern(v)? | HI_FIXED,
                IntervalEnd::LastAffected(v) => self.intern(v)? | HI_LAST,
                IntervalEnd::Open => HI_OPEN,
            };
            self.interval(IntervalEntry { lo: lo.into(), hi: hi.into() })?;
        }
        let mut versions: Vec<&String> = row.versions.iter().collect();
        versions.sort_unstable();
        for version in versions {
            let lo = self.intern(version)?;
            self.interval(IntervalEntry { lo: lo.into(), hi: HI_EXACT.into() })?;
        }
        let count = u16::try_from(row.intervals.len() + row.versions.len());
        let count = count.map_err(|_| self.too_large(&format!("{package} has too many intervals")))?;
        let entry = RowEntry {
            advisory: row.advisory.into(),
            first_interval: first.into(),
            intervals: count.into(),
            qualifiers: self.qualifiers(row)?.into(),
            fix_state: row.fix_state.code(),
            severity: row.severity.code(),
            flags: if row.never_affected { FLAG_NEVER } else { 0 },
        };
        self.counts.rows += 1;
        self.rows.write(entry.as_bytes()).map_err(|e| self.io(e))
    }

    fn interval(&mut self, entry: IntervalEntry) -> Result<(), DatabaseError> {
        self.counts.intervals += 1;
        self.intervals.write(entry.as_bytes()).map_err(|e| self.io(e))
    }

    fn qualifiers(&mut self, row: &PackageRow) -> Result<u16, DatabaseError> {
        if row.module == ModuleScope::Outside && row.arches.is_empty() {
            return Ok(0);
        }
        let key = (row.module.clone(), row.arches.clone());
        if let Some(known) = self.qualified.get(&key) {
            return Ok(*known);
        }
        let modules = match &row.module {
            ModuleScope::Outside => String::new(),
            ModuleScope::Streams(streams) => streams.join(","),
            ModuleScope::Unnamed => UNNAMED.to_owned(),
        };
        let modules = self.intern(&modules)?.into();
        let arches = self.intern(&row.arches.join(","))?.into();
        self.qualifiers.push(QualifierEntry { modules, arches });
        let index = u16::try_from(self.qualifiers.len()).map_err(|_| self.too_large("too many qualifiers"))?;
        self.qualified.insert(key, index);
        Ok(index)
    }

    fn intern(&mut self, text: &str) -> Result<u32, DatabaseError> {
        let what = "a name or version exceeds 64 KiB, or the string table 1 GiB";
        self.strings.intern(text, HI_MASK).ok_or_else(|| self.too_large(what))
    }

    fn assemble(&mut self, meta: &[u8], coverage: &[u8]) -> io::Result<()> {
        let table_len = SECTIONS.len() * size_of::<SectionEntry>();
        let mut sections = Vec::new();
        let mut offset = (size_of::<DatabaseHeader>() + table_len) as u64;
        let mut bodies = [
            Body::Memory(meta),
            Body::Memory(self.strings.bytes()),
            Body::Disk(&mut self.packages),
            Body::Disk(&mut self.rows),
            Body::Disk(&mut self.intervals),
            Body::Memory(self.qualifiers.as_bytes()),
            Body::Disk(&mut self.advisories),
            Body::Disk(&mut self.cves),
            Body::Disk(&mut self.blocks),
            Body::Disk(&mut self.details),
        ];
        let mut id = Sha256::new();
        id.update((coverage.len() as u64).to_le_bytes());
        id.update(coverage);
        for (section, body) in SECTIONS.iter().zip(&mut bodies) {
            let len = body.len();
            let entry = SectionEntry { id: (*section as u32).into(), offset: offset.into(), len: len.into() };
            sections.extend_from_slice(entry.as_bytes());
            offset += len;
        }
        for (section, body) in SECTIONS.iter().zip(&mut bodies).skip(1) {
            id.update((*section as u32).to_le_bytes());
            id.update(body.len().to_le_bytes());
            body.read(&mut |bytes| {
                id.update(bytes);
                Ok(())
            })?;
        }
        let header = DatabaseHeader {
            magic: MAGIC,
            version: VERSION.into(),
            sections: u32::try_from(SECTIONS.len()).map_err(io::Error::other)?.into(),
            file_len: offset.into(),
            sha256: [0; 32],
            id: id.finalize().into(),
        };
        // Synced: a database that a power failure truncates would be refused as corrupt until somebody builds a new one.
        tidewaiter_io::replace(&self.path, |file| write_file(file, header, &sections, &mut bodies))
    }

    fn number(&self, value: usize) -> Result<u32, DatabaseError> {
        u32::try_from(value).map_err(|_| self.too_large("a section exceeds 4 GiB"))
    }

    fn too_large(&self, what: &str) -> DatabaseError {
        DatabaseError::TooLarge { path: self.path.clone(), what: what.to_owned() }
    }

    fn io(&self, source: io::Error) -> DatabaseError {
        DatabaseError::Io { path: self.path.clone(), source }
    }
}

/// Writes the file, then its header again: with the checksum of everything.
fn write_file(file: &mut File, mut header: DatabaseHeader, sections: &[u8], bodies: &mut [Body<'_>]) -> io::Result<()> {
    let mut checksum = Sha256::new();
    let mut both = |bytes: &[u8]| {
        checksum.update(bytes);
        file.write_all(bytes)
    };
    both(header.as_bytes())?;
    both(sections)?;
    bodies.iter_mut().try_for_each(|body| body.read(&mut both))?;
    header.sha256 = checksum.finalize().into();
    file.seek(SeekFrom::Start(0))?;
    file.write_all(header.as_bytes())?;
    file.sync_all()
}

/// The content of a section.
enum Body<'a> {
    Memory(&'a [u8]),
    Disk(&'a mut Spool),
}

impl Body<'_> {
    fn len(&self) -> u64 {
        match self {
            Body::Memory(bytes) => bytes.len() as u64,
            Body::Disk(spool) => spool.len(),
        }
    }

    fn read(&mut self, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Body::Memory(bytes) => each(bytes),
            Body::Disk(spool) => spool.read(each),
        }
    }
}

pub(crate) const fn key_code(key: KeyKind) -> u8 {
    match key {
        KeyKind::Source => 0,
        KeyKind::Binary => 1,
    }
}

pub(crate) const fn key_kind(code: u8) -> KeyKind {
    if code == key_code(KeyKind::Binary) { KeyKind::Binary } else { KeyKind::Source }
}
