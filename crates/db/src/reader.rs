//! Reads a database file through a memory map. Every access is bounds-checked: a corrupt file gives errors or no rows.

mod packages;

pub use packages::EcosystemPackages;

use crate::blocks::Blocks;
use crate::error::DatabaseError;
use crate::format;
use crate::format::{
    AdvisoryEntry, BlockEntry, CveEntry, DatabaseHeader, DatabaseSection, FLAG_NEVER, FROM_START, HI_EXACT, HI_FIXED,
    HI_LAST, HI_MASK, IntervalEntry, LO_AFTER, MAGIC, MAX_BLOCK_BYTES, PackageEntry, QualifierEntry, RowEntry,
    SECTIONS, SectionEntry, UNNAMED, VERSION,
};
use crate::map::Map;
use crate::meta::Meta;
use crate::writer::{key_code, key_kind};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tidewaiter_core::advisory::{Advisory, CveFacts, FixState, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_core::severity::Severity;
use tidewaiter_core::version::span::{LowerBound, VersionSpan};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// An open database.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    map: Map,
    sections: [Range<usize>; SECTIONS.len()],
    meta: Meta,
    id: String,
    inflated: Blocks,
}

/// One advisory for one package.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    db: &'a Database,
    entry: RowEntry,
}

/// Which module an installed package must belong to for a row to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowModuleScope<'a> {
    /// None.
    Outside,
    /// One of these, as `name:stream`, separated by commas.
    Streams(&'a str),
    /// Some module; the record does not say which stream.
    Unnamed,
}

