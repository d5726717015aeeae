//! Where programs in Go for tests belong, which `cargo xtask` builds once for each hash of their sources.

use crate::digest::sha256;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder under `target/` of the programs that these files of `tests/NAME` make.
pub(crate) fn folder(root: &Path, name: &str, files: &[&str]) -> PathBuf {
    let sources = root.join("tests").join(name);
    let texts: Vec<Vec<u8>> = files.iter().map(|file| fs::read(sources.join(file)).unwrap()).collect();
    root.join("target").join(name).join(&sha256(&texts.concat())[7..23])
}

/// A program in such a folder.
///
/// # Panics
/// When it is not built.
pub(crate) fn program(folder: &Path, name: &str, build: &str) -> PathBuf {
    let program = folder.join(name);
    assert!(program.is_file(), "{} is not built; run: {build}", program.display());
    program
}
