//! One layer: inflated, hashed, verified, and reduced to what matters.

use crate::ScanError;
use crate::analyze::content::{self, Format};
use crate::analyze::{self, Parsed};
use crate::engine::Options;
use crate::source::{Image, LayerDescriptor, SourceError};
use crate::tar::{Entry, Kind, Reader, TarError};
use crate::walk::hash::PathSet;
use crate::walk::links::Rules;
use crate::walk::marks::Marks;
use crate::walk::pipeline::Hashed;
use crate::walk::{Scan, inflate, path};
use std::io::{self, BufRead, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::Scope;
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::Package;
use tidewaiter_core::report::{Gap, GapKind};

/// Bytes of a file of which every thread may hold one.
const SMALL: u64 = 4 << 20;

/// What a layer does to the view below it.
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
    /// Wanted files and links, in the order of the tar.
    pub(crate) adds: Vec<Add>,
    /// All paths that are neither directory nor link.
    pub(crate) files: Marks,
    /// All directories.
    pub(crate) dirs: Marks,
    /// Hashes of all directories above any entry.
    pub(crate) above: PathSet,
    /// Why the layer was not read at all, where it was not.
    pub(crate) gap: Option<Gap>,
}

/// Something kept that a layer puts at a path.
#[derive(Debug)]
pub(crate) struct Add {
    /// The path as the tar has it, cleaned.
    pub(crate) path: String,
    /// Its place in the tar, from 1.
    pub(crate) place: u32,
    /// What it is.
    pub(crate) what: What,
}

/// What is kept.
#[derive(Debug)]
pub(crate) enum What {
    /// The content, and the path by which it is wanted.
    File(Arc<Parsed>, Arc<str>),
    Symlink(String),
    Hardlink(String),
}

/// What layer `index` holds: known from before, or read to its very end.
pub(crate) fn read(image: &Image, index: usize, rules: &Rules, scan: &Scan<'_>) -> Result<Facts, ScanError> {
    let Some(layer) = image.layers.get(index) else { return Ok(Facts::default()) };
    let cache = scan.options.cache.filter(|_| layer.digest_is_stored);
    let (Some(cache), Some(rules_id)) = (cache, rules.id()) else { return read_bytes(image, index, rules, scan) };
    let limits = &scan.options.limits;
    if let Some(known) = cache.layer(&layer.digest, &rules_id, limits) {
        // What the config claims is compared with what the bytes were.
        let diff_id = known.diff_id.clone().unwrap_or_else(|| layer.diff_id.clone());
        same(layer, "diff id", &layer.diff_id, diff_id)?;
        return Ok(known);
    }
    let facts = read_bytes(image, index, rules, scan)?;
    cache.put_layer(&layer.digest, &rules_id, limits, &facts);
    Ok(facts)
}

fn read_bytes(image: &Image, index: usize, rules: &Rules, scan: &Scan<'_>) -> Result<Facts, ScanError> {
    let options = scan.options;
    let Some(layer) = image.layers.get(index) else { return Ok(Facts::default()) };
    options.progress.layer_started(index, image.layers.len(), layer.size);
    let raw = match image.open_layer(index) {
        Err(SourceError::NotFound { .. }) if layer.foreign => return Ok(absent(layer)),
        other => other?,
    };
    let mut walk = Walk::new(layer, rules, scan);
    let (diff_id, drained, read) = std::thread::scope(|scope| {
        let watched = Watched { inner: raw, index, options };
        let mut stored = Hashed::new(watched, options.limits.layer_bytes, &scan.buffers, scope);
        let diff_id = walk.tar(&mut stored, scope);
        let drained = stored.drain();
        (diff_id, drained, stored.finish())
    });
    let drained = drained.map_err(|e| walk.bad(&e));
    let (digest, size) = read.map_err(|e| walk.bad(&e))?;
    // A layer that cannot be read because its bytes are not the right ones is reported as just that.
    if layer.digest_is_stored && drained.is_ok() && !matches!(diff_id, Err(ScanError::Source(_))) {
        same(layer, "digest", &layer.digest, digest.clone())?;
    }
    let diff_id = diff_id?.unwrap_or_else(|| digest.clone());
    drained?;
    let mut facts = Facts { size, digest: Some(digest), diff_id: Some(diff_id.clone()), ..walk.facts };
    same(layer, "diff id", &layer.diff_id, diff_id)?;
    facts.files.seal();
    facts.dirs.seal();
    options.progress.layer_done(index);
    Ok(facts)
}

/// A layer that its registry may not distribute and does not have.
fn absent(layer: &LayerDescriptor) -> Facts {
    let message = "the registry does not hold this nondistributable layer; what it installs is not judged".to_owned();
    let gap = Gap { kind: GapKind::UnreadableFile, subject: format!("layer {}", layer.digest), message };
    Facts { gap: Some(gap), ..Facts::default() }
}

