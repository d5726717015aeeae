//! Layers merged as a runtime unpacks them, and images that lie, over OCI layouts made here.

use crate::fixture::{E, layer, layout};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_core::report::{GapKind, Inventory};
use tidewaiter_scan::engine::{self, Options};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::{oci_layout, sha256};
use tidewaiter_scan::{ScanError, tar::Reader};

fn scan(dir: &Path) -> Result<Inventory, ScanError> {
    let cancel = AtomicBool::new(false);
    let options = Options { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent };
    engine::inventory(&oci_layout::open(dir, None)?, &options)
}

fn scan_layers(layers: &[Vec<u8>]) -> Inventory {
    let dir = tempfile::tempdir().unwrap();
    let diff_ids: Vec<String> = layers.iter().map(|l| sha256(l).to_string()).collect();
    layout(dir.path(), layers, &diff_ids);
    scan(dir.path()).unwrap()
}

const OS: E<'_> = E::File("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n");
const DB: &str = "lib/apk/db/installed";
const MUSL: &str = "P:musl\nV:1.0-r0\n\n";
const BOTH: &str = "P:musl\nV:1.0-r0\n\nP:zlib\nV:1.3-r0\n\n";
const ZLIB_NEW: &str = "P:musl\nV:1.0-r0\n\nP:zlib\nV:1.4-r0\n\n";

