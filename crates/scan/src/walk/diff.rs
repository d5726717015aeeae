//! What one layer does to the file system below it: its changeset, in the words of the OCI image specification.

use crate::analyze::ParsedFile;
use crate::walk::hash::PathSet;
use crate::walk::positions::EntryPositions;
use std::sync::Arc;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::Gap;

/// A layer that was read, or the gap that it leaves.
#[derive(Debug)]
pub(crate) enum LayerRead {
    /// It was read to its end and verified.
    Read(Box<VerifiedLayer>),
    /// A foreign layer that its registry does not have.
    Absent(Gap),
}

impl LayerRead {
    /// What the layer does to the file system; nothing is known of an absent one.
    pub(crate) fn diff(&self) -> Option<&LayerDiff> {
        match self {
            LayerRead::Read(layer) => Some(&layer.diff),
            LayerRead::Absent(_) => None,
        }
    }
}

/// A changeset, and the digests of the bytes that it was read from.
#[derive(Debug)]
pub(crate) struct VerifiedLayer {
    /// Digest of the stored bytes.
    pub(crate) digest: Digest,
    /// Digest of the tar.
    pub(crate) diff_id: Digest,
    /// Stored bytes.
    pub(crate) size: u64,
    pub(crate) diff: LayerDiff,
}

/// What a layer adds, replaces and deletes.
#[derive(Debug, Default)]
pub(crate) struct LayerDiff {
    /// Directories whose lower content is hidden.
    pub(crate) opaque: Vec<String>,
    /// Lower paths that are deleted.
    pub(crate) whiteouts: Vec<String>,
    /// Wanted files and links, in the order of the tar.
    pub(crate) entries: Vec<LayerEntry>,
    /// All paths that are neither directory nor link.
    pub(crate) files: EntryPositions,
    /// All directories.
    pub(crate) dirs: EntryPositions,
    /// Hashes of all directories above any entry.
    pub(crate) above: PathSet,
    /// The bytes of the files that were wanted as they are; none where one is too large.
    pub(crate) raw: Vec<(String, Option<Vec<u8>>)>,
}

impl LayerDiff {
    /// The wanted files, by their path in the tar.
    pub(crate) fn wanted_files(&self) -> impl Iterator<Item = (&str, &Arc<ParsedFile>)> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::File(parsed, _) => Some((entry.path.as_str(), parsed)),
            _ => None,
        })
    }
}

/// A wanted file or a link.
#[derive(Debug)]
pub(crate) struct LayerEntry {
    /// The path as the tar has it, cleaned.
    pub(crate) path: String,
    /// Its position in the tar, from 1: later entries replace earlier ones.
    pub(crate) position: u32,
    pub(crate) kind: EntryKind,
}

/// What an entry is.
#[derive(Debug)]
pub(crate) enum EntryKind {
    /// A file's parsed content, and the path by which an analyzer wants it.
    File(Arc<ParsedFile>, Arc<str>),
    /// A symbolic link to the target.
    Symlink(String),
    /// A hard link to another path.
    Hardlink(String),
}