impl Database {
    /// Opens `path`: reads the header, the section table and the provenance, nothing else.
    ///
    /// # Errors
    /// When the file cannot be read, is not a database, or has a newer format.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let io = |source| DatabaseError::Io { path: path.to_owned(), source };
        let map = File::open(path).and_then(|f| Map::new(&f)).map_err(io)?;
        let corrupt = |what: &str| DatabaseError::Corrupt { path: path.to_owned(), what: what.to_owned() };
        let (header, rest) = DatabaseHeader::ref_from_prefix(&map).map_err(|_| corrupt("shorter than its header"))?;
        if header.magic != MAGIC {
            return Err(corrupt("not a tidewaiter database"));
        }
        match header.version.get() {
            VERSION => {}
            found if found > VERSION => {
                return Err(DatabaseError::NewerFormat { path: path.to_owned(), found, supported: VERSION });
            }
            found => return Err(corrupt(&format!("it has format {found}, which this program no longer reads"))),
        }
        // A copy that was cut off is found at once; the checksum costs reading the whole file.
        if header.file_len.get() != map.len() as u64 {
            return Err(corrupt("its length is not the one it was written with"));
        }
        let sections = sections(rest, map.len()).ok_or_else(|| corrupt("its section table"))?;
        let id = format!("sha256:{}", tidewaiter_core::hex(&header.id));
        let meta = map.get(sections[0].clone()).and_then(|bytes| serde_json::from_slice(bytes).ok());
        let meta = meta.ok_or_else(|| corrupt("its provenance"))?;
        Ok(Database { path: path.to_owned(), map, sections, meta, id, inflated: Blocks::default() })
    }

    /// Opens `path` and compares all of its bytes with their checksum: once, when a file comes from elsewhere.
    ///
    /// # Errors
    /// Those of [`Database::open`], and a checksum that does not hold.
    pub fn open_verified(path: &Path) -> Result<Self, DatabaseError> {
        let db = Database::open(path)?;
        db.verify()?;
        Ok(db)
    }

    /// Compares all bytes with their checksum.
    ///
    /// # Errors
    /// When they differ.
    pub fn verify(&self) -> Result<(), DatabaseError> {
        match DatabaseHeader::ref_from_prefix(&self.map) {
            Ok((header, rest)) if header.sha256 == format::checksum(header, rest) => Ok(()),
            _ => Err(self.corrupt("its bytes do not match their checksum")),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of the facts in it: equal for equal facts, whenever built.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Provenance and coverage.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Id, build time and stale feeds, as reports carry them.
    pub fn info(&self) -> DatabaseInfo {
        DatabaseInfo { id: self.id.clone(), built: self.meta.built, stale: self.meta.stale(), facts: self.meta.facts() }
    }

    /// Digest of the whole file but of the digest itself, as its header has it: [`Database::verify`] compares it.
    pub fn checksum(&self) -> Digest {
        Digest::from_sha256(self.head().map(|(header, _)| header.sha256).unwrap_or_default())
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.map.len() as u64
    }

    /// The header and the section table.
    pub(crate) fn head(&self) -> Result<(DatabaseHeader, [SectionEntry; SECTIONS.len()]), DatabaseError> {
        let found = DatabaseHeader::read_from_prefix(&self.map).ok();
        let found = found.and_then(|(header, rest)| Some((header, FromBytes::read_from_prefix(rest).ok()?.0)));
        found.ok_or_else(|| self.corrupt("its header"))
    }

    /// Size of each section in bytes, by name, in file order.
    pub fn section_sizes(&self) -> Vec<(String, usize)> {
        SECTIONS.iter().zip(&self.sections).map(|(s, r)| (format!("{s:?}").to_lowercase(), r.len())).collect()
    }

    /// Every package that rows are about, with the arguments of [`Database::rows`], in order.
    pub fn packages(&self) -> impl Iterator<Item = (&str, KeyKind, &str)> {
        let packages: &[PackageEntry] = self.records(DatabaseSection::Packages);
        packages.iter().map(|p| (self.text(p.ecosystem.get()), key_kind(p.key), self.text(p.name.get())))
    }

    /// How many rows each ecosystem has, release included.
    pub fn row_counts(&self) -> BTreeMap<Ecosystem, u64> {
        let packages: &[PackageEntry] = self.records(DatabaseSection::Packages);
        // Packages are sorted by ecosystem, whose name is one string of the file.
        let same = |a: &PackageEntry, b: &PackageEntry| a.ecosystem == b.ecosystem;
        let rows = |group: &[PackageEntry]| -> u64 { group.iter().map(|p| u64::from(p.rows.get())).sum() };
        let mut out = BTreeMap::new();
        for group in packages.chunk_by(same) {
            let name = group.first().map_or("", |package| self.text(package.ecosystem.get()));
            *out.entry(Ecosystem::from(name)).or_default() += rows(group);
        }
        out
    }

    /// All rows of one package. Allocates nothing; of several packages of one ecosystem, see [`Database::packages_of`].
    pub fn rows(&self, ecosystem: &str, key: KeyKind, name: &str) -> impl Iterator<Item = Row<'_>> {
        let wanted = (ecosystem.as_bytes(), key_code(key), name.as_bytes());
        let packages: &[PackageEntry] = self.records(DatabaseSection::Packages);
        let place = |p: &PackageEntry| (self.bytes(p.ecosystem.get()), p.key, self.bytes(p.name.get())).cmp(&wanted);
        let entry = packages.binary_search_by(place).ok().and_then(|at| packages.get(at));
        entry.into_iter().flat_map(|entry| self.rows_of(entry))
    }

    /// The packages of an ecosystem, release included, that rows are about.
    pub fn packages_of(&self, ecosystem: &str) -> EcosystemPackages<'_> {
        EcosystemPackages::of(self, self.records(DatabaseSection::Packages), ecosystem)
    }

    /// Facts about one CVE, whichever record names it.
    ///
    /// # Errors
    /// When the file is corrupt.
    pub fn cve(&self, name: &str) -> Result<Option<CveFacts>, DatabaseError> {
        let cves: &[CveEntry] = self.records(DatabaseSection::Cves);
        let found = cves.binary_search_by(|c| self.bytes(c.name.get()).cmp(name.as_bytes()));
        let Some(entry) = found.ok().and_then(|i| cves.get(i)) else { return Ok(None) };
        self.detail(&entry.details).map(Some).ok_or_else(|| self.corrupt("the facts of a CVE"))
    }

    /// Inflates the details of one advisory.
    fn advisory(&self, index: u32) -> Result<Advisory, DatabaseError> {
        let advisories: &[AdvisoryEntry] = self.records(DatabaseSection::Advisories);
        let entry = advisories.get(index as usize);
        entry.and_then(|entry| self.detail(entry)).ok_or_else(|| self.corrupt("the details of an advisory"))
    }

    fn detail<T: DeserializeOwned>(&self, entry: &AdvisoryEntry) -> Option<T> {
        let index = entry.block.get();
        let raw = self.inflated.get(index, || self.block(index))?;
        serde_json::from_slice(entry.range().and_then(|range| raw.get(range))?).ok()
    }

    /// How many blocks of details there are.
    pub(crate) fn blocks(&self) -> u32 {
        let blocks: &[BlockEntry] = self.records(DatabaseSection::Blocks);
        u32::try_from(blocks.len()).unwrap_or(u32::MAX)
    }

    /// Inflates one block of details.
    pub(crate) fn block(&self, number: u32) -> Option<Vec<u8>> {
        let blocks: &[BlockEntry] = self.records(DatabaseSection::Blocks);
        // The file says how long it is; zstd allocates as much before it reads.
        let raw_len = (blocks.get(number as usize)?.raw_len.get() as usize).min(MAX_BLOCK_BYTES);
        zstd::bulk::decompress(self.packed_block(number as usize)?, raw_len).ok()
    }

    /// One block of details as it is stored.
    pub(crate) fn packed_block(&self, number: usize) -> Option<&[u8]> {
        let blocks: &[BlockEntry] = self.records(DatabaseSection::Blocks);
        let block = blocks.get(number)?;
        let start = usize::try_from(block.offset.get()).ok()?;
        self.section(DatabaseSection::Details).get(start..start.checked_add(block.len.get() as usize)?)
    }

    /// Rows of one entry of the package index.
    pub(crate) fn rows_of(&self, package: &PackageEntry) -> impl Iterator<Item = Row<'_>> + use<'_> {
        let first = package.first_row.get() as usize;
        let rows: &[RowEntry] = self.records(DatabaseSection::Rows);
        let range = first..first + usize::from(package.rows.get());
        rows.get(range).unwrap_or_default().iter().map(|entry| Row { db: self, entry: *entry })
    }

    pub(crate) fn corrupt(&self, what: &str) -> DatabaseError {
        DatabaseError::Corrupt { path: self.path.clone(), what: what.to_owned() }
    }

    pub(crate) fn section(&self, section: DatabaseSection) -> &[u8] {
        let range = self.sections.get(section as usize - 1).cloned().unwrap_or(0..0);
        self.map.get(range).unwrap_or_default()
    }

    pub(crate) fn records<T: FromBytes + KnownLayout + Immutable>(&self, section: DatabaseSection) -> &[T] {
        <[T]>::ref_from_bytes(self.section(section)).unwrap_or_default()
    }

    pub(crate) fn bytes(&self, offset: u32) -> &[u8] {
        let strings = self.section(DatabaseSection::Strings);
        let at = offset as usize;
        let Some([a, b]) = strings.get(at..at.saturating_add(2)) else { return &[] };
        strings.get(at + 2..at + 2 + usize::from(u16::from_le_bytes([*a, *b]))).unwrap_or_default()
    }

    fn span(&self, entry: &IntervalEntry) -> VersionSpan<'_> {
        let (lo, hi) = (entry.lo.get(), entry.hi.get());
        let low = match lo {
            FROM_START => LowerBound::Start,
            lo if lo & LO_AFTER != 0 => LowerBound::After(self.text(lo & HI_MASK)),
            lo => LowerBound::From(self.text(lo)),
        };
        match hi & !HI_MASK {
            HI_FIXED => VersionSpan::Fixed(low, self.text(hi & HI_MASK)),
            HI_LAST => VersionSpan::Last(low, self.text(hi & HI_MASK)),
            HI_EXACT => VersionSpan::Exact(self.text(lo)),
            _ => VersionSpan::Open(low),
        }
    }

    pub(crate) fn text(&self, offset: u32) -> &str {
        std::str::from_utf8(self.bytes(offset)).unwrap_or_default()
    }
}

