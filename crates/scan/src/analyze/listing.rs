//! Files that list packages entry by entry.

use super::{MAX_GAPS, ParsedFile, is_text, unreadable};
use serde_json::Value;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// Packages that one file may list: several times as many as the largest real ones do.
const MAX_PACKAGES: usize = 50_000;

/// The packages that one file lists, within bounds, and what is wrong with it.
pub(super) struct Listing<'a> {
    path: &'a str,
    parsed: ParsedFile,
}

/// A position in a listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListingMark(usize);

impl<'a> Listing<'a> {
    pub(super) fn new(path: &'a str) -> Self {
        Listing { path, parsed: ParsedFile::default() }
    }

    /// Adds a package. One without version is listed too, so that the report has a gap for it.
    pub(super) fn add(&mut self, kind: PackageType, name: &str, version: &str) {
        self.package(Package::new(kind, name.trim(), version.trim()));
    }

    /// Adds own code of the image.
    pub(super) fn own(&mut self, kind: PackageType, name: &str, version: &str) {
        self.package(Package { own: true, ..Package::new(kind, name.trim(), version.trim()) });
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

    /// Whether it takes no more packages; then a gap says so.
    pub(super) fn is_full(&mut self) -> bool {
        let full = self.parsed.packages.len() >= MAX_PACKAGES;
        if full && self.parsed.gaps.iter().all(|gap| gap.kind != GapKind::LimitReached) {
            let message = format!("it lists more than {MAX_PACKAGES} packages; the others are not scanned");
            self.parsed.gaps.push(Gap { kind: GapKind::LimitReached, subject: self.path.to_owned(), message });
        }
        full
    }

    /// Adds a gap for what is not understood, for the first few.
    pub(super) fn unreadable(&mut self, cause: &str) {
        if self.parsed.gaps.len() < MAX_GAPS {
            self.parsed.gaps.push(unreadable(self.path, cause));
        }
    }

    /// The current end.
    pub(super) fn mark(&self) -> ListingMark {
        ListingMark(self.parsed.packages.len())
    }

    /// Removes the packages that were added since a mark.
    pub(super) fn truncate(&mut self, mark: ListingMark) {
        self.parsed.packages.truncate(mark.0);
    }

    pub(super) fn done(self) -> ParsedFile {
        self.parsed
    }
}

/// Bytes of a file that is parsed into a tree, which takes ten times as many. The largest real ones have a few million.
const MAX_TREE: usize = 16 << 20;

/// Refuses a file that is too large to be parsed into a tree.
pub(super) fn within_tree_limit(bytes: &[u8]) -> Result<&[u8], String> {
    if bytes.len() > MAX_TREE {
        return Err(format!("it has {} bytes, the limit for files of its kind is {MAX_TREE}", bytes.len()));
    }
    Ok(bytes)
}

/// A JSON file, with or without a byte order mark.
pub(super) fn json(bytes: &[u8]) -> Result<Value, String> {
    let bytes = within_tree_limit(bytes)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|e| format!("it is not JSON ({e})"))
}

/// The text of a field; empty where it is absent or something else.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default()
}

/// For tests: `name version` of each package, whether it is own code, and the number of gaps.
#[cfg(test)]
pub(super) fn summary(parsed: &ParsedFile) -> (String, usize) {
    let own = |p: &Package| if p.own { " (own)" } else { "" };
    let listed: Vec<String> = parsed.packages.iter().map(|p| format!("{} {}{}", p.name, p.version, own(p))).collect();
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
