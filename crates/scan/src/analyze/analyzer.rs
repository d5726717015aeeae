//! What an analyzer is. [`super::analyzers`] lists them.

use super::ParsedFile;
use tidewaiter_core::package::PackageType;

/// Reads one kind of file and returns packages. `docs/adding.md` shows how to add one.
#[derive(Debug)]
pub struct Analyzer {
    /// What it reads, for people.
    pub name: &'static str,
    /// Where its files are: paths from the root of the image, or `**/` and the end of a path; `*` is anything in one
    /// name.
    pub files: &'static [&'static str],
    /// The packages it finds; none when it finds something else.
    pub types: &'static [PackageType],
    /// Raised whenever it finds more or other things in the same bytes: it is a part of [`super::VERSION`].
    pub version: u32,
    /// Whether a path that fits one of `files` is wanted: most take them all.
    pub(super) accepts: fn(&str) -> bool,
    /// Reads a whole file. Never fails: what cannot be understood is a gap.
    pub(super) read: fn(&str, &[u8]) -> ParsedFile,
}

/// For analyzers that want every file that fits their patterns.
pub(super) fn all(_path: &str) -> bool {
    true
}
