//! The path of the program that runs the dashboard's queries and the alerts' rules by Prometheus itself, which
//! `cargo xtask monitoring` builds once for each hash of its sources.

use crate::go_program;
use std::path::{Path, PathBuf};

/// The folder of its sources.
pub fn sources(root: &Path) -> PathBuf {
    root.join("tests/monitoring")
}

/// Where the program belongs.
pub fn folder(root: &Path) -> PathBuf {
    go_program::folder(root, "monitoring", &["go.mod", "go.sum", "main.go"])
}

/// The program.
///
/// # Panics
/// When it is not built.
pub fn program(root: &Path) -> PathBuf {
    go_program::program(&folder(root), "monitoring", "cargo xtask monitoring")
}

/// Where the story leaves what the dashboard's queries found.
pub fn answers(root: &Path) -> PathBuf {
    root.join("target/monitoring/answers.json")
}
