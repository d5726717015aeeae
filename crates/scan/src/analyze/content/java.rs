//! Java archives: what each says that it is, and the archives inside it.
//!
//! `META-INF/maven/GROUP/ARTIFACT/pom.properties` names an artifact for certain; an archive with several is one into
//! which others were unpacked. Where there is none, the manifest and the file's name are asked ([`identity`]).

mod groups;
mod identity;

use super::zip::stream::{self, Use};
use super::zip::{Archive, Entry, ZipError};
use crate::analyze::{Parsed, package};
use identity::{Artifact, Identity};
use std::borrow::Cow;
use std::io::BufRead;
use tidewaiter_core::package::{Location, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// Names of Java archives end like this.
const SUFFIXES: [&str; 9] = [".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".lpkg"];
/// Archives inside each other.
const MAX_DEPTH: usize = 8;
/// Entries of an archive and all inside it.
const MAX_ENTRIES: u64 = 4_000_000;
/// Bytes that may be unpacked of an archive and all inside it.
const MAX_UNPACKED: u64 = 1 << 30;
/// Bytes that may be unpacked of an archive that is too large to hold.
const MAX_PASSED: u64 = 8 << 30;
/// Bytes of one archive that was unpacked to be read, together with the file itself.
const MAX_MEMORY: u64 = 72 << 20;
/// Bytes of a manifest or of properties.
const MAX_TEXT: u64 = 1 << 20;
/// Artifacts of one file.
const MAX_PACKAGES: usize = 100_000;

/// Whether a path is a Java archive's.
pub(super) fn is_named(path: &str) -> bool {
    let tail = path.len().checked_sub(5).and_then(|start| path.as_bytes().get(start..)).unwrap_or(path.as_bytes());
    SUFFIXES.iter().any(|suffix| {
        let end = tail.len().checked_sub(suffix.len()).and_then(|start| tail.get(start..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
    })
}

/// The artifacts of an archive.
pub(super) fn archive(path: &str, bytes: &[u8]) -> Parsed {
    let memory = MAX_MEMORY.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let mut reader = Reader { path, out: Parsed::default(), entries: MAX_ENTRIES, unpacked: MAX_UNPACKED, memory };
    reader.archive("", path, bytes, 0);
    reader.out
}

/// The artifacts of an archive that is too large to hold.
pub(super) fn large_archive(path: &str, content: &mut impl BufRead) -> Parsed {
    let mut reader =
        Reader { path, out: Parsed::default(), entries: MAX_ENTRIES, unpacked: MAX_UNPACKED, memory: MAX_MEMORY };
    reader.pass(content);
    reader.out
}

/// What an entry is to the archive it lies in.
enum Role {
    /// A manifest or `pom.properties`.
    Text,
    Archive,
    Class,
    Other,
}

impl Role {
    fn of(name: &str) -> Self {
        let is_text = || {
            name.eq_ignore_ascii_case("META-INF/MANIFEST.MF")
                || (name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties"))
        };
        match name {
            _ if is_named(name) => Role::Archive,
            _ if name.ends_with(".class") => Role::Class,
            _ if is_text() => Role::Text,
            _ => Role::Other,
        }
    }
}

/// What is left of the limits, and what was found.
struct Reader<'p> {
    path: &'p str,
    out: Parsed,
    entries: u64,
    unpacked: u64,
    memory: u64,
}

impl Reader<'_> {
    /// Reads the archive at `inside`, a path in the file that begins with `!/`, or the file itself.
    fn archive(&mut self, inside: &str, name: &str, bytes: &[u8], depth: usize) {
        let archive = match Archive::open(bytes) {
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
        self.found_all(inside, identity);
    }

    fn entry(&mut self, inside: &str, archive: &Archive<'_>, entry: &Entry<'_>, depth: usize, identity: &mut Identity) {
        let Ok(name) = std::str::from_utf8(entry.name) else { return };
        match Role::of(name) {
            Role::Archive => self.nested(&format!("{inside}!/{name}"), name, archive, entry, depth),
            Role::Class => identity.class(name),
            Role::Other => {}
            Role::Text => match self.unpack(archive, entry, MAX_TEXT) {
                Ok(bytes) => identity.text(name, &bytes),
                Err(error) => self.unreadable(inside, &error),
            },
        }
    }

    /// Reads an archive as it passes; those inside it are held one by one.
    fn pass(&mut self, content: &mut impl BufRead) {
        let mut identity = Identity::new(self.path.rsplit('/').next().unwrap_or(self.path));
        let mut classes = Identity::default();
        let memory = self.memory;
        let mut left = self.entries;
        let wanted = |name: &str| {
            left = left.saturating_sub(1);
            match Role::of(name) {
                Role::Archive if left > 0 => Use::Read(memory),
                Role::Text if left > 0 => Use::Read(MAX_TEXT),
                role => {
                    if let Role::Class = role {
                        classes.class(name);
                    }
                    Use::Skip
                }
            }
        };
        let result = stream::entries(content, MAX_PASSED, wanted, |name, content| {
            let inside = if is_named(name) { format!("!/{name}") } else { String::new() };
            match content {
                Ok(bytes) if !inside.is_empty() => {
                    let held = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    self.memory = memory.saturating_sub(held);
                    self.archive(&inside, name, &bytes, 1);
                    self.memory = memory;
                }
                Ok(bytes) => identity.text(name, &bytes),
                Err(error) => self.unreadable(&inside, &error),
            }
        });
        if let Err(error) = result {
            self.unreadable("", &error);
        }
        if left == 0 {
            self.limit("", "it has too many entries");
        }
        identity.classes_of(classes);
        self.found_all("", identity);
    }

    fn nested(&mut self, inside: &str, name: &str, archive: &Archive<'_>, entry: &Entry<'_>, depth: usize) {
        if depth >= MAX_DEPTH {
            return self.limit(inside, "it lies too deep in other archives: skipped nesting");
        }
        // Each is read once whole; an archive made of entries that overlap must not be read for ever.
        match self.unpack(archive, entry, self.memory) {
            Ok(bytes) => {
                let held = if let Cow::Owned(bytes) = &bytes { u64::try_from(bytes.len()).unwrap_or(0) } else { 0 };
                self.memory -= held;
                self.archive(inside, name, &bytes, depth + 1);
                self.memory += held;
            }
            Err(error) => self.unreadable(inside, &error),
        }
    }

    /// Unpacks an entry and counts it; one that fails has cost as much as it might have.
    fn unpack<'b>(&mut self, archive: &Archive<'b>, entry: &Entry<'b>, max: u64) -> Result<Cow<'b, [u8]>, ZipError> {
        let max = max.min(self.unpacked);
        let content = archive.content(entry, max);
        let cost = content.as_ref().map_or(max, |bytes| u64::try_from(bytes.len()).unwrap_or(max));
        self.unpacked = self.unpacked.saturating_sub(cost);
        content
    }

    fn found_all(&mut self, inside: &str, identity: Identity) {
        for artifact in identity.artifacts() {
            self.found(inside, &artifact);
        }
    }

    fn found(&mut self, inside: &str, artifact: &Artifact) {
        if self.out.packages.len() >= MAX_PACKAGES {
            return self.limit(inside, "it has too many artifacts");
        }
        let mut package = package(PackageType::Maven, &artifact.name(), &artifact.version);
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

    fn limit(&mut self, inside: &str, cause: &str) {
        self.gap(GapKind::LimitReached, inside, cause);
    }

    fn gap(&mut self, kind: GapKind, inside: &str, cause: &str) {
        let gap = Gap {
            kind,
            subject: format!("{}{inside}", self.path),
            message: format!("{cause}; the Java packages in it are not judged"),
        };
        if self.out.gaps.len() < crate::analyze::MAX_GAPS && !self.out.gaps.contains(&gap) {
            self.out.gaps.push(gap);
        }
    }
}

#[cfg(test)]
#[path = "java/tests.rs"]
mod tests;
