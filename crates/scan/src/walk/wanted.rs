//! Paths that are wanted although no analyzer names them: where links lead to files that were not recorded.
//!
//! Two ways lead there. A wanted path may be reached through a link (`var/lib/dpkg -> /usr/share/dpkg`), so that the
//! file's own path looks like nothing; and an entry may be written through a link (`x -> lib` and `x/apk/db/installed`).

use crate::analyze;
use crate::path;
use crate::walk::diff::{EntryKind, LayerDiff};
use crate::walk::hash::PathHash;
use crate::walk::merge::MergedView;
use std::collections::{BTreeMap, BTreeSet};

/// What to read in addition to what analyzers name.
#[derive(Debug, Default)]
pub(crate) struct WantedPaths {
    /// Path in a layer → path by which it is wanted.
    files: BTreeMap<String, String>,
    /// Directory in a layer → directories that its content is wanted below.
    below: BTreeMap<String, Vec<String>>,
    /// Files of a layer whose bytes are recorded as they are.
    raw: BTreeSet<String>,
}

/// What a file is wanted for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Its bytes as they are.
    Raw,
    /// To be parsed as if it were at this path.
    As(String),
}

impl WantedPaths {
    /// Records these files of a layer as they are, whatever else they are wanted for.
    pub(crate) fn raw(files: BTreeSet<String>) -> Self {
        WantedPaths { raw: files, ..WantedPaths::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.below.is_empty()
    }

    /// A name for caches, the same for equal paths; none where files are recorded as they are.
    pub(crate) fn cache_key(&self) -> Option<String> {
        self.raw.is_empty().then(|| format!("{:?} {:?}", self.files, self.below))
    }

    /// Whether files that no path names are detected by their content.
    pub(crate) fn detects_content(&self) -> bool {
        self.raw.is_empty()
    }

    /// What a file is wanted for, if anything.
    pub(crate) fn find(&self, file: &str) -> Option<Wanted> {
        if self.raw.contains(file) {
            return Some(Wanted::Raw);
        }
        // Its own path counts before that of a link to it.
        if analyze::wants(file) {
            return Some(Wanted::As(file.to_owned()));
        }
        if let Some(wanted) = self.files.get(file) {
            return Some(Wanted::As(wanted.clone()));
        }
        // Nearly all images have no such link, and every file comes here.
        if self.below.is_empty() {
            return None;
        }
        let moved = path::parents(file).filter_map(|dir| Some((self.below.get(dir)?, file.get(dir.len() + 1..)?)));
        let mut moved = moved.flat_map(|(to, rest)| to.iter().map(move |dir| path::join(dir, rest)));
        moved.find(|path| analyze::wants(path)).map(Wanted::As)
    }

    /// Whether reading a layer again would find something.
    pub(crate) fn concern(&self, diff: &LayerDiff, hashes: &PathHash) -> bool {
        self.files.keys().any(|file| diff.files.contains(hashes.of(file)))
            || self.below.keys().any(|dir| diff.above.contains(&hashes.of(dir)))
    }

    /// Adds what the links of a layer make wanted, in the view with that layer on top.
    pub(crate) fn learn(&mut self, view: &MergedView, diff: &LayerDiff) {
        for path in analyze::exact_paths() {
            self.file(view, view.canonical(path), path);
        }
        for entry in &diff.entries {
            let path = view.canonical_parent(&entry.path);
            match &entry.kind {
                EntryKind::Hardlink(target) if analyze::wants(&path) => {
                    if let Some(real) = view.unrecorded(&path) {
                        self.file(view, real.to_owned(), &path);
                        // As the tar spells it, which may go through links.
                        self.file(view, target.clone(), &path);
                    }
                }
                EntryKind::Symlink(_) => self.symlink(view, &path),
                _ => {}
            }
        }
    }

    fn symlink(&mut self, view: &MergedView, link: &str) {
        let real = view.canonical(link);
        if real == link {
            return;
        }
        if analyze::wants(link) {
            self.file(view, real.clone(), link);
        }
        // Read through the link, and written through it.
        for (from, to) in [(real.as_str(), link), (link, real.as_str())] {
            if !from.is_empty() && wants_more_below(to, from) {
                let known = self.below.entry(from.to_owned()).or_default();
                if !known.iter().any(|dir| dir == to) {
                    known.push(to.to_owned());
                }
            }
        }
    }

    fn file(&mut self, view: &MergedView, real: String, wanted: &str) {
        // What is wanted by its own path, or was recorded anyway, needs no second reading.
        if !analyze::wants(&real) && !view.has_recorded(&real) {
            self.files.entry(real).or_insert_with(|| wanted.to_owned());
        }
    }
}

/// Whether a file below `dir` may be wanted that is not below `other`.
fn wants_more_below(dir: &str, other: &str) -> bool {
    let more = |rest: &str| analyze::wants(&path::join(dir, rest)) && !analyze::wants(&path::join(other, rest));
    let inside = analyze::samples().filter_map(|path| path.strip_prefix(dir)?.strip_prefix('/'));
    analyze::probes().chain(inside).any(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_that_change_what_is_wanted_count() {
        let check = |dir: &str, other: &str, expected: bool| {
            assert_eq!(wants_more_below(dir, other), expected, "{dir} {other}");
        };
        check("var/lib/dpkg", "usr/share/dpkg", true);
        check("lib", "usr/lib", false);
        check("lib", "opt", true);
        check("app/node_modules", "srv/deps", true);
        check("app/node_modules/a", "packages/a", true);
        check("app/node_modules/@s", "packages", true);
        check("app/node_modules/a", "app/node_modules/.pnpm/a@1.0.0/node_modules/a", false);
        check("site/a.dist-info", "x", true);
        check("srv", "app", false);
        check("usr/lib/libz.so", "usr/lib/libz.so.1", false);
    }
}
