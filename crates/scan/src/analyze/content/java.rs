//! Java archives: the artifacts that each names, and the archives inside it.
//!
//! `META-INF/maven/GROUP/ARTIFACT/pom.properties` names an artifact for certain; an archive with several is one into
//! which others were unpacked. Where there is none, the manifest and the file's name are used ([`identity`]).

mod entry;
mod groups;
mod identity;
mod layers;
mod names;
mod unpacked;

pub(super) use entry::is_named;

use crate::analyze::{ParsedFile, sbom};
use entry::EntryRole;
use identity::{Artifact, Identity};
use std::borrow::Cow;
use std::io::BufRead;
use tidewaiter_archive::zip::stream::{StreamedContent, ZipStream};
use tidewaiter_archive::zip::{ZipArchive, ZipEntry, ZipError};
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// Archives inside each other: an EAR has a WAR with jars, which may shade others.
const MAX_DEPTH: usize = 8;
/// Entries of an archive and all inside it, as many as of a layer.
const MAX_ENTRIES: u64 = 4_000_000;
/// Bytes that may be unpacked of an archive and all inside it.
const MAX_UNPACKED: u64 = 1 << 30;
/// Bytes that may be unpacked of an archive that is streamed.
const MAX_STREAMED: u64 = 8 << 30;
/// Bytes of a file and of the archives unpacked from it that are in memory at the same time: what [`super::Format::max_buffered`]
/// leaves of a file's limit, and a little more.
const MAX_MEMORY: u64 = 72 << 20;
/// Bytes that each streamed archive counts for at least: millions of empty ones must not be free.
const MIN_COST: u64 = 64 << 10;
/// Bytes of a manifest or of properties: true ones have a few hundred kilobytes at most.
const MAX_TEXT: u64 = 1 << 20;
/// Bytes of an SBOM: as of one that is a file.
const MAX_SBOM: u64 = 16 << 20;
/// Packages that a gap names.
const SHOWN: usize = 5;
/// Artifacts of one file: the largest distributions have some thousands.
const MAX_PACKAGES: usize = 100_000;

/// The artifacts of an archive.
pub(super) fn archive(path: &str, bytes: &[u8]) -> ParsedFile {
    let memory = MAX_MEMORY.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let mut reader = JavaArchiveReader::new(path, MAX_UNPACKED, memory);
    reader.archive("", path, bytes, 0);
    reader.out
}

/// The artifacts of an archive that is too large to buffer.
pub(super) fn large_archive(path: &str, content: &mut impl BufRead) -> ParsedFile {
    let mut reader = JavaArchiveReader::new(path, MAX_STREAMED, MAX_MEMORY);
    reader.stream("", path, content, 0);
    reader.out
}

/// Reads an archive and all inside it: what is left of the limits, and what was found.
struct JavaArchiveReader<'p> {
    path: &'p str,
    out: ParsedFile,
    /// Whether the file itself has an SBOM with packages.
    with_sbom: bool,
    entries: u64,
    unpacked: u64,
    memory: u64,
}

impl<'p> JavaArchiveReader<'p> {
    fn new(path: &'p str, unpacked: u64, memory: u64) -> Self {
        JavaArchiveReader { path, out: ParsedFile::default(), with_sbom: false, entries: MAX_ENTRIES, unpacked, memory }
    }

    /// Reads the archive at `inside`, a path in the file that begins with `!/`, or the file itself.
    fn archive(&mut self, inside: &str, name: &str, bytes: &[u8], depth: usize) {
        let archive = match ZipArchive::open(bytes) {
            Ok(Some(archive)) => archive,
            Ok(None) => return,
            Err(error) => return self.unreadable(inside, &error),
        };
        let mut identity = Identity::new(name.rsplit('/').next().unwrap_or(name));
        for entry in archive.entries() {
            self.entries = self.entries.saturating_sub(1);
            match entry {
                _ if self.entries == 0 => return self.limit(inside, "it has too many entries"),
                Err(error) => return self.unreadable(inside, &error),
                Ok(entry) => self.entry(inside, &archive, &entry, depth, &mut identity),
            }
        }
        self.found_all(inside, &identity);
    }

