//! Files that list packages entry by entry.

use super::{MAX_GAPS, ParsedFile, is_text, unreadable};
use serde_json::Value;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// Packages that one file may list: several times as many as the largest true ones do.
const MAX_PACKAGES: usize = 50_000;

/// What one file lists so far.
pub(super) struct Listing<'a> {
    path: &'a str,
    parsed: ParsedFile,
}

/// A place in what one file lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(usize);

impl<'a> Listing<'a> {
    pub(super) fn new(path: &'a str) -> Self {
        Listing { path, parsed: ParsedFile::default() }
    }

    /// Adds a package. One without version is listed all the same, so that the report says it was not judged.
    pub(super) fn add(&mut self, kind: PackageType, name: &str, version: &str) {
        self.package(Package::new(kind, name.trim(), version.trim()));
    }

    pub(super) fn package(&mut self, package: Package) {
        if package.name.is_empty() {
            self.unreadable("an entry has no name");
        } else if !is_text(&[&package.name, &package.version, &package.source_name]) {
            self.unreadable("a name or version is not UTF-8");
        } else if !self.is_full() {
            self.parsed.packages.push(package);
        }
    }

    /// Whether it takes no more packages, which a gap says then.
    pub(super) fn is_full(&mut self) -> bool {
        let full = self.parsed.packages.len() >= MAX_PACKAGES;
        if full && self.parsed.gaps.iter().all(|gap| gap.kind != GapKind::LimitReached) {
            let message = format!("it lists more than {MAX_PACKAGES} packages; the others are not judged");
            self.parsed.gaps.push(Gap { kind: GapKind::LimitReached, subject: self.path.to_owned(), message });
        }
        full
    }

    /// Notes what is not understood; the first few say enough.
    pub(super) fn unreadable(&mut self, cause: &str) {
        if self.parsed.gaps.len() < MAX_GAPS {
            self.parsed.gaps.push(unreadable(self.path, cause));
        }
    }

    /// Where it is now.
    pub(super) fn place(&self) -> Place {
        Place(self.parsed.packages.len())
    }

    /// Takes back the packages that were added since.
    pub(super) fn back_to(&mut self, place: Place) {
        self.parsed.packages.truncate(place.0);
    }

    pub(super) fn done(self) -> ParsedFile {
        self.parsed
    }
}

/// Most bytes of a file that is held as a tree, which takes ten times as many. The largest true ones have a few million.
const MAX_TREE: usize = 16 << 20;

/// A file that may be held as a tree.
pub(super) fn held(bytes: &[u8]) -> Result<&[u8], String> {
    if bytes.len() > MAX_TREE {
        return Err(format!("it has {} bytes, the limit for files of its kind is {MAX_TREE}", bytes.len()));
    }
    Ok(bytes)
}

/// A JSON file, with or without a byte order mark.
pub(super) fn json(bytes: &[u8]) -> Result<Value, String> {
    let bytes = held(bytes)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|e| format!("it is not JSON ({e})"))
}

/// The text of a field; empty where it is absent or something else.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default()
}

/// For tests: `name version` of each package, and the number of gaps.
#[cfg(test)]
pub(super) fn summary(parsed: &ParsedFile) -> (String, usize) {
    let listed: Vec<String> = parsed.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
    (listed.join(", "), parsed.gaps.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lists_no_more_than_a_bound() {
        let mut listing = Listing::new("sbom");
        (0..MAX_PACKAGES + 5).for_each(|n| listing.add(PackageType::Npm, "a", &n.to_string()));
        let parsed = listing.done();
        assert_eq!((parsed.packages.len(), parsed.gaps.len()), (MAX_PACKAGES, 1));
    }

    #[test]
    fn large_trees_are_refused() {
        let text = " ".repeat(MAX_TREE - 2);
        assert!(json(format!("{text}[]").as_bytes()).is_ok());
        assert!(json(format!("{text}[1]").as_bytes()).is_err_and(|cause| cause.contains("limit")));
    }
}
