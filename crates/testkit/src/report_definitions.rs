//! The definitions of the APIs of policy reports, as their projects publish them in Go modules: for the story on a cluster that has
//! them. `cargo xtask` fetches them once.

use crate::digest::sha256;
use std::path::{Path, PathBuf};

/// A definition in a Go module.
#[derive(Debug, Clone, Copy)]
pub struct PublishedDefinition {
    /// The module, and its version.
    pub module: &'static str,
    /// The hash of the module, as in `go.sum`.
    pub sum: &'static str,
    /// Where it is in there.
    pub path: &'static str,
    /// The file that it is stored as.
    pub file: &'static str,
}

/// `reports.openreports.io`, of the project itself.
pub const OPEN_REPORTS: PublishedDefinition = PublishedDefinition {
    module: "github.com/openreports/reports-api@v0.2.1",
    sum: "h1:g9KS3yle9Y1elmww4TK9EkD1rl6inIaiIJPX6e+u680=",
    path: "config/crd/openreports.io_reports.yaml",
    file: "openreports.yaml",
};

/// `policyreports.wgpolicyk8s.io`, as Kyverno installs it: most clusters have it from there, and the working group's own module is not
/// published.
pub const POLICY_WORKING_GROUP: PublishedDefinition = PublishedDefinition {
    module: "github.com/kyverno/kyverno@v1.19.1",
    sum: "h1:/MkgFii3/VlQfKR1JpC9tVwNNVNQTt2S4U6qCsafsTU=",
    path: "config/crds/policyreport/wgpolicyk8s.io_policyreports.yaml",
    file: "wgpolicyk8s.yaml",
};

/// Both.
pub const ALL: [PublishedDefinition; 2] = [OPEN_REPORTS, POLICY_WORKING_GROUP];

/// Where they belong: another folder for other versions.
pub fn folder(root: &Path) -> PathBuf {
    let sums = ALL.map(|definition| format!("{} {}", definition.sum, definition.path)).concat();
    root.join("target/report-definitions").join(&sha256(sums.as_bytes())[7..23])
}

impl PublishedDefinition {
    /// The stored file.
    ///
    /// # Panics
    /// When it was not fetched.
    pub fn fetched(&self, root: &Path) -> PathBuf {
        let file = folder(root).join(self.file);
        assert!(file.is_file(), "{} was not fetched; run: cargo xtask report-definitions", file.display());
        file
    }
}
