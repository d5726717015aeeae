//! Scans that share the layers of a registry, each as if it were a process of its own.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;
use tidewaiter_scan::cache::{LayerCounts, PATIENCE, ScanCache, SharedCache};
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::registry::{self, RegistryConfig};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layer::{LayerBuilder, LayerCompression};
use tidewaiter_testkit::packages::debian;
use tidewaiter_testkit::registry::Registry;

/// Scans an image by a cache that it opens itself, as a process does.
fn scan(image: &str, cache: &Path) -> LayerCounts {
    let opened = registry::open(&RegistryConfig::default(), &image.parse().unwrap(), None).unwrap();
    let shared = SharedCache::open(cache, PATIENCE).unwrap();
    let cancel = AtomicBool::new(false);
    let cache = Some(ScanCache::Shared(&shared));
    let options = ScanOptions { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent, cache };
    let inventory = engine::inventory(&opened, &options).unwrap();
    assert_eq!(inventory.packages.len(), 1);
    shared.counts()
}

#[test]
fn a_layer_is_fetched_once_however_many_scans_need_it_at_the_same_time() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let registry = Registry::start();
    let layers = ["1.0-1", "2.0-1"].map(|version| debian("99", &[("zlib", version)]).build(LayerCompression::Gzip));
    // In either order, so that scans hold what others wait for.
    let images: Vec<String> = (0..6)
        .map(|number| {
            let own = LayerBuilder::new().file("app/number", number.to_string());
            let [first, second] = if number % 2 == 0 { [0, 1] } else { [1, 0] };
            let image = ImageBuilder::new().stored("ADD", layers[first].clone()).stored("ADD", layers[second].clone());
            registry.push(&format!("image-{number}"), "v1", &image.layer("COPY", own).build())
        })
        .collect();
    registry.delay_blobs(Duration::from_millis(100));
    let folder = tempfile::tempdir().unwrap();
    let counts: Vec<LayerCounts> = thread::scope(|scope| {
        let all: Vec<_> = images.iter().map(|image| scope.spawn(|| scan(image, folder.path()))).collect();
        all.into_iter().map(|scan| scan.join().unwrap()).collect()
    });
    let fetched = |digest: &str| registry.log().iter().filter(|line| line.contains(digest)).count();
    for layer in &layers {
        assert_eq!(fetched(&tidewaiter_testkit::sha256(&layer.bytes)), 1, "{:?}", registry.log());
    }
    let sum = |of: fn(&LayerCounts) -> u64| counts.iter().map(of).sum::<u64>();
    assert_eq!((sum(|c| c.read), sum(|c| c.cached), sum(|c| c.unstored)), (8, 10, 0), "{counts:?}");
}