fn same(layer: &LayerDescriptor, what: &'static str, expected: &Digest, actual: Digest) -> Result<(), ScanError> {
    if *expected == actual {
        return Ok(());
    }
    Err(ScanError::Mismatch { layer: layer.digest.clone(), what, expected: expected.clone(), actual })
}

/// Stored bytes on their way in: followed, and stopped when asked.
struct Watched<'a> {
    inner: Box<dyn Read + Send>,
    index: usize,
    options: &'a Options<'a>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.options.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::other("cancelled"));
        }
        let n = self.inner.read(buf)?;
        self.options.progress.bytes(self.index, n as u64);
        Ok(n)
    }
}

struct Walk<'a> {
    layer: &'a LayerDescriptor,
    rules: &'a Rules,
    scan: &'a Scan<'a>,
    options: &'a Options<'a>,
    facts: Facts,
    /// Entries so far.
    place: u32,
    /// Bytes kept so far.
    kept: u64,
    /// For programs of ordinary size, one after the other.
    buffer: Vec<u8>,
    /// For the hashes of an entry's directories.
    parents: Vec<u64>,
}

impl<'a> Walk<'a> {
    fn new(layer: &'a LayerDescriptor, rules: &'a Rules, scan: &'a Scan<'a>) -> Self {
        Walk {
            layer,
            rules,
            scan,
            options: scan.options,
            facts: Facts::default(),
            place: 0,
            kept: 0,
            buffer: Vec::new(),
            parents: Vec::new(),
        }
    }

    /// Reads a tar and all that follows it; returns the digest of every byte, where that is not the one of the stored bytes.
    fn tar<'scope, 'env>(
        &mut self,
        stored: &mut Hashed<'scope, 'env, Watched<'_>>,
        scope: &'scope Scope<'scope, 'env>,
    ) -> Result<Option<Digest>, ScanError> {
        let limits = &self.options.limits;
        let by_ratio = self.layer.size.map_or(u64::MAX, |s| s.saturating_mul(limits.ratio).max(limits.ratio_from));
        let max = limits.layer_bytes.min(by_ratio);
        if let Some(inner) = inflate::reader(stored).map_err(|e| self.bad(&e))? {
            let mut bytes = Hashed::new(inner, max, &self.scan.buffers, scope);
            let result = self.whole(&mut bytes, max);
            let (digest, _) = bytes.finish().map_err(|e| self.bad(&e))?;
            return result.map(|()| Some(digest));
        }
        self.whole(stored, limits.layer_bytes).map(|()| None)
    }

    /// Reads the entries, and what follows the end of the archive: it is not unpacked, but it is part of the digest.
    fn whole<R: Read>(&mut self, bytes: &mut Hashed<'_, '_, R>, max: u64) -> Result<(), ScanError> {
        let result = self.entries(&mut *bytes).and_then(|()| bytes.drain().map_err(TarError::from));
        match result {
            Ok(()) => Ok(()),
            Err(_) if bytes.is_over() => Err(self.limit("uncompressed bytes", max)),
            Err(TarError::Io(error)) => Err(self.bad(&error)),
            Err(TarError::TooLong(limit)) => Err(self.limit("bytes of a path or header", limit)),
            Err(other) => Err(ScanError::BadLayer { layer: self.layer.digest.clone(), cause: other.to_string() }),
        }
    }

    fn entries(&mut self, bytes: impl BufRead) -> Result<(), TarError> {
        let limits = self.options.limits;
        let mut reader = Reader::new(bytes, &limits);
        while let Some(entry) = reader.next_entry()? {
            self.place = self.place.saturating_add(1);
            if u64::from(self.place) > limits.entries {
                return Err(over("entries", limits.entries));
            }
            let Entry { path, kind, size } = entry;
            let path = path::clean(path);
            if path.len() as u64 > limits.path_bytes {
                return Err(TarError::TooLong(limits.path_bytes));
            }
            if path.is_empty() || self.whiteout(&path)? {
                continue;
            }
            self.entry(path, kind, size, &mut reader)?;
        }
        Ok(())
    }

    /// Notes `.wh.` entries, which are never visible themselves.
    fn whiteout(&mut self, path: &str) -> Result<bool, TarError> {
        let (dir, name) = path::split(path);
        let Some(target) = name.strip_prefix(".wh.") else { return Ok(false) };
        self.keep(path.len())?;
        match target {
            ".wh..opq" => self.facts.opaque.push(dir.to_owned()),
            // Other `.wh..wh.` names are storage drivers' own; they hide nothing.
            _ if target.starts_with(".wh.") => {}
            _ => self.facts.whiteouts.push(path::join(dir, target)),
        }
        Ok(true)
    }

