//! The entries of one layer's tar, reduced to its changeset within the limits.

use crate::path;
use crate::walk::ScanResources;
use crate::walk::diff::{EntryKind, LayerDiff, LayerEntry};
use crate::walk::wanted::{Wanted, WantedPaths};
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use tidewaiter_archive::tar::{TarEntry, TarEntryKind, TarError, TarReader};

/// Bytes that a recorded path or link takes in addition to its text: its place in vectors and maps, rounded.
const ENTRY_COST: u64 = 64;

/// A walk through one tar.
pub(super) struct TarWalk<'a> {
    wanted: &'a WantedPaths,
    pub(super) scan: &'a ScanResources<'a>,
    diff: LayerDiff,
    /// Entries so far.
    position: u32,
    /// Bytes recorded so far, against [`crate::limits::Limits::recorded_bytes`].
    recorded: u64,
    /// For programs of ordinary size, one after the other.
    pub(super) buffer: Vec<u8>,
    /// For the hashes of an entry's directories.
    parents: Vec<u64>,
}

impl<'a> TarWalk<'a> {
    pub(super) fn new(wanted: &'a WantedPaths, scan: &'a ScanResources<'a>) -> Self {
        let (buffer, parents) = (Vec::new(), Vec::new());
        TarWalk { wanted, scan, diff: LayerDiff::default(), position: 0, recorded: 0, buffer, parents }
    }

    /// The changeset, ready for look-ups.
    pub(super) fn into_diff(self) -> LayerDiff {
        let mut diff = self.diff;
        diff.files.sort();
        diff.dirs.sort();
        diff
    }

    /// Reads all entries of a tar.
    pub(super) fn entries(&mut self, bytes: impl BufRead) -> Result<(), TarError> {
        let limits = self.scan.limits;
        let mut reader = TarReader::new(bytes, limits.header_bytes);
        while let Some(entry) = reader.next_entry()? {
            self.position = self.position.saturating_add(1);
            // Before anything is recorded of it.
            if u64::from(self.position) > limits.entries {
                return Err(limit_hit("entries", limits.entries));
            }
            let TarEntry { path, kind, size } = entry;
            // Cleaned before it is measured, as runtimes do: `./` and `//` cost an unpacked path nothing.
            let path = path::clean(path);
            if path.len() as u64 > limits.path_bytes {
                return Err(TarError::TooLong(limits.path_bytes));
            }
            // The root itself is in most tars and never a file.
            if path.is_empty() || self.whiteout(&path)? {
                continue;
            }
            self.entry(path, kind, size, &mut reader)?;
        }
        Ok(())
    }

    /// Records `.wh.` entries, which are never visible themselves.
    fn whiteout(&mut self, path: &str) -> Result<bool, TarError> {
        let (dir, name) = path::split(path);
        let Some(target) = name.strip_prefix(".wh.") else { return Ok(false) };
        self.record(path.len())?;
        match target {
            ".wh..opq" => self.diff.opaque.push(dir.to_owned()),
            // Other `.wh..wh.` names belong to storage drivers; they hide nothing.
            _ if target.starts_with(".wh.") => {}
            _ => self.diff.whiteouts.push(path::join(dir, target)),
        }
        Ok(true)
    }

    fn entry(&mut self, path: String, kind: TarEntryKind, size: u64, content: &mut impl Read) -> Result<(), TarError> {
        let hash = self.scan.hashes.with_parents(&path, &mut self.parents);
        for dir in &self.parents {
            // Nearest first: the directories above a known one are known.
            if !self.diff.above.insert(*dir) {
                break;
            }
        }
        match kind {
            TarEntryKind::Directory => self.diff.dirs.push(hash, self.position),
            TarEntryKind::Symlink(target) => self.link(path, target, EntryKind::Symlink)?,
            TarEntryKind::Hardlink(target) => self.link(path, path::clean(target), EntryKind::Hardlink)?,
            TarEntryKind::Other => self.diff.files.push(hash, self.position),
            TarEntryKind::File => {
                self.diff.files.push(hash, self.position);
                self.file(path, size, content)?;
            }
        }
        Ok(())
    }

    /// Reads a file if its path is wanted, or if its first bytes say that it is a program or an archive.
    fn file(&mut self, path: String, size: u64, content: &mut impl Read) -> Result<(), TarError> {
        // By path first: a package database must not be taken for a program because of its first bytes.
        match self.wanted.find(&path) {
            Some(Wanted::Raw) => {
                let bytes = self.raw(&path, size, content)?;
                self.diff.raw.push((path, bytes));
            }
            Some(Wanted::As(wanted)) => {
                let parsed = self.parse(&path, &wanted, size, content)?;
                self.add(path, EntryKind::File(Arc::new(parsed), wanted.into()));
            }
            None if self.wanted.detects_content() => {
                if let Some(parsed) = self.detect(&path, size, content)? {
                    let wanted = path.as_str().into();
                    self.add(path, EntryKind::File(Arc::new(parsed), wanted));
                }
            }
            None => {}
        }
        Ok(())
    }

    fn link(&mut self, path: String, target: String, kind: fn(String) -> EntryKind) -> Result<(), TarError> {
        let max = self.scan.limits.path_bytes;
        if target.len() as u64 > max {
            return Err(TarError::TooLong(max));
        }
        self.record(path.len() + target.len())?;
        self.add(path, kind(target));
        Ok(())
    }

    fn add(&mut self, path: String, kind: EntryKind) {
        self.diff.entries.push(LayerEntry { path, position: self.position, kind });
    }

    /// Counts bytes that stay in memory.
    pub(super) fn record(&mut self, bytes: usize) -> Result<(), TarError> {
        let max = self.scan.limits.recorded_bytes;
        self.recorded = self.recorded.saturating_add(bytes as u64 + ENTRY_COST);
        if self.recorded > max { Err(limit_hit("bytes of package data and links", max)) } else { Ok(()) }
    }
}

/// A limit on its way out through an I/O error.
#[derive(Debug, thiserror::Error)]
#[error("more than {1} {0}")]
pub(super) struct LimitHit(pub(super) &'static str, pub(super) u64);

fn limit_hit(what: &'static str, limit: u64) -> TarError {
    TarError::Io(io::Error::other(LimitHit(what, limit)))
}
