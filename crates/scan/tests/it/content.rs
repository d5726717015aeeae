//! Files detected by their content, merged like those that a path selects.

use crate::fixture::{E, OS, inventory, layer, listed, scan_layers, write_layout};
use tidewaiter_core::report::GapKind;
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::{oci_layout, sha256};
use tidewaiter_testkit::layer::{LayerBuilder, LayerCompression};

const NOTHING: E<'_> = E::File("usr/bin/plain", "\x7fELF\x02\x01\x01 and nothing more");

/// The smallest program with build info: one module.
fn program(name: &str, version: &str) -> Vec<u8> {
    let modules = format!("<<<<<<<<<<<<<<<<path\t{name}\nmod\t{name}\t{version}\t\n>>>>>>>>>>>>>>>>");
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(64, 0);
    out.extend(b"\xff Go buildinf:\x08\x02");
    out.resize(96, 0);
    out.extend(b"\x06go1.22");
    out.push(u8::try_from(modules.len()).unwrap());
    out.extend(modules.as_bytes());
    out
}

fn one(path: &str, program: &[u8]) -> Vec<u8> {
    LayerBuilder::new().file(path, program).build(LayerCompression::Plain).bytes
}

/// Compares the modules of an image, without the standard library.
fn check(what: &str, layers: &[Vec<u8>], expected: &[&str]) {
    let mut found = listed(&scan_layers(layers).unwrap());
    found.retain(|line| !line.starts_with("stdlib"));
    assert_eq!(found, expected, "{what}");
}

#[test]
fn programs_are_found_wherever_they_lie() {
    let app = program("example.com/app", "v1.0.0");
    let (plain, base) = (one("opt/app", &app), layer(&[OS, NOTHING]));
    let found = "example.com/app v1.0.0 1 opt/app";
    check("plain", &[base.clone(), plain.clone()], &[found]);
    check("whiteout", &[base.clone(), plain.clone(), layer(&[E::File("opt/.wh.app", "")])], &[]);
    check("opaque", &[base.clone(), plain.clone(), layer(&[E::File("opt/.wh..wh..opq", "")])], &[]);
    check("replaced by text", &[base.clone(), plain.clone(), layer(&[E::File("opt/app", "#!/bin/sh")])], &[]);
    check("replaced by a program without packages", &[base.clone(), plain.clone(), one("opt/app", b"\x7fELF")], &[]);
    check("replaced by a directory", &[base.clone(), plain.clone(), layer(&[E::Dir("opt/app")])], &[]);
    let next = one("opt/app", &program("example.com/app", "v2.0.0"));
    check("replaced by the next", &[base.clone(), plain.clone(), next], &["example.com/app v2.0.0 2 opt/app"]);
    check("the same again", &[base.clone(), plain.clone(), plain.clone()], &[found]);
    let link = layer(&[E::Symlink("usr/bin/app", "/opt/app")]);
    check("a symbolic link is no second program", &[base.clone(), plain.clone(), link], &[found]);
    let link = layer(&[E::Symlink("srv", "opt")]);
    check("nor is a linked directory", &[base.clone(), plain.clone(), link], &[found]);
    let link = layer(&[E::Hardlink("usr/bin/app", "opt/app")]);
    let both = [found, "example.com/app v1.0.0 2 usr/bin/app"];
    check("a hard link is a second place", &[base.clone(), plain.clone(), link.clone()], &both);
    let gone = layer(&[E::File("opt/.wh.app", "")]);
    check("that outlives the first", &[base.clone(), plain, link, gone], &["example.com/app v1.0.0 2 usr/bin/app"]);
    let through = [layer(&[E::Dir("opt"), E::Symlink("srv", "opt")]), one("srv/app", &app)];
    check("written through a link", &through, &[found]);
}

#[test]
fn programs_beyond_the_limit_are_read_as_they_pass() {
    let dir = tempfile::tempdir().unwrap();
    let layers = [
        one("opt/app", &program("example.com/app", "v1.0.0")),
        one("opt/plain", &[b"\x7fELF".as_slice(), &[0; 999]].concat()),
    ];
    let diff_ids: Vec<String> = layers.iter().map(|l| sha256(l).to_string()).collect();
    write_layout(dir.path(), &layers, &diff_ids);
    let image = oci_layout::open(dir.path(), None).unwrap();
    let inventory = inventory(&image, Limits { file_bytes: 64, ..Limits::default() }).unwrap();
    assert_eq!(listed(&inventory), ["example.com/app v1.0.0 0 opt/app", "stdlib 1.22 0 opt/app"]);
    assert!(inventory.gaps.is_empty(), "{:?}", inventory.gaps);
}

#[test]
fn programs_that_cannot_be_read_are_gaps() {
    let packed = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 200], b"UPX!", &[0; 100]].concat();
    let inventory = scan_layers(&[layer(&[OS, NOTHING]), one("opt/packed", &packed)]).unwrap();
    let gaps: Vec<_> = inventory.gaps.iter().map(|g| (g.kind, g.subject.as_str())).collect();
    assert!(gaps.contains(&(GapKind::UnreadableFile, "opt/packed")), "{gaps:?}");
}
