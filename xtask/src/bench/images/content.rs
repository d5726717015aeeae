//! What the images hold: package lists made in code, files of real bytes.

use super::corpus::Corpus;
use super::layer::LayerWriter;
use anyhow::Result;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::write::{SimpleFileOptions, ZipWriter};

/// Debian packages of the server image.
pub(crate) const DEBIAN_PACKAGES: usize = 500;
/// npm packages of the node image.
pub(crate) const NPM_PACKAGES: usize = 1000;
/// Jars of the Java image.
pub(crate) const JARS: usize = 80;
/// Further files next to `package.json` in each npm package.
const NPM_FILES: usize = 55;
/// Entries of the layer of many.
const ENTRIES: usize = 1_000_000;
/// Entries of a jar in addition to its metadata.
const JAR_ENTRIES: usize = 40;

/// Name of the Debian package with this number.
pub(crate) fn debian_name(number: usize) -> String {
    format!("libbench{number:03}")
}

/// Name of the npm package with this number.
pub(crate) fn npm_name(number: usize) -> String {
    if number.is_multiple_of(5) { format!("@bench/module-{number}") } else { format!("bench-module-{number}") }
}

/// Group, artifact and version of the jar with this number.
pub(crate) fn jar(number: usize) -> (String, String, String) {
    (format!("org.bench.group{}", number % 20), format!("bench-artifact-{number}"), format!("2.{}.1", number % 30))
}

/// `os-release` and the dpkg database with this many packages.
pub(super) fn debian_database(layer: &mut LayerWriter, packages: usize) -> Result<()> {
    let release = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
        VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
    layer.file("etc/os-release", 0o644, release.as_bytes())?;
    let mut status = String::new();
    for number in 0..packages {
        let name = debian_name(number);
        let source = if number % 3 == 1 { format!("Source: {}\n", debian_name(number - 1)) } else { String::new() };
        let _ = write!(
            status,
            "Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: libs\nInstalled-Size: 2168\n\
             Maintainer: Bench Maintainers <bench@lists.example.org>\nArchitecture: amd64\nMulti-Arch: same\n{source}\
             Version: 1:{}.{}-2+deb12u{}\nDepends: libc6 (>= 2.34), libgcc-s1 (>= 3.0)\nDescription: benchmark package\n \
             It stands for one of the libraries of a server.\n .\n Its files are real, its name is not.\n\
             Homepage: https://bench.example.org/{name}\n\n",
            number % 9 + 1,
            number % 40,
            number % 4 + 1
        );
        let files = format!("/.\n/usr\n/usr/lib\n/usr/lib/{name}\n/usr/share/doc/{name}/copyright\n");
        layer.file(&format!("var/lib/dpkg/info/{name}:amd64.list"), 0o644, files.as_bytes())?;
    }
    layer.file("var/lib/dpkg/status", 0o644, status.as_bytes())
}

/// Files of real bytes below `dir`, until the layer holds `bytes` of content.
pub(super) fn fill(layer: &mut LayerWriter, corpus: &mut Corpus, dir: &str, bytes: u64) -> Result<()> {
    let mut number = 0_usize;
    while layer.bytes < bytes {
        let mut content = corpus.next()?;
        let room = usize::try_from(bytes - layer.bytes).unwrap_or(usize::MAX);
        content.bytes.truncate(room);
        // Names of their own: the sources' manifests and lock files are not what this image has installed.
        let path = format!("{dir}/{}/f{number}.{}", debian_name(number % DEBIAN_PACKAGES), content.extension);
        layer.file(&path, content.mode(), &content.bytes)?;
        number += 1;
    }
    Ok(())
}

/// An application's `node_modules`: all of its packages, many small files.
pub(super) fn node_modules(layer: &mut LayerWriter, corpus: &mut Corpus) -> Result<()> {
    for number in 0..NPM_PACKAGES {
        let name = npm_name(number);
        let dir = format!("srv/app/node_modules/{name}");
        let document = serde_json::json!({"name": name, "version": format!("{}.{}.0", number % 7, number % 23),
            "license": "MIT", "main": "index.js", "description": "benchmark package",
            "repository": {"type": "git", "url": format!("git+https://bench.example.org/{name}.git")},
            "scripts": {"test": "node test"}, "dependencies": {npm_name(number / 2): "^1.0.0"}});
        layer.file(&format!("{dir}/package.json"), 0o644, &serde_json::to_vec_pretty(&document)?)?;
        for file in 0..NPM_FILES {
            layer.file(&format!("{dir}/lib/f{file}.js"), 0o644, &corpus.next()?.bytes)?;
        }
    }
    Ok(())
}

/// A million entries in all, the database's included: empty files in a thousand directories.
pub(super) fn entries(layer: &mut LayerWriter) -> Result<()> {
    debian_database(layer, 100)?;
    for number in 102..ENTRIES {
        layer.file(&format!("srv/data/d{:03}/record-{number}.txt", number % 1000), 0o644, b"")?;
    }
    Ok(())
}

/// An application's jars, each naming itself in `pom.properties`.
pub(super) fn jars(layer: &mut LayerWriter, corpus: &mut Corpus) -> Result<()> {
    for number in 0..JARS {
        let (_, artifact, version) = jar(number);
        layer.file(&format!("opt/app/lib/{artifact}-{version}.jar"), 0o644, &archive(number, corpus)?)?;
    }
    Ok(())
}

fn archive(number: usize, corpus: &mut Corpus) -> Result<Vec<u8>> {
    let (group, artifact, version) = jar(number);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let mut add = |name: &str, bytes: &[u8]| -> Result<()> {
        zip.start_file(name, options)?;
        Ok(zip.write_all(bytes)?)
    };
    let manifest = format!("Manifest-Version: 1.0\r\nImplementation-Title: {artifact}\r\n\r\n");
    add("META-INF/MANIFEST.MF", manifest.as_bytes())?;
    let properties = format!("groupId={group}\nartifactId={artifact}\nversion={version}\n");
    add(&format!("META-INF/maven/{group}/{artifact}/pom.properties"), properties.as_bytes())?;
    for entry in 0..JAR_ENTRIES {
        let mut content = corpus.next()?.bytes;
        content.truncate(64 << 10);
        add(&format!("org/bench/group{}/C{entry}.class", number % 20), &content)?;
    }
    Ok(zip.finish()?.into_inner())
}
