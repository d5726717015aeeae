//! Where the programs and manifests of an earlier version belong, which `cargo xtask earlier` builds of the history of this repository.

use std::path::{Path, PathBuf};

/// The commit that upgrades are tested from: the oldest one that is supported.
pub const COMMIT: &str = "351cd24";

/// An earlier version: its programs, its `deploy/` and its `demo/`.
#[derive(Debug, Clone)]
pub struct EarlierVersion {
    folder: PathBuf,
}

impl EarlierVersion {
    /// The oldest one that is supported, if it was built.
    pub fn find(root: &Path) -> Option<Self> {
        let folder = folder(root);
        folder.is_dir().then_some(EarlierVersion { folder })
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder of its manifests.
    pub fn deploy(&self) -> PathBuf {
        self.folder.join("deploy")
    }

    /// The `feeds.toml` of its demo.
    pub fn feeds(&self) -> PathBuf {
        self.folder.join("demo/feeds.toml")
    }
}

/// Where it belongs.
pub fn folder(root: &Path) -> PathBuf {
    root.join("target/earlier").join(COMMIT)
}