    fn entry(
        &mut self,
        inside: &str,
        archive: &ZipArchive<'_>,
        entry: &ZipEntry<'_>,
        depth: usize,
        identity: &mut Identity,
    ) {
        let Ok(name) = std::str::from_utf8(entry.name) else { return };
        match EntryRole::of(name) {
            EntryRole::Archive => self.nested(&format!("{inside}!/{name}"), name, archive, entry, depth),
            EntryRole::Class => identity.class(name),
            EntryRole::Other => {}
            EntryRole::Sbom if depth > 0 => {}
            EntryRole::Sbom => match self.unpack(archive, entry, MAX_SBOM) {
                Ok(bytes) => self.sbom(inside, name, &bytes),
                Err(error) => self.unreadable(inside, &error),
            },
            EntryRole::Text => match self.unpack(archive, entry, MAX_TEXT) {
                Ok(bytes) => identity.text(name, &bytes),
                Err(error) => self.unreadable(inside, &error),
            },
        }
    }

    /// Streams an archive; those inside it are buffered one by one, or streamed too.
    fn stream(&mut self, inside: &str, name: &str, content: &mut dyn BufRead, depth: usize) {
        let mut identity = Identity::new(name.rsplit('/').next().unwrap_or(name));
        let mut archive = ZipStream::new(content);
        loop {
            let header = match archive.next_entry() {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(error) => break self.unreadable(inside, &error),
            };
            self.entries = self.entries.saturating_sub(1);
            if self.entries == 0 {
                break self.limit(inside, "it has too many entries");
            }
            let (name, left) = (header.name.as_str(), self.unpacked);
            let unpacked = match EntryRole::of(name) {
                // Half: an archive inside this one may have to be buffered at the same time.
                EntryRole::Archive => archive.content(&header, self.memory / 2, left, |content| {
                    self.streamed(&format!("{inside}!/{name}"), name, content, depth);
                }),
                EntryRole::Text => archive.content(&header, MAX_TEXT, left, |content| match content {
                    StreamedContent::Whole(bytes) => identity.text(name, &bytes),
                    StreamedContent::Longer(_) => self.unreadable(inside, &ZipError::TooLarge),
                    StreamedContent::Unreadable(error) => self.unreadable(inside, &error),
                }),
                EntryRole::Sbom if depth == 0 => archive.content(&header, MAX_SBOM, left, |content| match content {
                    StreamedContent::Whole(bytes) => self.sbom(inside, name, &bytes),
                    StreamedContent::Longer(_) => self.unreadable(inside, &ZipError::TooLarge),
                    StreamedContent::Unreadable(error) => self.unreadable(inside, &error),
                }),
                role => {
                    if let EntryRole::Class = role {
                        identity.class(name);
                    }
                    archive.skip(&header, left)
                }
            };
            match unpacked {
                Ok(unpacked) => self.unpacked = self.unpacked.saturating_sub(unpacked),
                Err(error) => break self.unreadable(inside, &error),
            }
        }
        self.found_all(inside, &identity);
    }

    /// Reads an archive inside a streamed one.
    fn streamed(&mut self, inside: &str, name: &str, content: StreamedContent<'_>, depth: usize) {
        if depth >= MAX_DEPTH {
            return self.too_deep(inside);
        }
        let before = self.memory;
        match content {
            StreamedContent::Whole(bytes) => {
                self.memory = before.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                self.archive(inside, name, &bytes, depth + 1);
            }
            StreamedContent::Longer(content) => self.long_streamed(inside, name, content, depth),
            StreamedContent::Unreadable(error) => self.unreadable(inside, &error),
        }
        self.memory = before;
    }

    /// Streams an archive inside another, with half of what is left: the outer one is unpacked at the same time.
    fn long_streamed(&mut self, inside: &str, name: &str, content: &mut dyn BufRead, depth: usize) {
        let (memory, unpacked) = (self.memory, self.unpacked);
        (self.memory, self.unpacked) = (memory / 2, unpacked / 2);
        self.stream(inside, name, content, depth + 1);
        (self.memory, self.unpacked) = (memory, unpacked - unpacked / 2 + self.unpacked);
    }

    fn nested(&mut self, inside: &str, name: &str, archive: &ZipArchive<'_>, entry: &ZipEntry<'_>, depth: usize) {
        if depth >= MAX_DEPTH {
            return self.too_deep(inside);
        }
        // What is stored is in memory already.
        let max = if entry.is_stored() { u64::MAX } else { self.memory };
        if entry.size > max {
            return match archive.inflated(entry) {
                Ok(content) => self.long_entry(inside, name, content, depth),
                Err(error) => self.unreadable(inside, &error),
            };
        }
        // Every entry counts, so that an archive of overlapping entries ends too.
        match self.unpack(archive, entry, max) {
            Ok(bytes) => {
                let buffered = if let Cow::Owned(bytes) = &bytes { u64::try_from(bytes.len()).unwrap_or(0) } else { 0 };
                self.memory -= buffered;
                self.archive(inside, name, &bytes, depth + 1);
                self.memory += buffered;
            }
            Err(error) => self.unreadable(inside, &error),
        }
    }

