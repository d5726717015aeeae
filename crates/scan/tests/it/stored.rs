//! How layers are stored, what may be absent, and what an image may cost.

use crate::fixture::{DB, E, MUSL, OS, builder, inventory, listed};
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use tidewaiter_core::report::GapKind;
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::oci_layout;
use tidewaiter_testkit::image::{ImageBuilder, ImageFixture};
use tidewaiter_testkit::layer::{LayerCompression, LayerFixture};
use tidewaiter_testkit::{layout, sha256};

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const DOCKER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const FOREIGN_OCI: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Packages and gaps, or the reason of the failure.
fn scan(image: &ImageFixture, limits: Limits, absent: Option<&str>) -> String {
    let dir = tempfile::tempdir().unwrap();
    layout::write(dir.path(), image);
    if let Some(digest) = absent {
        fs::remove_file(dir.path().join("blobs/sha256").join(digest.trim_start_matches("sha256:"))).unwrap();
    }
    let opened = oci_layout::open(dir.path(), None).map_err(Into::into);
    match opened.and_then(|image| inventory(&image, limits)) {
        Ok(found) => {
            let gaps: Vec<GapKind> = found.gaps.iter().map(|g| g.kind).collect();
            format!("{} packages, {gaps:?}", listed(&found).len())
        }
        Err(error) => error.reason().to_string(),
    }
}

fn image(bytes: Vec<u8>, media_type: &'static str) -> ImageFixture {
    let diff_id = sha256(&builder(&[OS, E::File(DB, MUSL)]).build(LayerCompression::Plain).bytes);
    ImageBuilder::new().stored("step", LayerFixture { bytes, media_type, diff_id }).build()
}

#[test]
fn bytes_say_how_a_layer_is_compressed() {
    let tar = builder(&[OS, E::File(DB, MUSL)]).build(LayerCompression::Plain).bytes;
    let (first, second) = tar.split_at(700);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let check = |what: &str, bytes: Vec<u8>, media_type: &'static str, expected: &str| {
        assert_eq!(scan(&image(bytes, media_type), Limits::default(), None), expected, "{what}");
    };
    let good = "1 packages, []";
    check("plain", tar.clone(), TAR, good);
    check("gzip", gzip(&tar), GZIP, good);
    check("zstd", zstd(&tar), ZSTD, good);
    check("docker's own type", gzip(&tar), DOCKER, good);
    check("several gzip members", [gzip(first), gzip(second)].concat(), GZIP, good);
    check("several zstd frames", [zstd(first), zstd(second)].concat(), ZSTD, good);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(&tar)].concat();
    check("a skippable zstd frame first", skippable, ZSTD, good);
    check("plain, called gzip", tar.clone(), GZIP, good);
    check("gzip, called plain", gzip(&tar), TAR, good);
    check("zstd, called gzip", zstd(&tar), GZIP, good);
    let cut = gzip(&tar);
    check("cut gzip", cut[..cut.len() - 20].to_vec(), GZIP, "BadLayer");
    check("foreign, but there", gzip(&tar), FOREIGN, good);
    check("foreign of OCI", gzip(&tar), FOREIGN_OCI, good);
    check("no layer at all", tar.clone(), "application/vnd.in-toto+json", "UnsupportedMediaType");
    check("encrypted", tar, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "UnsupportedMediaType");
}

#[test]
fn only_a_foreign_layer_may_be_absent() {
    let tar = builder(&[OS, E::File(DB, MUSL)]).build(LayerCompression::Gzip);
    let check = |media_type: &'static str, expected: &str| {
        let absent = LayerFixture { bytes: gzip(b"x"), media_type, diff_id: sha256(b"x") };
        let digest = sha256(&absent.bytes);
        let image = ImageBuilder::new().stored("base", absent).stored("step", tar.clone()).build();
        assert_eq!(scan(&image, Limits::default(), Some(&digest)), expected, "{media_type}");
    };
    check(FOREIGN, "1 packages, [UnreadableFile]");
    check(GZIP, "ImageNotFound");
}

#[test]
fn limits_are_named() {
    let zeros = "0".repeat(4096);
    let entries = [OS, E::File(DB, MUSL), E::File("x", &zeros), E::Symlink("a/b", "c")];
    let image = ImageBuilder::new().layer("step", builder(&entries)).build();
    let check = |limits: Limits, expected: &str| assert_eq!(scan(&image, limits, None), expected, "{limits:?}");
    let all = Limits::default();
    check(all, "1 packages, []");
    check(Limits { layer_bytes: 1024, ..all }, "LimitExceeded");
    check(Limits { entries: 2, ..all }, "LimitExceeded");
    check(Limits { ratio: 1, ratio_from: 100, ..all }, "LimitExceeded");
    check(Limits { path_bytes: 10, ..all }, "LimitExceeded");
    check(Limits { recorded_bytes: 100, ..all }, "LimitExceeded");
    check(Limits { file_bytes: 4, ..all }, "0 packages, [LimitReached, LimitReached, NothingRecognized]");
}
