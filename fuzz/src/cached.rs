//! Layers in a cache that processes share which an image may have taken over: what one of them wrote, another one reads and merges.

use crate::seeds;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::TempDir;
use tidewaiter_scan::cache::{ScanCache, SharedCache};
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::{oci_layout, sha256};

/// An image, and the cache that has its layer.
struct Cached {
    _dir: TempDir,
    image: PathBuf,
    cache: PathBuf,
    /// The entry of its layer.
    entry: PathBuf,
}

/// Made once, by a scan that finds nothing.
fn cached() -> Option<&'static Cached> {
    static CACHED: OnceLock<Option<Cached>> = OnceLock::new();
    CACHED.get_or_init(fill).as_ref()
}

fn fill() -> Option<Cached> {
    let dir = tempfile::tempdir().ok()?;
    let [image, cache] = ["image.tar", "cache"].map(|name| dir.path().join(name));
    fs::write(&image, seeds::oci_archive()).ok()?;
    inventory(&image, &cache);
    let entry = fs::read_dir(cache.join("fresh")).ok()?.next()?.ok()?.path();
    Some(Cached { _dir: dir, image, cache, entry })
}

fn inventory(image: &Path, cache: &Path) {
    let platform = "linux/amd64".parse().ok();
    let Ok(image) = oci_layout::open_archive(image, platform.as_ref()) else { return };
    let Ok(shared) = SharedCache::open(cache, Duration::ZERO) else { return };
    let cancel = AtomicBool::new(false);
    let cache = Some(ScanCache::Shared(&shared));
    let options = ScanOptions { limits: Limits::default(), threads: 1, cancel: &cancel, progress: &Silent, cache };
    drop(engine::inventory(&image, &options));
}

/// The layer of that image, as entries have it below checksum and compression.
pub(crate) fn seed() -> Vec<u8> {
    let packed = cached().and_then(|cached| fs::read(&cached.entry).ok()).unwrap_or_default();
    let mut bytes = Vec::new();
    let decoder = packed.get(32..).and_then(|packed| zstd::Decoder::new(packed).ok());
    assert!(decoder.is_some_and(|mut decoder| decoder.read_to_end(&mut bytes).is_ok()), "the image has a cached layer");
    bytes
}

/// Scans that image with this as its layer.
pub(crate) fn scan(bytes: &[u8]) {
    let (Some(cached), packed) = (cached(), seeds::zstd(bytes)) else { return };
    let sum = sha256(&packed);
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16).unwrap_or_default();
    let mut entry: Vec<u8> = sum.hex().as_bytes().chunks(2).map(digit).collect();
    entry.extend(packed);
    let sealed = cached.cache.join("sealed").join(cached.entry.file_name().unwrap_or_default());
    if fs::write(sealed, entry).is_ok() {
        inventory(&cached.image, &cached.cache);
    }
}
