//! SQLite databases with a write-ahead log (WAL): two files that are only right together.
//!
//! A layer is read once and records no file as it is, so its log only says there that it has content. Where a merged view
//! has such a log next to its database, whichever layers they are in, those layers are read again and the two files are
//! recorded. These reads go past the cache, which has no files.

use crate::analyze::{self, ParsedFile, WAL_SUFFIX};
use crate::error::ScanError;
use crate::source::Image;
use crate::walk::diff::{LayerDiff, LayerRead};
use crate::walk::merge::MergedView;
use crate::walk::wanted::WantedPaths;
use crate::walk::{ScanResources, read};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewaiter_core::report::{Gap, GapKind};

/// Identifies a file of a layer by the address of its parsed content, which no other file has while the changesets live.
type FileId = usize;

fn id(parsed: &Arc<ParsedFile>) -> FileId {
    Arc::as_ptr(parsed).addr()
}

/// A log and its database in one view.
struct Pair<'v> {
    log_path: &'v str,
    log: &'v Arc<ParsedFile>,
    /// Where the database is, when there is one.
    path: String,
    database: Option<&'v Arc<ParsedFile>>,
}

fn pairs(view: &MergedView) -> impl Iterator<Item = Pair<'_>> {
    view.files().filter(|(_, _, parsed)| parsed.is_wal).filter_map(|(log_path, _, log)| {
        let path = view.canonical(log_path.strip_suffix(WAL_SUFFIX)?);
        Some(Pair { log_path, log, database: view.get(&path), path })
    })
}

/// Path → the path by which it is wanted, and the parsed file.
pub(super) type FilesInView<'v> = BTreeMap<&'v str, (&'v str, Arc<ParsedFile>)>;

/// The recorded files, and each database parsed together with its log.
#[derive(Default)]
pub(super) struct WalDatabases {
    recorded: BTreeMap<FileId, Vec<u8>>,
    joined: BTreeMap<(FileId, FileId), Arc<ParsedFile>>,
}

impl WalDatabases {
    /// Reads again the layers that have a log with content, or a database next to one.
    pub(super) fn read(image: &Image, layers: &[LayerRead], scan: &ScanResources<'_>) -> Result<Self, ScanError> {
        let mut out = WalDatabases::default();
        let diffs = || layers.iter().filter_map(LayerRead::diff);
        // SQLite deletes the log when the last connection closes: most scans end here.
        if !diffs().flat_map(LayerDiff::wanted_files).any(|(_, parsed)| parsed.is_wal) {
            return Ok(out);
        }
        let mut needed = BTreeSet::new();
        let mut view = MergedView::default();
        for diff in diffs() {
            view.apply(diff, &scan.hashes);
            let both = pairs(&view).filter_map(|pair| Some([id(pair.log), id(pair.database?)]));
            needed.extend(both.flatten());
        }
        // One limit for all: an image may have any number of such pairs.
        let mut room = usize::try_from(scan.limits.database_bytes).unwrap_or(usize::MAX);
        for (layer, known) in image.layers().zip(layers) {
            let Some(known) = known.diff() else { continue };
            let needed = known.wanted_files().filter(|(_, parsed)| needed.contains(&id(parsed)));
            let paths: BTreeSet<String> = needed.map(|(path, _)| path.to_owned()).collect();
            if paths.is_empty() {
                continue;
            }
            if let LayerRead::Read(again) = read::read(layer, &WantedPaths::raw(paths.clone()), scan)? {
                out.record(&paths, known, again.diff, &mut room);
            }
        }
        Ok(out)
    }

    /// Records the bytes of a layer's files while there is room for them.
    fn record(&mut self, paths: &BTreeSet<String>, known: &LayerDiff, again: LayerDiff, room: &mut usize) {
        let mut bytes: BTreeMap<String, Vec<Option<Vec<u8>>>> = BTreeMap::new();
        for (path, raw) in again.raw {
            bytes.entry(path).or_default().push(raw);
        }
        for path in paths {
            // A path may be in a tar more than once: its entries are in the same order again.
            let ids = known.wanted_files().filter(|(p, _)| p == path).map(|(_, parsed)| id(parsed));
            for (id, bytes) in ids.zip(bytes.remove(path).unwrap_or_default()) {
                if let Some(bytes) = bytes
                    && let Some(left) = room.checked_sub(bytes.len())
                {
                    *room = left;
                    self.recorded.insert(id, bytes);
                }
            }
        }
    }

    /// A view's files, each database read together with its log.
    pub(super) fn files<'v>(&mut self, view: &'v MergedView) -> FilesInView<'v> {
        let all = view.files().map(|(path, wanted, parsed)| (path, (wanted, Arc::clone(parsed))));
        let mut out: FilesInView<'_> = all.collect();
        for pair in pairs(view) {
            match pair.database {
                Some(database) => {
                    let joined = self.join(&pair, database);
                    if let Some((_, alone)) = out.get_mut(pair.path.as_str()) {
                        *alone = joined;
                    }
                }
                None => {
                    let gap = unreadable(pair.log_path, "there is no database next to this write-ahead log");
                    let alone = Arc::new(ParsedFile { gaps: vec![gap], ..ParsedFile::default() });
                    out.insert(pair.log_path, (pair.log_path, alone));
                }
            }
        }
        out
    }

    fn join(&mut self, pair: &Pair<'_>, database: &Arc<ParsedFile>) -> Arc<ParsedFile> {
        let ids = (id(database), id(pair.log));
        let files = self.recorded.get(&ids.0).zip(self.recorded.get(&ids.1));
        let read = || files.map(|(bytes, log)| analyze::with_wal(&pair.path, bytes, log));
        let joined = || Arc::new(read().unwrap_or_else(|| without_log(pair, database)));
        Arc::clone(self.joined.entry(ids).or_insert_with(joined))
    }
}

/// The database alone, with a gap.
fn without_log(pair: &Pair<'_>, database: &ParsedFile) -> ParsedFile {
    let mut alone = database.clone();
    alone.gaps.push(unreadable(&pair.path, "it is too large to be read together with its write-ahead log"));
    alone
}

fn unreadable(path: &str, cause: &str) -> Gap {
    let message = format!("{cause}; what it holds is not scanned");
    Gap { kind: GapKind::UnreadableFile, subject: path.to_owned(), message }
}
