//! Files of a transfer, next to the database.

use std::fs;
use std::path::{Path, PathBuf};

/// A file that is deleted when dropped.
pub(super) struct TransferFile(pub(super) PathBuf);

impl TransferFile {
    /// A name next to `path`; `what` it is for tells several of one process apart.
    pub(super) fn next_to(path: &Path, what: &str) -> Self {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.{what}", std::process::id()));
        TransferFile(path.with_file_name(name))
    }
}

impl Drop for TransferFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