    fn entry(&mut self, path: String, kind: Kind, size: u64, content: &mut impl Read) -> Result<(), TarError> {
        let hash = self.scan.hashes.with_parents(&path, &mut self.parents);
        for dir in &self.parents {
            // Those above a known one are known.
            if !self.facts.above.insert(*dir) {
                break;
            }
        }
        match kind {
            Kind::Directory => self.facts.dirs.push(hash, self.place),
            Kind::Symlink(target) => self.link(path, target, What::Symlink)?,
            Kind::Hardlink(target) => self.link(path, path::clean(target), What::Hardlink)?,
            Kind::Other => self.facts.files.push(hash, self.place),
            Kind::File => {
                self.facts.files.push(hash, self.place);
                if let Some(wanted) = self.rules.wanted_as(&path) {
                    let parsed = self.parse(&path, &wanted, size, content)?;
                    self.add(path, What::File(Arc::new(parsed), wanted.into()));
                } else if self.rules.by_content()
                    && let Some(parsed) = self.content(&path, size, content)?
                {
                    let wanted = path.as_str().into();
                    self.add(path, What::File(Arc::new(parsed), wanted));
                }
            }
        }
        Ok(())
    }

    fn link(&mut self, path: String, target: String, what: fn(String) -> What) -> Result<(), TarError> {
        let max = self.options.limits.path_bytes;
        if target.len() as u64 > max {
            return Err(TarError::TooLong(max));
        }
        self.keep(path.len() + target.len())?;
        self.add(path, what(target));
        Ok(())
    }

    fn add(&mut self, path: String, what: What) {
        self.facts.adds.push(Add { path, place: self.place, what });
    }

    /// Counts bytes that stay in memory.
    fn keep(&mut self, bytes: usize) -> Result<(), TarError> {
        let max = self.options.limits.kept_bytes;
        self.kept = self.kept.saturating_add(bytes as u64 + 64);
        if self.kept > max { Err(over("bytes of package data and links", max)) } else { Ok(()) }
    }

    fn parse(&mut self, path: &str, wanted: &str, size: u64, content: &mut impl Read) -> Result<Parsed, TarError> {
        let limits = &self.options.limits;
        let max = if analyze::is_database(wanted) { limits.database_bytes } else { limits.file_bytes };
        if size > max {
            let message = format!("it has {size} bytes, the limit is {max}; its packages are not judged");
            let gap = Gap { kind: GapKind::LimitReached, subject: path.to_owned(), message };
            return Ok(Parsed { gaps: vec![gap], ..Parsed::default() });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(1 << 20)).unwrap_or_default());
        content.take(size).read_to_end(&mut bytes)?;
        self.keep(path.len() + bytes.len())?;
        Ok(analyze::parse(wanted, &bytes))
    }

    /// What a file says that no path names; `None` when it is nothing that is known, or says nothing.
    fn content(&mut self, path: &str, size: u64, content: &mut impl Read) -> Result<Option<Parsed>, TarError> {
        let mut head = [0_u8; content::HEAD];
        let mut rest = content.take(size);
        let filled = fill(&mut rest, &mut head)?;
        let head = head.get(..filled).unwrap_or_default();
        let Some(format) = content::sniff(path, head) else { return Ok(None) };
        let parsed = self.told(format, path, size, &mut head.chain(rest))?;
        if parsed.is_empty() {
            return Ok(None);
        }
        let kept = |package: &Package| package.name.len() + package.version.len() + size_of::<Package>();
        self.keep(path.len() + parsed.packages.iter().map(kept).sum::<usize>())?;
        Ok(Some(parsed))
    }

    fn told(&mut self, format: Format, path: &str, size: u64, content: &mut impl Read) -> Result<Parsed, TarError> {
        if size > format.held(self.options.limits.file_bytes) {
            let mut one_at_a_time = self.scan.large.lock().unwrap_or_else(PoisonError::into_inner);
            *one_at_a_time = Vec::new();
            return Ok(content::search(format, path, content)?);
        }
        if size <= SMALL && format == Format::Executable {
            self.buffer.clear();
            content.read_to_end(&mut self.buffer)?;
            return Ok(content::parse(format, path, &self.buffer));
        }
        let mut bytes = self.scan.large.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clear();
        bytes.reserve_exact(usize::try_from(size).unwrap_or_default());
        content.read_to_end(&mut bytes)?;
        Ok(content::parse(format, path, &bytes))
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

/// Reads until the buffer is full or the content ends.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match content.read(rest)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// A limit on its way through an I/O error.
#[derive(Debug, thiserror::Error)]
#[error("more than {1} {0}")]
struct Limit(&'static str, u64);

fn over(what: &'static str, limit: u64) -> TarError {
    TarError::Io(io::Error::other(Limit(what, limit)))
}
