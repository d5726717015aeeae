//! SQLite databases with a write-ahead log: two files that say together what neither says alone.
//!
//! A layer is read once and keeps no file, so a log only says there that it has content. Where a merged view holds such
//! a log beside its database, in whichever layers they came, those layers are read again and the two files are kept.

use crate::ScanError;
use crate::analyze::{self, LOG, Parsed};
use crate::source::Image;
use crate::walk::Scan;
use crate::walk::layer::{self, Facts, What};
use crate::walk::links::Rules;
use crate::walk::merge::View;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewaiter_core::report::{Gap, GapKind};

/// A file of a layer, told by where its parsed content lies: as long as the facts live, no other has that address.
type Id = usize;

fn id(parsed: &Arc<Parsed>) -> Id {
    Arc::as_ptr(parsed).addr()
}

/// A database and its log in one view.
struct Pair<'v> {
    /// Where the log is.
    log_path: &'v str,
    log: &'v Arc<Parsed>,
    /// Where the database is, when there is one.
    path: String,
    database: Option<&'v Arc<Parsed>>,
}

fn pairs(view: &View) -> impl Iterator<Item = Pair<'_>> {
    view.files().filter(|(_, _, parsed)| parsed.log).filter_map(|(log_path, _, log)| {
        let path = view.canonical(log_path.strip_suffix(LOG)?);
        Some(Pair { log_path, log, database: view.get(&path), path })
    })
}

/// Path → the path by which it is wanted, and what the file there says.
pub(super) type Files<'v> = BTreeMap<&'v str, (&'v str, Arc<Parsed>)>;

/// The files that were kept, and what they say together.
#[derive(Default)]
pub(super) struct Journals {
    kept: BTreeMap<Id, Vec<u8>>,
    joined: BTreeMap<(Id, Id), Arc<Parsed>>,
}

impl Journals {
    /// Reads again the layers that hold a log with content, or a database beside one.
    pub(super) fn read(image: &Image, facts: &[Facts], scan: &Scan<'_>) -> Result<Self, ScanError> {
        if !facts.iter().flat_map(files).any(|(_, parsed)| parsed.log) {
            return Ok(Journals::default());
        }
        let mut needed = BTreeSet::new();
        let mut view = View::default();
        for layer in facts {
            view.apply(layer, &scan.hashes);
            let both = pairs(&view).filter_map(|pair| Some([id(pair.log), id(pair.database?)]));
            needed.extend(both.flatten());
        }
        let mut journals = Journals::default();
        let mut room = usize::try_from(scan.options.limits.database_bytes).unwrap_or(usize::MAX);
        for (index, layer) in facts.iter().enumerate() {
            let wanted = || files(layer).filter(|(_, parsed)| needed.contains(&id(parsed)));
            let paths: BTreeSet<String> = wanted().map(|(path, _)| path.to_owned()).collect();
            if paths.is_empty() {
                continue;
            }
            let again = layer::read(image, index, &Rules::keeping(paths.clone()), scan)?;
            for path in &paths {
                // The same path may stand in a layer more than once: its entries are in the same order again.
                let first = files(layer).filter(|(p, _)| p == path).map(|(_, parsed)| id(parsed));
                let second = files(&again).filter(|(p, _)| p == path).map(|(_, parsed)| parsed.kept.as_ref());
                for (id, bytes) in first.zip(second).filter_map(|(id, bytes)| Some((id, bytes?))) {
                    if let Some(left) = room.checked_sub(bytes.len()) {
                        room = left;
                        journals.kept.insert(id, bytes.clone());
                    }
                }
            }
        }
        Ok(journals)
    }

    /// What a view's files say, each database read together with its log.
    pub(super) fn files<'v>(&mut self, view: &'v View) -> Files<'v> {
        let all = view.files().map(|(path, wanted, parsed)| (path, (wanted, Arc::clone(parsed))));
        let mut out: Files<'_> = all.collect();
        for pair in pairs(view) {
            match pair.database {
                Some(database) => {
                    let joined = self.join(&pair, database);
                    if let Some((_, alone)) = out.get_mut(pair.path.as_str()) {
                        *alone = joined;
                    }
                }
                None => {
                    let gap = unreadable(pair.log_path, "there is no database beside this write-ahead log");
                    let alone = Arc::new(Parsed { gaps: vec![gap], ..Parsed::default() });
                    out.insert(pair.log_path, (pair.log_path, alone));
                }
            }
        }
        out
    }

    fn join(&mut self, pair: &Pair<'_>, database: &Arc<Parsed>) -> Arc<Parsed> {
        let ids = (id(database), id(pair.log));
        let joined = self.joined.entry(ids).or_insert_with(|| {
            let (Some(bytes), Some(log)) = (self.kept.get(&ids.0), self.kept.get(&ids.1)) else {
                let mut alone = Parsed::clone(database);
                alone.gaps.push(unreadable(&pair.path, "it is too large to be read together with its write-ahead log"));
                return Arc::new(alone);
            };
            Arc::new(analyze::with_log(&pair.path, bytes, log))
        });
        Arc::clone(joined)
    }
}

fn files(layer: &Facts) -> impl Iterator<Item = (&str, &Arc<Parsed>)> {
    layer.adds.iter().filter_map(|add| match &add.what {
        What::File(parsed, _) => Some((add.path.as_str(), parsed)),
        _ => None,
    })
}

fn unreadable(path: &str, cause: &str) -> Gap {
    let message = format!("{cause}; what it holds is not judged");
    Gap { kind: GapKind::UnreadableFile, subject: path.to_owned(), message }
}
