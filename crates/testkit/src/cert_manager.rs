//! The path of cert-manager's own definitions, which `cargo xtask gitops` takes from its Go module: `go.sum` says which bytes.

use crate::go_program;
use std::path::{Path, PathBuf};

/// The folder that names the module.
pub fn sources(root: &Path) -> PathBuf {
    root.join("tests/cert-manager")
}

/// Where its definitions belong.
pub fn folder(root: &Path) -> PathBuf {
    go_program::folder(root, "cert-manager", &["go.mod", "go.sum"])
}

/// The folder with its definitions.
///
/// # Panics
/// When they were not fetched.
pub fn definitions(root: &Path) -> PathBuf {
    let folder = folder(root);
    assert!(folder.is_dir(), "{} is absent; run: cargo xtask gitops", folder.display());
    folder
}
