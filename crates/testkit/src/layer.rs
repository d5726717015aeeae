//! Layers: tar streams, compressed as wanted.

use crate::digest::sha256;
use flate2::write::GzEncoder;
use std::io::Write;

/// How a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LayerCompression {
    /// As it is.
    Plain,
    /// gzip.
    #[default]
    Gzip,
    /// Zstandard.
    Zstd,
}

impl LayerCompression {
    /// The media type of such a layer.
    pub const fn media_type(self) -> &'static str {
        match self {
            LayerCompression::Plain => "application/vnd.oci.image.layer.v1.tar",
            LayerCompression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            LayerCompression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// One layer, as a registry stores it.
#[derive(Debug, Clone)]
pub struct LayerFixture {
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

    /// Adds a hard link to another path of the layer, or of one below.
    pub fn hardlink(mut self, path: &str, target: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        self.tar.append_link(&mut header, path, target).unwrap();
        self
    }

    /// Adds a directory.
    pub fn dir(mut self, path: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o755);
        self.tar.append_data(&mut header, path, &b""[..]).unwrap();
        self
    }

    /// Adds raw bytes: headers and content that no archiver writes.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.tar.get_mut().extend_from_slice(bytes);
        self
    }

    /// Adds an opaque whiteout: hides the content of a directory in the layers below.
    pub fn opaque(self, dir: &str) -> Self {
        self.file(&format!("{dir}/.wh..wh..opq"), "")
    }

    /// Adds a whiteout: removes a path of the layers below.
    pub fn remove(self, path: &str) -> Self {
        let (dir, name) = path.rsplit_once('/').map_or(("", path), |(dir, name)| (dir, name));
        let slash = if dir.is_empty() { "" } else { "/" };
        self.file(&format!("{dir}{slash}.wh.{name}"), "")
    }

    /// The finished layer.
    pub fn build(self, compression: LayerCompression) -> LayerFixture {
        let tar = self.tar.into_inner().unwrap();
        let diff_id = sha256(&tar);
        let bytes = match compression {
            LayerCompression::Plain => tar,
            LayerCompression::Gzip => {
                let mut out = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(&tar).unwrap();
                out.finish().unwrap()
            }
            LayerCompression::Zstd => zstd::encode_all(&tar[..], 1).unwrap(),
        };
        LayerFixture { bytes, media_type: compression.media_type(), diff_id }
    }
}

/// One ustar header with its checksum, after `change` modified it.
pub fn header(typeflag: u8, name: &str, size: u64, change: impl FnOnce(&mut [u8; 512])) -> Vec<u8> {
    let mut block = [0_u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = typeflag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    change(&mut block);
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.to_vec()
}

/// Content padded to whole blocks.
pub fn padded(content: &[u8]) -> Vec<u8> {
    let mut out = content.to_vec();
    out.resize(content.len().next_multiple_of(512), 0);
    out
}

/// A ustar entry with its content.
pub fn entry(typeflag: u8, name: &str, content: &[u8]) -> Vec<u8> {
    [header(typeflag, name, content.len() as u64, |_| {}), padded(content)].concat()
}

/// A PAX header entry (`x` for the next entry, `g` for all) with these records.
pub fn pax(typeflag: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let len = (rest..).find(|len| len.to_string().len() + rest == *len).unwrap();
        content.extend_from_slice(format!("{len} {key}=").as_bytes());
        content.extend_from_slice(value);
        content.push(b'\n');
    }
    entry(typeflag, "pax", &content)
}
