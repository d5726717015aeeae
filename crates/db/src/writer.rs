//! Writes a database file: sorted, deterministic, complete before it takes its name.

use crate::error::DatabaseError;
use crate::format;
use crate::format::{
    AdvisoryEntry, BLOCK_BYTES, BlockEntry, CveEntry, DatabaseHeader, FLAG_NEVER, FROM_START, HI_EXACT, HI_FIXED,
    HI_LAST, HI_MASK, HI_OPEN, IntervalEntry, LO_AFTER, MAGIC, MAX_BLOCK_BYTES, PackageEntry, QualifierEntry, RowEntry,
    SECTIONS, SectionEntry, UNNAMED, VERSION,
};
use crate::meta::Meta;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, IntervalEnd, KeyKind, ModuleScope};
use zerocopy::IntoBytes;

/// Level of zstd for details, which are written once and read often.
const LEVEL: i32 = 12;
/// Blocks that are compressed at the same time. The number bounds memory and is large enough to share among all cores.
const WAITING: usize = 256;

/// The content of a database.
#[derive(Debug, Default)]
pub struct BuildInput {
    /// All advisories; those without affected packages are dropped.
    pub advisories: Vec<Advisory>,
    /// Facts about CVEs; those that no advisory names are dropped.
    pub cves: BTreeMap<String, CveFacts>,
    /// Provenance; the two counts are filled in by the writer.
    pub meta: Meta,
}