impl<'a> Row<'a> {
    /// The vendor says that the package was never affected.
    pub fn never_affected(&self) -> bool {
        self.entry.flags & FLAG_NEVER != 0
    }

    /// Whether the vendor has fixed it, or will.
    pub fn fix_state(&self) -> FixState {
        FixState::from_code(self.entry.fix_state)
    }

    /// Whether the fixes of the feed that it is from are for subscribers of extended support.
    pub(crate) fn is_of_paid_feed(&self, feed: &str) -> bool {
        self.db.meta.is_paid(feed)
    }

    /// The vendor's rating for this package.
    pub fn severity(&self) -> Severity {
        Severity::from_code(self.entry.severity)
    }

    /// Which module a package must belong to.
    pub fn module(&self) -> RowModuleScope<'a> {
        match self.qualifier().map_or("", |q| self.db.text(q.modules.get())) {
            "" => RowModuleScope::Outside,
            UNNAMED => RowModuleScope::Unnamed,
            streams => RowModuleScope::Streams(streams),
        }
    }

    /// Whether it applies to packages of this architecture.
    pub fn covers_arch(&self, arch: &str) -> bool {
        let arches = self.arches();
        // Where either side names none, or the package is for all, the row holds: a finding too many is seen.
        arches.is_empty() || arch.is_empty() || arch == "noarch" || arches.split(',').any(|a| a == arch)
    }

    /// Whether a row of another database is equal; their advisories are not compared.
    pub(crate) fn equals(&self, other: &Row<'_>) -> bool {
        let marks = |row: &Row<'_>| (row.entry.fix_state, row.entry.severity, row.entry.flags);
        marks(self) == marks(other)
            && self.module() == other.module()
            && self.arches() == other.arches()
            && self.spans().eq(other.spans())
    }

    /// Its advisory's place in the file.
    pub(crate) fn advisory_index(&self) -> u32 {
        self.entry.advisory.get()
    }

    /// Architectures it is limited to, separated by commas; empty for all.
    pub fn arches(&self) -> &'a str {
        self.qualifier().map_or("", |q| self.db.text(q.arches.get()))
    }

    fn qualifier(&self) -> Option<&'a QualifierEntry> {
        let all: &'a [QualifierEntry] = self.db.records(DatabaseSection::Qualifiers);
        all.get(usize::from(self.entry.qualifiers.get()).checked_sub(1)?)
    }

    /// The vulnerable intervals and versions.
    pub fn spans(&self) -> impl Iterator<Item = VersionSpan<'a>> + use<'a> {
        let db = self.db;
        let all: &'a [IntervalEntry] = db.records(DatabaseSection::Intervals);
        let first = self.entry.first_interval.get() as usize;
        let range = first..first + usize::from(self.entry.intervals.get());
        all.get(range).unwrap_or_default().iter().map(|entry| db.span(entry))
    }

    /// The advisory's details.
    ///
    /// # Errors
    /// When the file is corrupt.
    pub fn advisory(&self) -> Result<Advisory, DatabaseError> {
        self.db.advisory(self.entry.advisory.get())
    }
}

fn sections(rest: &[u8], file_len: usize) -> Option<[Range<usize>; SECTIONS.len()]> {
    let (table, _) = <[SectionEntry]>::ref_from_prefix_with_elems(rest, SECTIONS.len()).ok()?;
    let mut out: [Range<usize>; SECTIONS.len()] = Default::default();
    for ((entry, section), slot) in table.iter().zip(SECTIONS).zip(&mut out) {
        let start = usize::try_from(entry.offset.get()).ok()?;
        let end = start.checked_add(usize::try_from(entry.len.get()).ok()?)?;
        if entry.id.get() != section as u32 || end > file_len {
            return None;
        }
        *slot = start..end;
    }
    Some(out)
}
