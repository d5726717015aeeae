//! Paths that are wanted although no analyzer names them: where links lead to files that were not kept.
//!
//! Two ways lead there. A wanted path may be reached through a link (`var/lib/dpkg -> /usr/share/dpkg`), so that the
//! file's own path looks like nothing; and an entry may be written through a link (`x -> lib` and `x/apk/db/installed`).

use crate::analyze;
use crate::walk::hash::PathHash;
use crate::walk::layer::{Facts, What};
use crate::walk::merge::View;
use crate::walk::path;
use std::collections::{BTreeMap, BTreeSet};

/// What to read besides what analyzers name.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Path in a layer → path by which it is wanted.
    files: BTreeMap<String, String>,
    /// Directory in a layer → directories that its content is wanted below.
    below: BTreeMap<String, Vec<String>>,
    /// Files of a layer that are kept as they are.
    kept: BTreeSet<String>,
}

impl Rules {
    /// Rules that keep these files of a layer, whatever else they are.
    pub(crate) fn keeping(files: BTreeSet<String>) -> Self {
        Rules { kept: files, ..Rules::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.below.is_empty()
    }

    /// What tells these rules from others, for caches; none where files are kept as they are.
    pub(crate) fn id(&self) -> Option<String> {
        self.kept.is_empty().then(|| format!("{:?} {:?}", self.files, self.below))
    }

    /// Whether files that no path names are read by their content.
    pub(crate) fn by_content(&self) -> bool {
        self.kept.is_empty()
    }

    /// The path by which a file is wanted, if any.
    pub(crate) fn wanted_as(&self, file: &str) -> Option<String> {
        if self.kept.contains(file) {
            return Some(analyze::KEEP.to_owned());
        }
        if analyze::wants(file) {
            return Some(file.to_owned());
        }
        if let Some(wanted) = self.files.get(file) {
            return Some(wanted.clone());
        }
        if self.below.is_empty() {
            return None;
        }
        let moved = path::parents(file).filter_map(|dir| Some((self.below.get(dir)?, file.get(dir.len() + 1..)?)));
        let mut moved = moved.flat_map(|(to, rest)| to.iter().map(move |dir| path::join(dir, rest)));
        moved.find(|path| analyze::wants(path))
    }

    /// Whether reading a layer again would find something.
    pub(crate) fn concern(&self, facts: &Facts, hashes: &PathHash) -> bool {
        self.files.keys().any(|file| facts.files.contains(hashes.of(file)))
            || self.below.keys().any(|dir| facts.above.contains(&hashes.of(dir)))
    }

    /// Adds what the links of a layer make wanted, seen in the view with that layer on top.
    pub(crate) fn learn(&mut self, view: &View, facts: &Facts) {
        for fixed in analyze::fixed() {
            self.file(view, view.canonical(fixed), fixed);
        }
        for add in &facts.adds {
            let path = view.canonical_parent(&add.path);
            match &add.what {
                What::Hardlink(target) if analyze::wants(&path) => {
                    if let Some(real) = view.unread(&path) {
                        self.file(view, real.to_owned(), &path);
                        // As the tar spells it, which may run through links.
                        self.file(view, target.clone(), &path);
                    }
                }
                What::Symlink(_) => self.symlink(view, &path),
                _ => {}
            }
        }
    }

    fn symlink(&mut self, view: &View, link: &str) {
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

    fn file(&mut self, view: &View, real: String, wanted: &str) {
        if !analyze::wants(&real) && !view.holds(&real) {
            self.files.entry(real).or_insert_with(|| wanted.to_owned());
        }
    }
}

/// Whether a file below `dir` may be wanted that is not below `other`.
fn wants_more_below(dir: &str, other: &str) -> bool {
    let more = |rest: &str| analyze::wants(&path::join(dir, rest)) && !analyze::wants(&path::join(other, rest));
    let fixed = analyze::samples().filter_map(|path| path.strip_prefix(dir)?.strip_prefix('/'));
    analyze::PROBES.iter().copied().chain(fixed).any(more)
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
