//! One layer: inflated, hashed, verified, and reduced to what matters.

use crate::ScanError;
use crate::analyze::{self, Parsed};
use crate::engine::Options;
use crate::source::{Image, LayerDescriptor, LayerMedia, SourceError};
use crate::tar::{Kind, Reader, TarError};
use crate::walk::path;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{Gap, GapKind};

/// What a layer does to the view below it, in the order of its tar.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Stored bytes.
    pub(crate) size: u64,
    /// Digest of the stored bytes.
    pub(crate) digest: Option<Digest>,
    /// Digest of the tar.
    pub(crate) diff_id: Option<Digest>,
    /// Directories whose lower content is hidden.
    pub(crate) opaque: Vec<String>,
    /// Lower paths that are removed.
    pub(crate) whiteouts: Vec<String>,
    /// Wanted files and links.
    pub(crate) adds: Vec<(String, Add)>,
    /// Hashes of all paths that are neither directory nor link.
    pub(crate) files: HashSet<u64>,
    /// Hashes of all directories.
    pub(crate) dirs: HashSet<u64>,
}

/// Something that a layer puts at a path.
#[derive(Debug, Clone)]
pub(crate) enum Add {
    File(Arc<Parsed>),
    Symlink(String),
    Hardlink(String),
    Directory,
}

/// Paths wanted besides those that analyzers name: (path in this layer, path whose analyzer reads it).
pub(crate) type Extra = BTreeMap<String, String>;

/// Reads layer `index` to its very end.
pub(crate) fn read(
    image: &Image,
    index: usize,
    extra: &Extra,
    hashes: &RandomState,
    options: &Options<'_>,
) -> Result<Facts, ScanError> {
    let Some(layer) = image.layers.get(index) else { return Ok(Facts::default()) };
    options.progress.layer_started(index, image.layers.len(), layer.size);
    let raw = image.open_layer(index)?;
    let counted = Counted { inner: raw, hash: Sha256::new(), read: 0, index, options };
    let mut stored = BufReader::with_capacity(64 << 10, counted);
    let mut walk = Walk { layer, extra, hashes, options, facts: Facts::default() };
    let diff_id = walk.inflate(&mut stored);
    let drained = io::copy(&mut stored, &mut io::sink()).map_err(|e| walk.bad(&e));
    let counted = stored.into_inner();
    let digest = Digest::from_sha256(counted.hash.finalize().into());
    // A layer that cannot be read because its bytes are not the right ones is reported as just that.
    if layer.digest_is_stored && drained.is_ok() && !matches!(diff_id, Err(ScanError::Source(_))) {
        same(layer, "digest", &layer.digest, digest.clone())?;
    }
    let diff_id = diff_id?;
    drained?;
    let facts = Facts { size: counted.read, digest: Some(digest), diff_id: Some(diff_id.clone()), ..walk.facts };
    same(layer, "diff id", &layer.diff_id, diff_id)?;
    options.progress.layer_done(index);
    Ok(facts)
}

fn same(layer: &LayerDescriptor, what: &'static str, expected: &Digest, actual: Digest) -> Result<(), ScanError> {
    if *expected == actual {
        return Ok(());
    }
    Err(ScanError::Mismatch { layer: layer.digest.clone(), what, expected: expected.clone(), actual })
}

/// Hashes and counts stored bytes on their way in.
struct Counted<'a> {
    inner: Box<dyn Read + Send>,
    hash: Sha256,
    read: u64,
    index: usize,
    options: &'a Options<'a>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.options.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::other("cancelled"));
        }
        let n = self.inner.read(buf)?;
        self.hash.update(buf.get(..n).unwrap_or_default());
        self.read += n as u64;
        self.options.progress.bytes(self.index, n as u64);
        Ok(n)
    }
}

/// Hashes and bounds uncompressed bytes.
struct Inflated<R> {
    inner: R,
    hash: Sha256,
    read: u64,
    max: u64,
    over: bool,
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hash.update(buf.get(..n).unwrap_or_default());
        self.read += n as u64;
        if self.read > self.max {
            self.over = true;
            return Err(io::Error::other("too many bytes"));
        }
        Ok(n)
    }
}

struct Walk<'a> {
    layer: &'a LayerDescriptor,
    extra: &'a Extra,
    hashes: &'a RandomState,
    options: &'a Options<'a>,
    facts: Facts,
}

