//! Files of an image on disk: a directory, or a tar file read by offset without unpacking it.

use super::SourceError;
use super::read::read_capped;
use crate::path::{clean, join, split};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tidewaiter_archive::tar::{HEADER_BYTES, TarEntryKind, TarError, TarReader};

/// Most entries an archive of an image may have; real ones have a few hundred.
const MAX_ENTRIES: usize = 100_000;
/// Links to follow from one path: `docker save` links equal layers to each other, once.
const MAX_LINKS: usize = 8;

/// Opens files by their path relative to the image's root.
pub(super) trait Files: Send + Sync {
    /// The file's bytes and size.
    fn open(&self, path: &str) -> Result<(Box<dyn Read + Send>, u64), SourceError>;

    /// The whole file, at most `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        read_capped(self.open(path)?.0, path, limit)
    }

    /// Whether the file exists.
    fn has(&self, path: &str) -> bool;
}

/// A directory.
pub(super) struct Directory(pub(super) PathBuf);

impl Files for Directory {
    fn open(&self, path: &str) -> Result<(Box<dyn Read + Send>, u64), SourceError> {
        let full = self.0.join(path);
        let what = full.display().to_string();
        let file = File::open(&full).map_err(|error| SourceError::file(&what, &error))?;
        let metadata = file.metadata().map_err(|error| SourceError::file(&what, &error))?;
        if !metadata.is_file() {
            return Err(SourceError::bad(&what, "it is not a regular file"));
        }
        Ok((Box::new(file), metadata.len()))
    }

    fn has(&self, path: &str) -> bool {
        self.0.join(path).is_file()
    }
}

/// A file of an archive, or another name for one.
enum IndexedEntry {
    File { offset: u64, size: u64 },
    Link(String),
}

/// A tar file, indexed once.
pub(super) struct TarArchive {
    path: PathBuf,
    entries: HashMap<String, IndexedEntry>,
}

impl TarArchive {
    /// Finds the entries of a tar file, whose content is not read.
    pub(super) fn index(path: &Path) -> Result<Self, SourceError> {
        let what = path.display().to_string();
        let file = File::open(path).map_err(|error| SourceError::file(&what, &error))?;
        let len = file.metadata().map_err(|error| SourceError::file(&what, &error))?.len();
        let mut reader = TarReader::new(BufReader::new(file), HEADER_BYTES);
        let mut entries = HashMap::new();
        while let Some(entry) = reader.next_entry().map_err(|error| not_a_tar(&what, &error))? {
            if entries.len() >= MAX_ENTRIES {
                return Err(SourceError::bad(&what, format!("it has more than {MAX_ENTRIES} entries")));
            }
            // Past the content, which is read by offset when somebody asks for it.
            let offset = reader.seek_past(len).map_err(|error| not_a_tar(&what, &error))?;
            let name = clean(entry.path);
            let indexed = match entry.kind {
                TarEntryKind::File => offset.map(|offset| IndexedEntry::File { offset, size: entry.size }),
                // Symbolic links are relative to their directory, hard links to the root.
                TarEntryKind::Symlink(target) if target.starts_with('/') => Some(IndexedEntry::Link(clean(target))),
                TarEntryKind::Symlink(target) => Some(IndexedEntry::Link(clean(join(split(&name).0, &target)))),
                TarEntryKind::Hardlink(target) => Some(IndexedEntry::Link(clean(target))),
                TarEntryKind::Directory | TarEntryKind::Other => None,
            };
            entries.extend(indexed.map(|indexed| (name, indexed)));
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    fn locate(&self, path: &str) -> Option<(u64, u64)> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match self.entries.get(&path)? {
                IndexedEntry::File { offset, size } => return Some((*offset, *size)),
                IndexedEntry::Link(target) => path.clone_from(target),
            }
        }
        None
    }
}

fn not_a_tar(what: &str, error: &TarError) -> SourceError {
    SourceError::bad(what, format!("it cannot be read as a tar file: {error}"))
}

impl Files for TarArchive {
    fn open(&self, path: &str) -> Result<(Box<dyn Read + Send>, u64), SourceError> {
        let what = format!("{} in {}", path, self.path.display());
        let key = clean(path.to_owned());
        let (offset, size) = self.locate(&key).ok_or_else(|| SourceError::NotFound {
            what: what.clone(),
            cause: "no such entry in the archive".into(),
        })?;
        let mut file = File::open(&self.path).map_err(|error| SourceError::file(&what, &error))?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| SourceError::file(&what, &error))?;
        Ok((Box::new(file.take(size)), size))
    }

    fn has(&self, path: &str) -> bool {
        self.locate(&clean(path.to_owned())).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    /// The content of a file of a tar, or the error.
    fn read(tar: &[u8], path: &str) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(tar).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        match TarArchive::index(file.path()).and_then(|archive| archive.read(path, 1 << 20)) {
            Ok(bytes) => text(bytes),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn files_are_found_by_their_offset_and_through_links() {
        let mut builder = tar::Builder::new(Vec::new());
        let header = |kind: tar::EntryType, size: u64| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(size);
            header
        };
        let large = "x".repeat(200_000);
        for (path, content) in [("large", large.as_str()), ("./a/layer.tar", "first"), ("b/other", "second")] {
            let size = content.len() as u64;
            builder.append_data(&mut header(tar::EntryType::Regular, size), path, content.as_bytes()).unwrap();
        }
        for (path, target) in [("b/layer.tar", "../a/layer.tar"), ("b/loop", "loop"), ("c", "/a/layer.tar")] {
            builder.append_link(&mut header(tar::EntryType::Symlink, 0), path, target).unwrap();
        }
        builder.append_link(&mut header(tar::EntryType::Link, 0), "d/hard", "b/other").unwrap();
        let tar = builder.into_inner().unwrap();
        let check = |path: &str, expected: &str| {
            assert!(read(&tar, path).contains(expected), "{path}: {}", read(&tar, path));
        };
        check("a/layer.tar", "first");
        check("/a/./layer.tar", "first");
        check("b/layer.tar", "first");
        check("c", "first");
        check("d/hard", "second");
        check("b/loop", "no such entry");
        check("a", "no such entry");
        assert_eq!(read(&tar, "large"), large);
        // A tar that is cut inside an entry is refused, although nothing of the entry is read.
        for end in [600, 100_000, 512 + large.len() - 1] {
            let error = read(&tar[..end], "large");
            assert!(error.contains("its tar is corrupt: it ends inside an entry"), "{end}: {error}");
        }
        assert!(read(b"not a tar", "large").contains("it cannot be read as a tar file"));
        assert!(fs::metadata("large").is_err(), "nothing is unpacked");
    }
}
