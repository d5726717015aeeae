//! Images that lie on this machine in other forms than a layout's.

use crate::fixture::{BASH, STATUS, inventory, layer, listed, scan_layers};
use crate::fixture::{DEBIAN, E};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::{directory, oci_layout};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::image::{ImageBuilder, ImageFixture};
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::{layout, sha256};

const LONG: &str = "opt/a-directory-whose-name-is-so-long/that-no-header-of-a-plain-tar-has-room-for-it/and-more/so-that-it-needs-more/node_modules/a/package.json";
const PACKAGE: &str = r#"{"name":"a","version":"1.0.0"}"#;

#[test]
fn a_directory_holds_what_an_image_of_it_would() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("usr/lib/os-release", "ID=debian\nVERSION_ID=12\n"), (STATUS, BASH), (LONG, PACKAGE), ("opt/x", "x")];
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::create_dir(folder.path().join("etc")).unwrap();
    symlink("../usr/lib/os-release", folder.path().join("etc/os-release")).unwrap();
    let image = directory::open(folder.path(), None).unwrap();
    let found = inventory(&image, Limits::default()).unwrap();
    let entries: Vec<E<'_>> = [E::File(STATUS, BASH), E::File(LONG, PACKAGE), DEBIAN].to_vec();
    assert_eq!(listed(&found), listed(&scan_layers(&[layer(&entries)]).unwrap()));
    assert_eq!(found.os.as_ref().map(|os| os.id.as_str()), Some("debian"));
    // The same files have the same digest, another byte another one.
    assert_eq!(directory::open(folder.path(), None).unwrap().manifest_digest, image.manifest_digest);
    fs::write(folder.path().join("opt/x"), "y").unwrap();
    assert_ne!(directory::open(folder.path(), None).unwrap().manifest_digest, image.manifest_digest);
    assert!(inventory(&image, Limits::default()).is_err(), "it changed since it was opened");
    assert!(directory::open(&folder.path().join("absent"), None).is_err());
}

#[test]
fn a_layout_may_be_packed() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, file) = (folder.path().join("layout"), folder.path().join("layout.tar"));
    layout::write(&dir, &clean().build());
    let mut tar = tar::Builder::new(fs::File::create(&file).unwrap());
    tar.append_dir_all("", &dir).unwrap();
    tar.finish().unwrap();
    let (packed, plain) = (oci_layout::open_archive(&file, None).unwrap(), oci_layout::open(&dir, None).unwrap());
    assert_eq!(packed.manifest_digest, plain.manifest_digest);
    let limits = Limits::default();
    assert_eq!(listed(&inventory(&packed, limits).unwrap()), listed(&inventory(&plain, limits).unwrap()));
}

#[test]
fn a_layout_may_have_one_platform_of_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let here = std::env::consts::ARCH;
    let of = |arch: &str| ImageBuilder::new().architecture(arch).layer("A", LayerBuilder::new()).build();
    let names = ["s390x", if here == "x86_64" { "amd64" } else { "arm64" }];
    let images = names.map(of);
    layout::write(folder.path(), &ImageFixture::index(&images));
    let open = |platform: Option<&str>| oci_layout::open(folder.path(), platform.map(|p| p.parse().unwrap()).as_ref());
    assert_eq!(open(None).unwrap().manifest_digest.as_str(), images[1].digest());
    let blob = |digest: &str| folder.path().join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
    fs::remove_file(blob(&images[1].digest())).unwrap();
    let error = open(None).unwrap_err().to_string();
    assert!(error.contains("it has linux/s390x: choose one of these with --platform"), "{error}");
    assert_eq!(open(Some("linux/s390x")).unwrap().manifest_digest.as_str(), images[0].digest());
}

#[test]
fn manifests_that_are_no_images_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let image = clean().build();
    layout::write(folder.path(), &image);
    let check = |entry: Value, manifest: Value, passed: bool| {
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let digest = sha256(&bytes);
        fs::write(folder.path().join("blobs/sha256").join(digest.trim_start_matches("sha256:")), &bytes).unwrap();
        let index = folder.path().join("index.json");
        let mut document: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
        let mut other =
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": bytes.len()});
        other.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        // In front, so that it would be taken.
        document["manifests"] = json!([other, document["manifests"].as_array().unwrap().last().unwrap()]);
        fs::write(&index, serde_json::to_vec(&document).unwrap()).unwrap();
        let opened = oci_layout::open(folder.path(), None);
        let found = opened.is_ok_and(|opened| opened.manifest_digest.as_str() == image.digest());
        assert_eq!(found, passed, "{entry} {manifest}");
    };
    let manifest = |config: &str| json!({"schemaVersion": 2, "layers": [], "config": {"mediaType": config, "digest": image.digest(), "size": 2}});
    let (picture, chart) = ("application/vnd.oci.image.config.v1+json", "application/vnd.cncf.helm.config.v1+json");
    check(json!({}), manifest(chart), true);
    check(json!({"artifactType": "application/vnd.example"}), manifest(picture), true);
    check(json!({"annotations": {"kind": "dev.cosignproject.cosign/sigs"}}), manifest(picture), true);
    let mut typed = manifest("application/vnd.oci.empty.v1+json");
    typed["artifactType"] = json!("application/spdx+json");
    check(json!({}), typed, true);
    // Two images without a platform: which one is meant is not known.
    check(json!({}), manifest(picture), false);
}