impl Walk<'_> {
    fn inflate(&mut self, stored: &mut impl io::BufRead) -> Result<Digest, ScanError> {
        match self.layer.media_type {
            LayerMedia::Tar => self.tar(stored),
            LayerMedia::TarGzip => self.tar(flate2::bufread::MultiGzDecoder::new(stored)),
            LayerMedia::TarZstd => {
                let mut decoder = zstd::Decoder::with_buffer(stored).map_err(|e| self.bad(&e))?;
                // 128 MiB: what `zstd --long` writes; more would let a layer choose our memory.
                decoder.window_log_max(27).map_err(|e| self.bad(&e))?;
                self.tar(decoder)
            }
        }
    }

    /// Reads a tar and all that follows it; returns the digest of every byte.
    fn tar(&mut self, inner: impl Read) -> Result<Digest, ScanError> {
        let limits = &self.options.limits;
        let by_ratio = self.layer.size.map_or(u64::MAX, |s| s.saturating_mul(limits.ratio).max(limits.ratio_from));
        let max = limits.layer_bytes.min(by_ratio);
        let mut bytes = Inflated { inner, hash: Sha256::new(), read: 0, max, over: false };
        let result = self.entries(&mut bytes).and_then(|()| {
            // What follows the end of the archive is not unpacked, but it is part of the diff id.
            io::copy(&mut bytes, &mut io::sink()).map(drop).map_err(TarError::from)
        });
        match result {
            Ok(()) => Ok(Digest::from_sha256(bytes.hash.finalize().into())),
            Err(_) if bytes.over => Err(self.limit("uncompressed bytes", max)),
            Err(TarError::Io(error)) => Err(self.bad(&error)),
            Err(other) => Err(ScanError::BadLayer { layer: self.layer.digest.clone(), cause: other.to_string() }),
        }
    }

    fn entries(&mut self, bytes: impl Read) -> Result<(), TarError> {
        let limits = self.options.limits;
        let mut reader = Reader::new(bytes, &limits);
        let mut count = 0;
        while let Some(entry) = reader.next_entry()? {
            count += 1;
            if count > limits.entries {
                return Err(TarError::Io(io::Error::other(Limit("entries", limits.entries))));
            }
            let path = path::clean(&entry.path);
            if path.is_empty() || self.whiteout(&path) {
                continue;
            }
            self.entry(path, entry.kind, entry.size, &mut reader)?;
        }
        Ok(())
    }

    /// Notes `.wh.` entries, which are never visible themselves.
    fn whiteout(&mut self, path: &str) -> bool {
        let (dir, name) = path::split(path);
        let Some(target) = name.strip_prefix(".wh.") else { return false };
        match target {
            ".wh..opq" => self.facts.opaque.push(dir.to_owned()),
            // Other `.wh..wh.` names are storage drivers' own; they hide nothing.
            _ if target.starts_with(".wh.") => {}
            _ => self.facts.whiteouts.push(path::join(dir, target)),
        }
        true
    }

    fn entry(&mut self, path: String, kind: Kind, size: u64, content: &mut impl Read) -> Result<(), TarError> {
        let hash = self.hashes.hash_one(&path);
        match kind {
            Kind::Directory => {
                self.facts.dirs.insert(hash);
                // A directory only matters where this layer had put something else before.
                if self.facts.adds.iter().rev().take(64).any(|(p, _)| *p == path) {
                    self.facts.adds.push((path, Add::Directory));
                }
            }
            Kind::Symlink(target) => self.facts.adds.push((path, Add::Symlink(target))),
            Kind::Hardlink(target) => self.facts.adds.push((path, Add::Hardlink(path::clean(&target)))),
            Kind::File | Kind::Other => {
                self.facts.files.insert(hash);
                let reader = self.extra.get(&path).map_or(path.as_str(), String::as_str);
                if kind == Kind::File && analyze::wants(reader) {
                    let parsed = self.parse(&path, reader, size, content)?;
                    self.facts.adds.push((path, Add::File(Arc::new(parsed))));
                } else if analyze::wants(&path) {
                    self.facts.adds.push((path, Add::File(Arc::new(Parsed::default()))));
                }
            }
        }
        Ok(())
    }

    fn parse(&self, path: &str, reader: &str, size: u64, content: &mut impl Read) -> Result<Parsed, TarError> {
        let limits = &self.options.limits;
        let max = if analyze::is_database(reader) { limits.database_bytes } else { limits.file_bytes };
        if size > max {
            let message = format!("it has {size} bytes, the limit is {max}; its packages are not judged");
            let gap = Gap { kind: GapKind::LimitReached, subject: path.to_owned(), message };
            return Ok(Parsed { gaps: vec![gap], ..Parsed::default() });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(1 << 20)).unwrap_or_default());
        content.take(size).read_to_end(&mut bytes)?;
        Ok(analyze::parse(reader, &bytes))
    }

    fn limit(&self, what: &'static str, limit: u64) -> ScanError {
        ScanError::LimitExceeded { layer: self.layer.digest.clone(), what, limit }
    }

    fn bad(&self, error: &io::Error) -> ScanError {
        if self.options.cancel.load(Ordering::Relaxed) {
            return ScanError::Cancelled;
        }
        if let Some(Limit(what, limit)) = error.get_ref().and_then(|e| e.downcast_ref()) {
            return self.limit(what, *limit);
        }
        match SourceError::from_io(error) {
            Some(source) => source.clone().into(),
            None => ScanError::BadLayer { layer: self.layer.digest.clone(), cause: error.to_string() },
        }
    }
}

/// A limit on its way through an I/O error.
#[derive(Debug, thiserror::Error)]
#[error("more than {1} {0}")]
struct Limit(&'static str, u64);
