//! Files that the operating system's package manager installed. What is found in them is matched with the distribution's
//! advisories, because it may have fixed a flaw without a change of the version.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Directories that distributions merged into `/usr`: a package may list either path.
const MERGED: [&str; 4] = ["bin/", "sbin/", "lib/", "lib64/"];

/// The files of one OS package.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OwnedFiles {
    /// Its name as installed.
    pub package: String,
    /// [`id`]s of its paths.
    pub files: Vec<u64>,
}

impl OwnedFiles {
    pub(super) fn new<'a>(package: &str, paths: impl Iterator<Item = &'a str>) -> Self {
        OwnedFiles { package: package.to_owned(), files: paths.map(id).collect() }
    }
}

/// A number for a path: a hundred thousand of them take less than a megabyte. No image can be crafted in which two paths
/// collide.
pub(crate) fn id(path: &str) -> u64 {
    let path = path.trim_start_matches('/');
    let mut hash = Sha256::new();
    if MERGED.iter().any(|dir| path.starts_with(dir)) {
        hash.update("usr/");
    }
    hash.update(path);
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_directories_are_the_same() {
        assert_eq!(id("/bin/bash"), id("usr/bin/bash"));
        assert_ne!(id("opt/bin/bash"), id("usr/bin/bash"));
    }
}
