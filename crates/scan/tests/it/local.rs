//! Images that lie on this machine in other forms than a layout's.

use crate::fixture::{BASH, STATUS, inventory, layer, listed, scan_layers};
use crate::fixture::{DEBIAN, E};
use std::fs;
use std::os::unix::fs::symlink;
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::{directory, oci_layout};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::layout;

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