/// Writes a database to `path`, which is replaced as a whole.
///
/// # Errors
/// When the file system refuses, or the input exceeds the format's limits.
pub fn write(path: &Path, input: &BuildInput) -> Result<(), DatabaseError> {
    let bytes = Builder::new(path).build(input)?;
    // Synced: a database that a power failure truncates would be refused as corrupt until a new one is built.
    tidewaiter_io::replace(path, |file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .map_err(|source| DatabaseError::Io { path: path.to_owned(), source })
}

struct Builder {
    path: PathBuf,
    strings: Vec<u8>,
    known: HashMap<String, u32>,
    packages: Vec<PackageEntry>,
    rows: Vec<RowEntry>,
    intervals: Vec<IntervalEntry>,
    qualifiers: Vec<QualifierEntry>,
    qualified: HashMap<(ModuleScope, Vec<String>), u16>,
    advisories: Vec<AdvisoryEntry>,
    cves: Vec<CveEntry>,
    blocks: Vec<BlockEntry>,
    details: Vec<u8>,
    /// Full blocks that are not compressed yet.
    waiting: Vec<Vec<u8>>,
}

impl Builder {
    fn new(path: &Path) -> Self {
        Builder {
            path: path.to_owned(),
            strings: Vec::new(),
            known: HashMap::new(),
            packages: Vec::new(),
            rows: Vec::new(),
            intervals: Vec::new(),
            qualifiers: Vec::new(),
            qualified: HashMap::new(),
            advisories: Vec::new(),
            cves: Vec::new(),
            blocks: Vec::new(),
            details: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn build(mut self, input: &BuildInput) -> Result<Vec<u8>, DatabaseError> {
        // Records without rows are reached by no look-up.
        let mut advisories: Vec<&Advisory> = input.advisories.iter().filter(|a| !a.affected.is_empty()).collect();
        // By id and feed: the same feeds give the same bytes in whatever order they are read, and two files are
        // compared in one walk.
        advisories.sort_by(|a, b| (&a.id, &a.feed).cmp(&(&b.id, &b.feed)));
        self.write_details(&advisories, &input.cves)?;
        self.write_rows(&advisories)?;
        let mut meta = input.meta.clone();
        meta.advisories = advisories.len() as u64;
        meta.rows = self.rows.len() as u64;
        let json = |e: serde_json::Error| self.too_large(&e.to_string());
        let coverage = serde_json::to_vec(&meta.coverage()).map_err(json)?;
        let meta = serde_json::to_vec(&meta).map_err(json)?;
        self.assemble(&meta, &coverage)
    }

    fn write_details(
        &mut self,
        advisories: &[&Advisory],
        cves: &BTreeMap<String, CveFacts>,
    ) -> Result<(), DatabaseError> {
        let mut raw = Vec::new();
        for advisory in advisories {
            let entry = self.write_detail(&advisory.id, advisory, &mut raw)?;
            self.advisories.push(entry);
        }
        let names = advisories.iter().flat_map(|a| std::iter::once(&a.id).chain(&a.aliases).chain(&a.upstream));
        // Feeds of ratings know every CVE: those that no record names would only fill the file.
        let named: HashSet<&str> = names.map(String::as_str).collect();
        for (cve, facts) in cves.iter().filter(|(cve, _)| named.contains(cve.as_str())) {
            let details = self.write_detail(cve, facts, &mut raw)?;
            let name = self.intern(cve)?.into();
            self.cves.push(CveEntry { name, details });
        }
        self.waiting.extend(Some(raw).filter(|raw| !raw.is_empty()));
        self.compress()
    }

    fn write_detail(
        &mut self,
        id: &str,
        what: &impl Serialize,
        raw: &mut Vec<u8>,
    ) -> Result<AdvisoryEntry, DatabaseError> {
        let json = serde_json::to_vec(what).map_err(|e| self.too_large(&e.to_string()))?;
        // A block is closed once it is full, so it holds one record more: both must stay below what a reader accepts.
        if json.len() > MAX_BLOCK_BYTES / 2 {
            return Err(self.too_large(&format!("{id} has {} bytes", json.len())));
        }
        let entry = AdvisoryEntry {
            block: self.number(self.blocks.len() + self.waiting.len())?.into(),
            offset: self.number(raw.len())?.into(),
            len: self.number(json.len())?.into(),
        };
        raw.extend_from_slice(&json);
        if raw.len() >= BLOCK_BYTES {
            self.waiting.push(std::mem::take(raw));
            if self.waiting.len() >= WAITING {
                self.compress()?;
            }
        }
        Ok(entry)
    }

    /// Compresses the waiting blocks in parallel and appends them in order.
    fn compress(&mut self) -> Result<(), DatabaseError> {
        let waiting = std::mem::take(&mut self.waiting);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = waiting.len().div_ceil(threads).max(1);
        let pack = |blocks: &[Vec<u8>]| -> io::Result<Vec<Vec<u8>>> {
            let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
            blocks.iter().map(|raw| compressor.compress(raw)).collect()
        };
        let packed = thread::scope(|scope| {
            let all: Vec<_> = waiting.chunks(share).map(|blocks| scope.spawn(move || pack(blocks))).collect();
            let failed = |_| Err(io::Error::other("a compressing thread failed"));
            all.into_iter().map(|one| one.join().unwrap_or_else(failed)).collect::<io::Result<Vec<_>>>()
        });
        let packed = packed.map_err(|e| self.too_large(&e.to_string()))?;
        for (raw, packed) in waiting.iter().zip(packed.into_iter().flatten()) {
            let entry = BlockEntry {
                offset: (self.details.len() as u64).into(),
                len: self.number(packed.len())?.into(),
                raw_len: self.number(raw.len())?.into(),
            };
            self.blocks.push(entry);
            self.details.extend_from_slice(&packed);
        }
        Ok(())
    }

    fn write_rows(&mut self, advisories: &[&Advisory]) -> Result<(), DatabaseError> {
        let mut all: Vec<(String, KeyKind, &str, usize, &Affected)> = Vec::new();
        for (index, advisory) in advisories.iter().enumerate() {
            for affected in &advisory.affected {
                all.push((affected.ecosystem.to_string(), affected.key, &affected.package, index, affected));
            }
        }
        // Rows of one record are sorted by content: their order in the feed has no meaning.
        let by_content = |a: &Affected, b: &Affected| content(a).cmp(&content(b));
        all.sort_by(|a, b| (&a.0, a.1, a.2, a.3).cmp(&(&b.0, b.1, b.2, b.3)).then_with(|| by_content(a.4, b.4)));
        for group in all.chunk_by(|a, b| (&a.0, a.1, a.2) == (&b.0, b.1, b.2)) {
            let Some((ecosystem, key, name, ..)) = group.first() else { continue };
            let rows = u16::try_from(group.len()).map_err(|_| self.too_large(&format!("{name} has too many rows")))?;
            let entry = PackageEntry {
                ecosystem: self.intern(ecosystem)?.into(),
                name: self.intern(name)?.into(),
                first_row: self.number(self.rows.len())?.into(),
                rows: rows.into(),
                key: key_code(*key),
            };
            self.packages.push(entry);
            for (.., advisory, affected) in group {
                self.write_row(*advisory, affected)?;
            }
        }
        Ok(())
    }

    fn write_row(&mut self, advisory: usize, affected: &Affected) -> Result<(), DatabaseError> {
        let first = self.number(self.intervals.len())?;
        for interval in &affected.intervals {
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
            self.intervals.push(IntervalEntry { lo: lo.into(), hi: hi.into() });
        }
        let mut versions: Vec<&String> = affected.versions.iter().collect();
        // As texts: the order only makes the bytes the same in every build.
        versions.sort_unstable();
        for version in versions {
            let lo = self.intern(version)?;
            self.intervals.push(IntervalEntry { lo: lo.into(), hi: HI_EXACT.into() });
        }
        let count = u16::try_from(affected.intervals.len() + affected.versions.len());
        let count = count.map_err(|_| self.too_large(&format!("{} has too many intervals", affected.package)))?;
        let advisory = self.number(advisory)?;
        let qualifiers = self.qualifiers(affected)?;
        self.rows.push(RowEntry {
            advisory: advisory.into(),
            first_interval: first.into(),
            intervals: count.into(),
            qualifiers: qualifiers.into(),
            fix_state: affected.fix_state.code(),
            severity: affected.severity.code(),
            flags: if affected.never_affected { FLAG_NEVER } else { 0 },
        });
        Ok(())
    }

    fn qualifiers(&mut self, affected: &Affected) -> Result<u16, DatabaseError> {
        if affected.module == ModuleScope::Outside && affected.arches.is_empty() {
            return Ok(0);
        }
        let key = (affected.module.clone(), affected.arches.clone());
        if let Some(known) = self.qualified.get(&key) {
            return Ok(*known);
        }
        let modules = match &affected.module {
            ModuleScope::Outside => String::new(),
            ModuleScope::Streams(streams) => streams.join(","),
            ModuleScope::Unnamed => UNNAMED.to_owned(),
        };
        let modules = self.intern(&modules)?.into();
        let arches = self.intern(&affected.arches.join(","))?.into();
        self.qualifiers.push(QualifierEntry { modules, arches });
        let index = u16::try_from(self.qualifiers.len()).map_err(|_| self.too_large("too many qualifiers"))?;
        self.qualified.insert(key, index);
        Ok(index)
    }

    fn intern(&mut self, text: &str) -> Result<u32, DatabaseError> {
        if let Some(known) = self.known.get(text) {
            return Ok(*known);
        }
        let len = u16::try_from(text.len()).map_err(|_| self.too_large("a name or version over 64 KiB"))?;
        let offset = self.number(self.strings.len())?;
        if offset > HI_MASK {
            return Err(self.too_large("the string table exceeds 1 GiB"));
        }
        self.strings.extend_from_slice(&len.to_le_bytes());
        self.strings.extend_from_slice(text.as_bytes());
        self.known.insert(text.to_owned(), offset);
        Ok(offset)
    }

    fn assemble(&self, meta: &[u8], coverage: &[u8]) -> Result<Vec<u8>, DatabaseError> {
        let bodies: [&[u8]; SECTIONS.len()] = [
            meta,
            &self.strings,
            self.packages.as_bytes(),
            self.rows.as_bytes(),
            self.intervals.as_bytes(),
            self.qualifiers.as_bytes(),
            self.advisories.as_bytes(),
            self.cves.as_bytes(),
            self.blocks.as_bytes(),
            &self.details,
        ];
        let table_len = SECTIONS.len() * size_of::<SectionEntry>();
        let mut offset = (size_of::<DatabaseHeader>() + table_len) as u64;
        let mut rest = Vec::new();
        for (section, body) in SECTIONS.iter().zip(bodies) {
            let entry =
                SectionEntry { id: (*section as u32).into(), offset: offset.into(), len: (body.len() as u64).into() };
            rest.extend_from_slice(entry.as_bytes());
            offset += body.len() as u64;
        }
        // The id is of what matching uses, not of times and counts: a rebuild with the same content is the same database.
        let mut id = Sha256::new();
        id.update((coverage.len() as u64).to_le_bytes());
        id.update(coverage);
        for (section, body) in SECTIONS.iter().zip(bodies).skip(1) {
            id.update((*section as u32).to_le_bytes());
            id.update((body.len() as u64).to_le_bytes());
            id.update(body);
        }
        bodies.iter().for_each(|body| rest.extend_from_slice(body));
        let mut header = DatabaseHeader {
            magic: MAGIC,
            version: VERSION.into(),
            sections: self.number(SECTIONS.len())?.into(),
            file_len: offset.into(),
            sha256: [0; 32],
            id: id.finalize().into(),
        };
        header.sha256 = format::checksum(&header, &rest);
        let mut out = header.as_bytes().to_vec();
        out.append(&mut rest);
        Ok(out)
    }

    fn number(&self, value: usize) -> Result<u32, DatabaseError> {
        u32::try_from(value).map_err(|_| self.too_large("a section exceeds 4 GiB"))
    }

    fn too_large(&self, what: &str) -> DatabaseError {
        DatabaseError::TooLarge { path: self.path.clone(), what: what.to_owned() }
    }
}

/// The content of a row, as a sort key.
fn content(row: &Affected) -> impl Ord + '_ {
    let qualifiers = (&row.module, &row.arches, row.never_affected);
    (&row.intervals, &row.versions, qualifiers, row.fix_state.code(), row.severity.code())
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
