//! A root file system in a directory (`dir:`), read as if it were an image of one layer.
//!
//! It becomes a tar stream in a fixed form (sorted names, no times, no owners), so that it is read as images are, and its
//! digest names what was scanned: the same files give the same digest.

mod tar_headers;

use super::manifest::host_platform;
use super::{BlobKey, BlobSource, Image, ImageConfig, LayerDescriptor, SourceError};
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewaiter_core::image::{Digest, Platform};

/// Entries of one directory tree, as many as of one layer ([`crate::limits::Limits::entries`]).
const MAX_ENTRIES: usize = 4_000_000;
/// Bytes of the two empty blocks that end a tar.
const END: usize = 1024;
const BLOCK: u64 = 512;

/// Opens a directory. File systems that are mounted below it are not part of it.
///
/// # Errors
/// When it is not a directory, or something in it cannot be read.
pub fn open(path: &Path, platform: Option<&Platform>) -> Result<Image, SourceError> {
    let name = path.display().to_string();
    let tree = Arc::new(Tree { root: path.to_owned(), entries: list(path)? });
    let mut hash = HashWriter(Sha256::new());
    // Read twice: the digest names the image before anything in it is judged, and the second reading must give the
    // same.
    let size = io::copy(&mut Stream::of(&tree), &mut hash).map_err(|e| failed(&name, &e))?;
    let digest = Digest::from_sha256(hash.0.finalize().into());
    let layer = LayerDescriptor {
        digest: digest.clone(),
        size: Some(size),
        foreign: false,
        diff_id: digest.clone(),
        history: None,
        key: BlobKey::Digest,
    };
    Ok(Image {
        reference: name,
        manifest_digest: digest.clone(),
        index_digest: None,
        config_digest: digest,
        platform: platform.cloned().unwrap_or_else(host_platform),
        config: ImageConfig::default(),
        layers: vec![layer],
        blobs: Box::new(TreeLayer(tree)),
    })
}

/// The error inside an I/O error, or one that names the directory.
fn failed(name: &str, error: &io::Error) -> SourceError {
    SourceError::from_io(error).cloned().unwrap_or_else(|| SourceError::file(name, error))
}

/// Hashes what is written.
struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A directory and everything in it, sorted.
struct Tree {
    root: PathBuf,
    entries: Vec<PathBuf>,
}

/// Paths relative to the root, directories before what is in them.
fn list(root: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let broken = |path: &Path, error: &io::Error| SourceError::file(&path.display().to_string(), error);
    let device = fs::metadata(root).map_err(|e| broken(root, &e))?.dev();
    let (mut entries, mut todo) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(dir) = todo.pop() {
        let full = root.join(&dir);
        let names =
            fs::read_dir(&full).and_then(|all| all.map(|e| Ok(e?.file_name())).collect::<io::Result<Vec<OsString>>>());
        for name in names.map_err(|e| broken(&full, &e))? {
            let path = dir.join(name);
            let metadata = fs::symlink_metadata(root.join(&path)).map_err(|e| broken(&root.join(&path), &e))?;
            // `/proc`, `/sys` and mounted volumes are not part of the root file system.
            if metadata.is_dir() && metadata.dev() == device {
                todo.push(path.clone());
            }
            entries.push(path);
            if entries.len() > MAX_ENTRIES {
                return Err(SourceError::bad(
                    &root.display().to_string(),
                    format!("it has more than {MAX_ENTRIES} entries"),
                ));
            }
        }
    }
    // The order of `read_dir` differs between file systems, and the digest must not.
    entries.sort();
    Ok(entries)
}

/// The tree as the one layer of an image.
struct TreeLayer(Arc<Tree>);

impl BlobSource for TreeLayer {
    fn open(&self, _layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(Box::new(Stream::of(&self.0)))
    }
}

/// The tree as a tar, generated while it is read.
struct Stream {
    tree: Arc<Tree>,
    next: usize,
    /// Headers and padding that are still to be read.
    head: Cursor<Vec<u8>>,
    body: Option<Body>,
    ended: bool,
}

/// The file whose content follows.
struct Body {
    file: File,
    path: PathBuf,
    left: u64,
    /// Bytes up to the next block.
    padding: usize,
}

impl Stream {
    fn of(tree: &Arc<Tree>) -> Self {
        Stream { tree: Arc::clone(tree), next: 0, head: Cursor::default(), body: None, ended: false }
    }

    /// Prepares the next entry.
    fn advance(&mut self) -> io::Result<()> {
        let Some(path) = self.tree.entries.get(self.next) else {
            self.ended = true;
            self.head = Cursor::new(vec![0; END]);
            return Ok(());
        };
        self.next += 1;
        let full = self.tree.root.join(path);
        let named = |e: io::Error| io::Error::other(SourceError::file(&full.display().to_string(), &e));
        let metadata = fs::symlink_metadata(&full).map_err(named)?;
        self.head = Cursor::new(header(path, &full, &metadata).map_err(named)?);
        if metadata.is_file() {
            let padding = usize::try_from((BLOCK - metadata.len() % BLOCK) % BLOCK).unwrap_or_default();
            self.body =
                Some(Body { file: File::open(&full).map_err(named)?, path: full, left: metadata.len(), padding });
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let given = self.head.read(buffer)?;
            if given > 0 || buffer.is_empty() || self.ended {
                return Ok(given);
            }
            let Some(body) = &mut self.body else {
                self.advance()?;
                continue;
            };
            if body.left == 0 {
                self.head = Cursor::new(vec![0; body.padding]);
                self.body = None;
                continue;
            }
            let most = usize::try_from(body.left).unwrap_or(usize::MAX).min(buffer.len());
            let got = body.file.read(buffer.get_mut(..most).unwrap_or_default())?;
            if got == 0 {
                let cause = "it changed while it was read".to_owned();
                return Err(io::Error::other(SourceError::bad(&body.path.display().to_string(), cause)));
            }
            body.left -= got as u64;
            return Ok(got);
        }
    }
}

/// The header of an entry, with what precedes it where its name is long.
fn header(path: &Path, full: &Path, metadata: &Metadata) -> io::Result<Vec<u8>> {
    let kind = metadata.file_type();
    let (typeflag, size) = match () {
        () if kind.is_symlink() => return Ok(tar_headers::link(path, &fs::read_link(full)?)),
        () if kind.is_dir() => (tar_headers::DIRECTORY, 0),
        () if kind.is_file() => (tar_headers::FILE, metadata.len()),
        () if kind.is_block_device() => (tar_headers::BLOCK_DEVICE, 0),
        () if kind.is_char_device() => (tar_headers::CHAR_DEVICE, 0),
        // Sockets have no type of their own in a tar; like pipes they have no content.
        () => (tar_headers::FIFO, 0),
    };
    Ok(tar_headers::entry(typeflag, path, size))
}
