//! Scans that know layers and images from before see the same as those that read them.

use crate::fixture::{BOTH, DB, E, MUSL, OS, layer, write_layout};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_core::report::Inventory;
use tidewaiter_scan::cache::{Cache, MAX_BYTES, PATIENCE, ScanCache, SharedCache};
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::oci_layout;
use tidewaiter_scan::{NamedDigest, ScanError};
use tidewaiter_testkit::sha256;

fn scan(dir: &Path, cache: Option<ScanCache<'_>>) -> Result<Inventory, ScanError> {
    let image = oci_layout::open(dir, None)?;
    let cancel = AtomicBool::new(false);
    engine::inventory(
        &image,
        &ScanOptions { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent, cache },
    )
}

fn write(dir: &Path, layers: &[&[E<'_>]]) {
    let layers: Vec<Vec<u8>> = layers.iter().map(|l| layer(l)).collect();
    let ids: Vec<String> = layers.iter().map(|l| sha256(l)).collect();
    write_layout(dir, &layers, &ids);
}

#[test]
fn a_known_layer_is_as_good_as_a_read_one() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache"), MAX_BYTES).unwrap();
    let shared = SharedCache::open(&folder.path().join("shared"), PATIENCE).unwrap();
    let base: &[E<'_>] = &[OS, E::File(DB, BOTH), E::Symlink("lib/apk/link", "db"), E::File("opt/x", "x")];
    let tops: [&[E<'_>]; 5] = [
        &[E::File("a", "b")],
        &[E::File(DB, MUSL)],
        &[E::File("lib/apk/db/.wh.installed", "")],
        &[E::File("lib/apk/db/.wh..wh..opq", "")],
        // Links that make files wanted which were not kept: the layers below are read by other rules.
        &[E::Symlink("app/node_modules", "../opt"), E::File("opt/a/package.json", r#"{"name":"a","version":"1.0.0"}"#)],
    ];
    for (number, top) in tops.into_iter().enumerate() {
        let dir = folder.path().join(number.to_string());
        write(&dir, &[base, top]);
        let read = scan(&dir, None).unwrap();
        assert_eq!(scan(&dir, Some(ScanCache::Own(&cache))).unwrap(), read, "{number}: layers in part known");
        assert_eq!(scan(&dir, Some(ScanCache::Own(&cache))).unwrap(), read, "{number}: the image known");
        for _ in 0..2 {
            assert_eq!(scan(&dir, Some(ScanCache::Shared(&shared))).unwrap(), read, "{number}: layers shared");
        }
    }
}

#[test]
fn what_a_config_claims_is_compared_with_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache"), MAX_BYTES).unwrap();
    let good = layer(&[OS, E::File(DB, MUSL)]);
    let dir = folder.path().join("good");
    write_layout(&dir, std::slice::from_ref(&good), &[sha256(&good)]);
    scan(&dir, Some(ScanCache::Own(&cache))).unwrap();
    let lying = folder.path().join("lying");
    write_layout(&lying, &[good], &[sha256(b"other")]);
    assert!(matches!(
        scan(&lying, Some(ScanCache::Own(&cache))),
        Err(ScanError::Mismatch { what: NamedDigest::DiffId, .. })
    ));
    // A failure is not remembered as anything else.
    assert!(scan(&lying, Some(ScanCache::Own(&cache))).is_err());
}
