//! What an analyzer returns, and what all analyzers need to make it.

use super::npm::virtual_store::VirtualStore;
use super::own::OwnFolder;
use super::owned::OwnedFiles;
use serde::{Deserialize, Serialize};
use tidewaiter_core::ecosystem::{ApkRepository, Os};
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// Unreadable parts of one file that are reported one by one; more would say nothing new.
pub(super) const MAX_GAPS: usize = 8;

/// Directories of tests and examples: what is installed below one, inside a package, is their data.
pub(super) const TEST_DIRS: [&str; 9] =
    ["test", "tests", "testdata", "test_data", "__tests__", "example", "examples", "fixtures", "__fixtures__"];

/// The parsed content of one file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ParsedFile {
    /// Packages. Their locations are paths inside the file when it is an archive, and empty otherwise.
    pub packages: Vec<Package>,
    /// The operating system.
    pub os: Option<Os>,
    /// Repositories of Alpine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<ApkRepository>,
    /// The package manager whose database this is, even when it lists nothing.
    pub database: Option<PackageType>,
    /// What could not be understood.
    pub gaps: Vec<Gap>,
    /// Whether it is a write-ahead log with content: the database next to it is to be read together with it, by
    /// `with_wal`.
    pub is_wal: bool,
    /// Whether the file was detected by its content: then it counts wherever it lies.
    pub by_content: bool,
    /// Files of OS packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<OwnedFiles>,
    /// Folders of the image's own code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<OwnFolder>,
    /// What is in use of the store that this file lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<VirtualStore>,
    /// The id of the repository that a package came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl ParsedFile {
    /// Whether nothing that a report needs is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.gaps.is_empty()
    }

    /// Adds what another part of the same file holds.
    pub(super) fn add(&mut self, other: ParsedFile) {
        self.packages.extend(other.packages);
        self.gaps.extend(other.gaps);
    }
}

/// A file of which nothing could be read.
pub(super) fn failed(path: &str, cause: &str) -> ParsedFile {
    ParsedFile { gaps: vec![unreadable(path, cause)], ..ParsedFile::default() }
}

pub(super) fn unreadable(path: &str, cause: &str) -> Gap {
    let message = format!("{cause}; its packages are not scanned");
    Gap { kind: GapKind::UnreadableFile, subject: path.to_owned(), message }
}

/// Whether decoding lost nothing: a name or version that is not UTF-8 could match no advisory and look clean.
pub(super) fn is_text(fields: &[&str]) -> bool {
    !fields.iter().any(|field| field.contains(char::REPLACEMENT_CHARACTER))
}
