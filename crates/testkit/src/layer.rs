//! Layers: tar streams, compressed as wanted.

use crate::sha256;
use flate2::write::GzEncoder;
use std::io::Write;

/// How a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As it is.
    Plain,
    /// gzip.
    #[default]
    Gzip,
    /// Zstandard.
    Zstd,
}

/// One layer, as a registry stores it.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The stored bytes.
    pub bytes: Vec<u8>,
    /// Their media type.
    pub media_type: &'static str,
    /// Digest of the uncompressed tar.
    pub diff_id: String,
}

/// Collects a layer's entries.
pub struct LayerBuilder {
    tar: tar::Builder<Vec<u8>>,
}

impl std::fmt::Debug for LayerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerBuilder").finish_non_exhaustive()
    }
}

impl Default for LayerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerBuilder {
    /// An empty layer.
    pub fn new() -> Self {
        LayerBuilder { tar: tar::Builder::new(Vec::new()) }
    }

    /// Adds a file.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with_mode(path, content.as_ref(), 0o644)
    }

    /// Adds a program.
    pub fn executable(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with_mode(path, content.as_ref(), 0o755)
    }

    fn with_mode(mut self, path: &str, content: &[u8], mode: u32) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        self.tar.append_data(&mut header, path, content).unwrap();
        self
    }

    /// Adds a symbolic link.
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        self.tar.append_link(&mut header, path, target).unwrap();
        self
    }

    /// Removes a path of the layers below.
    pub fn remove(self, path: &str) -> Self {
        let (dir, name) = path.rsplit_once('/').map_or(("", path), |(dir, name)| (dir, name));
        let slash = if dir.is_empty() { "" } else { "/" };
        self.file(&format!("{dir}{slash}.wh.{name}"), "")
    }

    /// The finished layer.
    pub fn build(self, compression: Compression) -> Layer {
        let tar = self.tar.into_inner().unwrap();
        let diff_id = sha256(&tar);
        let (bytes, media_type) = match compression {
            Compression::Plain => (tar, "application/vnd.oci.image.layer.v1.tar"),
            Compression::Gzip => {
                let mut out = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(&tar).unwrap();
                (out.finish().unwrap(), "application/vnd.oci.image.layer.v1.tar+gzip")
            }
            Compression::Zstd => {
                (zstd::encode_all(&tar[..], 1).unwrap(), "application/vnd.oci.image.layer.v1.tar+zstd")
            }
        };
        Layer { bytes, media_type, diff_id }
    }
}
