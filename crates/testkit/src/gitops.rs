//! The paths of the tools of GitOps for tests, which `cargo xtask gitops` builds once for each hash of their sources.

use crate::go_program;
use std::path::{Path, PathBuf};

/// The folder of the sources: of a program with Flux's apply library and Argo CD's comparison, and the version of Helm 4.
pub fn sources(root: &Path) -> PathBuf {
    root.join("tests/gitops")
}

/// Where the programs of these sources belong.
pub fn folder(root: &Path) -> PathBuf {
    go_program::folder(root, "gitops", &["argo.go", "go.mod", "go.sum", "main.go"])
}

/// Where Helm 3 belongs.
pub fn helm_3_folder(root: &Path) -> PathBuf {
    root.join("target/gitops/helm-3")
}

/// Helm 3, if it was built.
pub fn helm_3(root: &Path) -> Option<PathBuf> {
    Some(helm_3_folder(root).join("helm")).filter(|program| program.is_file())
}

/// Helm 4.
///
/// # Panics
/// When it is not built.
pub fn helm_4(root: &Path) -> PathBuf {
    program(root, "helm")
}

/// The program with Flux's apply library and Argo CD's comparison.
///
/// # Panics
/// When it is not built.
pub fn libraries(root: &Path) -> PathBuf {
    program(root, "gitops")
}

fn program(root: &Path, name: &str) -> PathBuf {
    go_program::program(&folder(root), name, "cargo xtask gitops")
}