    fn long_entry(&mut self, inside: &str, name: &str, content: impl BufRead, depth: usize) {
        let budget = self.unpacked;
        let mut content = content.take(budget);
        self.long_streamed(inside, name, &mut content, depth);
        self.unpacked = self.unpacked.saturating_sub((budget - content.limit()).max(MIN_COST));
        if content.limit() == 0 {
            self.unreadable(inside, &ZipError::TooLarge);
        }
    }

    /// Unpacks an entry and counts it; one that fails counts for the most it might have cost.
    fn unpack<'b>(
        &mut self,
        archive: &ZipArchive<'b>,
        entry: &ZipEntry<'b>,
        max: u64,
    ) -> Result<Cow<'b, [u8]>, ZipError> {
        let max = max.min(self.unpacked);
        let content = archive.content(entry, max);
        let cost = content.as_ref().map_or(max, |bytes| u64::try_from(bytes.len()).unwrap_or(max));
        self.unpacked = self.unpacked.saturating_sub(cost);
        content
    }

    /// Adds what an SBOM of the archive names.
    fn sbom(&mut self, inside: &str, name: &str, bytes: &[u8]) {
        let place = format!("{inside}!/{name}");
        let mut parsed = sbom::of_java(&format!("{}{place}", self.path), bytes);
        self.with_sbom |= !parsed.packages.is_empty();
        parsed.packages.truncate(MAX_PACKAGES.saturating_sub(self.out.packages.len()));
        for package in &mut parsed.packages {
            package.locations.push(Location { path: place.clone(), layer: 0 });
        }
        self.out.add(parsed);
    }

    fn found_all(&mut self, inside: &str, identity: &Identity) {
        let artifacts = identity.artifacts();
        // An SBOM names what no other metadata does.
        let listed = self.with_sbom && inside.is_empty();
        let unnamed = if listed { Vec::new() } else { identity.unnamed(&artifacts) };
        if !unnamed.is_empty() {
            self.unpacked(inside, &unnamed);
        }
        artifacts.iter().for_each(|artifact| self.found(inside, artifact));
        for module in identity.own_modules() {
            let place = format!("{inside}!/{module}");
            let is_it = |package: &&mut Package| package.locations.iter().any(|location| location.path == place);
            self.out.packages.iter_mut().filter(is_it).for_each(|package| package.own = true);
        }
    }

    /// Says that the classes below some packages are of archives that nothing names.
    fn unpacked(&mut self, inside: &str, packages: &[&str]) {
        let (shown, more) = packages.split_at(packages.len().min(SHOWN));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let message = format!(
            "classes of other archives were unpacked into it without what names them ({}{more}), so that those libraries are \
             not scanned; keep META-INF/maven, pack the libraries as archives, or add an SBOM in META-INF/sbom",
            shown.join(", ")
        );
        self.add_gap(Gap { kind: GapKind::UnreadableFile, subject: format!("{}{inside}", self.path), message });
    }

    fn found(&mut self, inside: &str, artifact: &Artifact) {
        if self.out.packages.len() >= MAX_PACKAGES {
            return self.limit(inside, "it has too many artifacts");
        }
        let mut package = Package::new(PackageType::Maven, artifact.name(), &artifact.version);
        if !inside.is_empty() {
            package.locations.push(Location { path: inside.to_owned(), layer: 0 });
        }
        self.out.packages.push(package);
    }

    fn unreadable(&mut self, inside: &str, error: &ZipError) {
        if *error == ZipError::TooLarge {
            return self.limit(inside, "it is too large");
        }
        self.gap(GapKind::UnreadableFile, inside, &error.to_string());
    }

    fn too_deep(&mut self, inside: &str) {
        self.limit(inside, "it is nested too deep in other archives, and skipped");
    }

    fn limit(&mut self, inside: &str, cause: &str) {
        self.gap(GapKind::LimitReached, inside, cause);
    }

    fn gap(&mut self, kind: GapKind, inside: &str, cause: &str) {
        let gap = Gap {
            kind,
            subject: format!("{}{inside}", self.path),
            message: format!("{cause}; the Java packages in it are not scanned"),
        };
        self.add_gap(gap);
    }

    fn add_gap(&mut self, gap: Gap) {
        if self.out.gaps.len() < crate::analyze::MAX_GAPS && !self.out.gaps.contains(&gap) {
            self.out.gaps.push(gap);
        }
    }
}

#[cfg(test)]
#[path = "java/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "java/tests_of_names.rs"]
mod tests_of_names;