#[test]
fn layers_merge_as_runtimes_unpack_them() {
    let check = |what: &str, layers: &[&[E<'_>]], expected: &[(&str, usize)]| {
        let layers: Vec<Vec<u8>> = layers.iter().map(|l| layer(l)).collect();
        let found = scan_layers(&layers);
        let found: Vec<(String, usize)> =
            found.packages.iter().map(|p| (format!("{} {}", p.name, p.version), p.locations[0].layer)).collect();
        let found: Vec<(&str, usize)> = found.iter().map(|(p, l)| (p.as_str(), *l)).collect();
        assert_eq!(found, expected, "{what}");
    };
    let musl = [("musl 1.0-r0", 0)];
    check("plain", &[&[OS, E::File(DB, MUSL)]], &musl);
    check("whiteout", &[&[OS, E::File(DB, MUSL)], &[E::File("lib/apk/db/.wh.installed", "")]], &[]);
    check("whiteout of a parent", &[&[OS, E::File(DB, MUSL)], &[E::File("lib/.wh.apk", "")]], &[]);
    check(
        "a whiteout spares its own layer, whatever the order",
        &[&[OS, E::File(DB, BOTH)], &[E::File(DB, MUSL), E::File("lib/apk/db/.wh.installed", "")]],
        &musl,
    );
    check(
        "opaque directory",
        &[&[OS, E::File(DB, BOTH)], &[E::Dir("lib/apk/db"), E::File("lib/apk/db/.wh..wh..opq", "")]],
        &[],
    );
    check("file over directory", &[&[OS, E::File(DB, MUSL)], &[E::File("lib/apk", "x")]], &[]);
    check("link over directory", &[&[OS, E::File(DB, MUSL)], &[E::Symlink("lib", "nowhere")]], &[]);
    check(
        "through a linked parent",
        &[&[OS, E::Symlink("lib", "usr/lib")], &[E::File(DB, MUSL)]],
        &[("musl 1.0-r0", 1)],
    );
    check(
        "directory over link",
        &[&[OS, E::Symlink("lib", "usr/lib")], &[E::Dir("lib"), E::File("lib/apk/db/installed", MUSL)]],
        &[("musl 1.0-r0", 1)],
    );
    check("hard link to a file nobody wanted", &[&[OS, E::File("x/y", MUSL), E::Hardlink(DB, "x/y")]], &musl);
    check("symbolic link to a file nobody wanted", &[&[OS, E::File("x/y", MUSL), E::Symlink(DB, "/x/y")]], &musl);
    check("link loop", &[&[OS, E::Symlink("lib", "lib")]], &[]);
    check("duplicate entries: the last wins", &[&[OS, E::File(DB, BOTH), E::File(DB, MUSL)]], &musl);
    check(
        "the layer that brought it, not the one that wrote the list last",
        &[&[OS, E::File(DB, MUSL)], &[E::File(DB, BOTH)], &[E::File(DB, ZLIB_NEW)]],
        &[("musl 1.0-r0", 0), ("zlib 1.4-r0", 2)],
    );
    check(
        "removed and installed again",
        &[&[OS, E::File(DB, BOTH)], &[E::File(DB, MUSL)], &[E::File(DB, BOTH)]],
        &[("musl 1.0-r0", 0), ("zlib 1.3-r0", 2)],
    );
}

#[test]
fn what_was_not_seen_is_said() {
    let check = |entries: &[E<'_>], expected: &[GapKind]| {
        let found: Vec<GapKind> = scan_layers(&[layer(entries)]).gaps.iter().map(|g| g.kind).collect();
        assert_eq!(found, expected);
    };
    check(&[E::File("hello", "x")], &[GapKind::NothingRecognized]);
    check(&[OS], &[GapKind::NoPackageDatabase]);
    check(&[E::File(DB, MUSL)], &[GapKind::UnsupportedOs]);
    check(&[OS, E::File(DB, "P:musl\n\n")], &[GapKind::UnreadableFile]);
    check(&[E::File("etc/os-release", "ID=gentoo\nVERSION_ID=2\n")], &[GapKind::UnsupportedOs]);
    check(&[E::File("etc/os-release", "ID=fedora\nVERSION_ID=40\n")], &[GapKind::NoPackageDatabase]);
}

#[test]
fn images_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = layer(&[OS, E::File(DB, MUSL)]);
    let reason = |stored: &[u8], claimed: &str| {
        layout(dir.path(), &[stored.to_vec()], &[claimed.to_owned()]);
        scan(dir.path()).map(|_| "").unwrap_or_else(|e| e.reason())
    };
    let id = |bytes: &[u8]| sha256(bytes).to_string();
    assert_eq!(reason(&good, &id(&good)), "");
    assert_eq!(reason(&good, &id(b"other")), "DiffIdMismatch");
    let cut = &good[..good.len() / 2 - 100];
    assert_eq!(reason(cut, &id(cut)), "BadLayer");
    let mut bad_sum = good.clone();
    bad_sum[0] ^= 1;
    assert_eq!(reason(&bad_sum, &id(&bad_sum)), "BadLayer");
    // Bytes changed after the manifest was written.
    layout(dir.path(), std::slice::from_ref(&good), &[id(&good)]);
    let blob = dir.path().join("blobs/sha256").join(sha256(&good).hex());
    fs::write(&blob, [&good[..good.len() - 1], b"x"].concat()).unwrap();
    assert_eq!(scan(dir.path()).unwrap_err().reason(), "DigestMismatch");
    fs::write(&blob, &good[..good.len() - 512]).unwrap();
    assert_eq!(scan(dir.path()).unwrap_err().reason(), "LayerTruncated");
}

#[test]
fn own_tar_reader_agrees_with_another_one() {
    let long = format!("{}/x", "d".repeat(180));
    let bytes = layer(&[OS, E::File(&long, "abc"), E::Symlink("a", &long), E::Dir("b/"), E::File(DB, BOTH)]);
    let mut other = tar::Archive::new(bytes.as_slice());
    let expected: Vec<(String, u64)> = other
        .entries()
        .unwrap()
        .map(|e| e.unwrap())
        .map(|e| (e.path().unwrap().to_string_lossy().into_owned(), e.size()))
        .collect();
    let mut reader = Reader::new(bytes.as_slice(), &Limits::default());
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        found.push((entry.path, entry.size));
    }
    assert_eq!(found, expected);
}
