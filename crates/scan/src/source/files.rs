//! Files of an image on disk: a directory, or a tar file read by offset without unpacking it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::SourceError;
use super::read::read_capped;

/// Most entries an archive of an image may have; real ones have a few hundred.
const MAX_ENTRIES: usize = 100_000;
/// Links an archive entry may go through.
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

enum Entry {
    File { offset: u64, size: u64 },
    Link(String),
}

/// A tar file, indexed once.
pub(super) struct Archive {
    path: PathBuf,
    entries: HashMap<String, Entry>,
}

impl Archive {
    pub(super) fn index(path: &Path) -> Result<Self, SourceError> {
        let what = path.display().to_string();
        let file = File::open(path).map_err(|error| SourceError::file(&what, &error))?;
        let mut archive = tar::Archive::new(file);
        let mut entries = HashMap::new();
        let listing = archive.entries_with_seek().map_err(|error| not_a_tar(&what, &error))?;
        for entry in listing {
            let entry = entry.map_err(|error| not_a_tar(&what, &error))?;
            if entries.len() >= MAX_ENTRIES {
                return Err(SourceError::bad(&what, format!("it has more than {MAX_ENTRIES} entries")));
            }
            let name = normalise("", &String::from_utf8_lossy(&entry.path_bytes()));
            let kind = entry.header().entry_type();
            if kind.is_file() {
                entries.insert(name, Entry::File { offset: entry.raw_file_position(), size: entry.size() });
            } else if let Some(target) = entry.link_name_bytes() {
                // Symbolic links are relative to their directory, hard links to the root.
                let base = if kind.is_symlink() { name.rsplit_once('/').map_or("", |(dir, _)| dir) } else { "" };
                let target = normalise(base, &String::from_utf8_lossy(&target));
                entries.insert(name, Entry::Link(target));
            }
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    fn locate(&self, path: &str) -> Option<(u64, u64)> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match self.entries.get(&path)? {
                Entry::File { offset, size } => return Some((*offset, *size)),
                Entry::Link(target) => path.clone_from(target),
            }
        }
        None
    }
}

fn not_a_tar(what: &str, error: &std::io::Error) -> SourceError {
    // The library quotes what it found instead of a header.
    let text = error.to_string();
    let said = text.split(|c: char| c.is_control()).next().unwrap_or_default();
    SourceError::bad(what, format!("it cannot be read as a tar file: {said}"))
}

/// Joins and removes `.`, `..` and leading slashes; names are only keys, nothing is ever opened by them.
fn normalise(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { base.split('/').collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

impl Files for Archive {
    fn open(&self, path: &str) -> Result<(Box<dyn Read + Send>, u64), SourceError> {
        let what = format!("{} in {}", path, self.path.display());
        let key = normalise("", path);
        let (offset, size) = self.locate(&key).ok_or_else(|| SourceError::NotFound {
            what: what.clone(),
            cause: "no such entry in the archive".into(),
        })?;
        let mut file = File::open(&self.path).map_err(|error| SourceError::file(&what, &error))?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| SourceError::file(&what, &error))?;
        Ok((Box::new(file.take(size)), size))
    }

    fn has(&self, path: &str) -> bool {
        self.locate(&normalise("", path)).is_some()
    }
}
