//! Tables of entries, made into images by testkit.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_core::report::Inventory;
use tidewaiter_scan::ScanError;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::{Image, oci_layout};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layer::{LayerBuilder, LayerCompression, LayerFixture};
use tidewaiter_testkit::{layout, sha256};

/// An entry of a layer: path and what it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum E<'a> {
    File(&'a str, &'a str),
    Dir(&'a str),
    Symlink(&'a str, &'a str),
    Hardlink(&'a str, &'a str),
    Raw(&'a [u8]),
}

pub(crate) const OS: E<'_> = E::File("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n");
pub(crate) const DB: &str = "lib/apk/db/installed";
pub(crate) const MUSL: &str = "P:musl\nV:1.0-r0\n\n";
pub(crate) const BOTH: &str = "P:musl\nV:1.0-r0\n\nP:zlib\nV:1.3-r0\n\n";
pub(crate) const DEBIAN: E<'_> = E::File("etc/os-release", "ID=debian\nVERSION_ID=12\n");
pub(crate) const STATUS: &str = "var/lib/dpkg/status";
pub(crate) const BASH: &str = "Package: bash\nStatus: install ok installed\nVersion: 5.2\n\n";

pub(crate) fn builder(entries: &[E<'_>]) -> LayerBuilder {
    entries.iter().fold(LayerBuilder::new(), |layer, entry| match entry {
        E::File(path, content) => layer.file(path, content),
        E::Dir(path) => layer.dir(path),
        E::Symlink(path, target) => layer.symlink(path, target),
        E::Hardlink(path, target) => layer.hardlink(path, target),
        E::Raw(bytes) => layer.raw(bytes),
    })
}

/// A tar of these entries.
pub(crate) fn layer(entries: &[E<'_>]) -> Vec<u8> {
    builder(entries).build(LayerCompression::Plain).bytes
}

pub(crate) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// Writes a layout; `stored` are the layers' bytes, `diff_ids` what the config claims of them.
pub(crate) fn write_layout(dir: &Path, stored: &[Vec<u8>], diff_ids: &[String]) {
    let layers = stored.iter().zip(diff_ids);
    let layers = layers.map(|(bytes, id)| LayerFixture { bytes: bytes.clone(), media_type: TAR, diff_id: id.clone() });
    layout::write(dir, &layers.fold(ImageBuilder::new(), |image, layer| image.stored("step", layer)).build());
}

/// What an image holds, within limits.
pub(crate) fn inventory(image: &Image, limits: Limits) -> Result<Inventory, ScanError> {
    let cancel = AtomicBool::new(false);
    engine::inventory(image, &ScanOptions { limits, threads: 2, cancel: &cancel, progress: &Silent, cache: None })
}

/// What the layout in `dir` holds.
pub(crate) fn scan(dir: &Path) -> Result<Inventory, ScanError> {
    inventory(&oci_layout::open(dir, None)?, Limits::default())
}

/// What an image of these plain layers holds.
pub(crate) fn scan_layers(layers: &[Vec<u8>]) -> Result<Inventory, ScanError> {
    let dir = tempfile::tempdir().unwrap();
    let diff_ids: Vec<String> = layers.iter().map(|l| sha256(l)).collect();
    write_layout(dir.path(), layers, &diff_ids);
    scan(dir.path())
}

/// "name version layer path" of each location of each package.
pub(crate) fn listed(inventory: &Inventory) -> Vec<String> {
    let line = |p: &tidewaiter_core::package::Package| {
        let (name, version) = (p.name.clone(), p.version.clone());
        p.locations.iter().map(move |l| format!("{name} {version} {} {}", l.layer, l.path)).collect::<Vec<_>>()
    };
    inventory.packages.iter().flat_map(line).collect()
}
