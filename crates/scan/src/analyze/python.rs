//! Python distributions: `*.dist-info/METADATA` (PEP 376, core metadata) and eggs, as files, directories and zip archives.

pub(super) mod origin;
pub(super) mod zipapp;

use super::analyzer::Analyzer;
use super::headers::Stanza;
use super::parsed::{TEST_DIRS, failed};
use super::{ParsedFile, is_text};
use std::borrow::Cow;
use tidewaiter_archive::zip::ZipArchive;
use tidewaiter_core::package::{Package, PackageType};

/// The metadata in a zipped egg.
const METADATA: &[u8] = b"EGG-INFO/PKG-INFO";
/// Bytes of it: it includes a long description.
const MAX_METADATA: u64 = 8 << 20;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Python distributions",
    files: &[
        "**/*.dist-info/METADATA",
        "**/*.egg-info/PKG-INFO",
        "**/*.egg/EGG-INFO/PKG-INFO",
        "**/*.egg-info",
        "**/*.egg",
    ],
    types: &[PackageType::Pypi],
    version: 2,
    accepts: is_installed,
    read: parse,
};

/// pip renames a distribution to `~name` while it removes it, and ignores what an aborted removal leaves behind. What is
/// among the tests of an installed one is their data.
fn is_installed(path: &str) -> bool {
    !path.split('/').any(|part| part.starts_with('~') && part.contains(".dist-info")) && !in_tests(path)
}

/// Whether it is in a directory of tests below a directory that distributions are installed to.
pub(super) fn in_tests(path: &str) -> bool {
    let installed = ["site-packages/", "dist-packages/"].iter().filter_map(|dir| path.split_once(dir));
    installed.map(|(_, inside)| inside).any(|inside| inside.split('/').any(|dir| TEST_DIRS.contains(&dir)))
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    if path.ends_with(".egg") {
        return match zipped(bytes) {
            Ok(metadata) => distribution(path, &metadata),
            Err(cause) => failed(path, &cause),
        };
    }
    distribution(path, bytes)
}

fn distribution(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // The body after the first empty line is the description; a line that is not a field is ignored, as by pip.
    let head = text.lines().take_while(|l| !l.trim_end().is_empty()).filter(|l| l.contains(':') || l.starts_with(' '));
    let stanza = Stanza::parse(head).unwrap_or_default();
    match (stanza.get("Name"), stanza.get("Version")) {
        (Some(name), Some(version)) if !is_text(&[name, version]) => failed(path, "its name or version is not UTF-8"),
        (Some(name), Some(version)) if !name.is_empty() && !version.is_empty() => {
            let package = Package { own: is_source(path), ..Package::new(PackageType::Pypi, name, version) };
            ParsedFile { packages: vec![package], ..ParsedFile::default() }
        }
        _ => failed(path, "it names no distribution and version"),
    }
}

/// The metadata in a zipped egg. Of several entries of that name Python's `zipimport` takes the last.
fn zipped(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let archive = ZipArchive::open(bytes).map_err(|e| e.to_string())?.ok_or("it is not a zip archive")?;
    let mut metadata = None;
    for entry in archive.entries() {
        let entry = entry.map_err(|e| e.to_string())?;
        if entry.name == METADATA {
            metadata = Some(entry);
        }
    }
    let entry = metadata.ok_or("it has no metadata")?;
    archive.content(&entry, MAX_METADATA).map_err(|e| format!("its metadata cannot be read: {e}"))
}

/// Whether it is what setuptools leaves in the source folder of a project that it builds: `NAME.egg-info`. An installation
/// adds the version to the name of the directory (setuptools, `install_egg_info`), and a dash in a project's name is no dash
/// there.
fn is_source(path: &str) -> bool {
    let dir = path.strip_suffix(".egg-info/PKG-INFO").map(|dir| dir.rsplit('/').next().unwrap_or(dir));
    let installed = ["site-packages/", "dist-packages/", "_vendor/"].iter().any(|dir| path.contains(dir));
    dir.is_some_and(|name| !name.contains('-')) && !installed
}

/// Whether the metadata is inside another distribution instead of next to it.
pub(super) fn vendored(path: &str) -> bool {
    let root = ["site-packages/", "dist-packages/"].iter().filter_map(|r| path.rfind(r).map(|at| at + r.len())).max();
    let inside = root.and_then(|at| path.get(at..)).unwrap_or(path);
    let parts: Vec<&str> = inside.split('/').collect();
    match root {
        // An egg is a directory of its own around its EGG-INFO.
        Some(_) => {
            !parts.first().is_some_and(|p| p.ends_with(".dist-info") || p.ends_with(".egg-info") || p.ends_with(".egg"))
        }
        None => parts.iter().any(|p| *p == "_vendor" || *p == "vendor" || *p == "_vendored"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{at, wants};
    use super::*;
    use std::io::Cursor;

    #[test]
    fn metadata_becomes_a_package() {
        let check = |path: &str, expected: bool| {
            let parsed = parse(path, b"Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\n\nbody: x\n");
            let p = at(parsed.packages.first().unwrap(), path);
            assert_eq!((p.name.as_str(), p.version.as_str(), p.vendored), ("Foo_Bar", "1.0", expected), "{path}");
        };
        check("usr/lib/python3/dist-packages/foo-1.0.dist-info/METADATA", false);
        check("usr/lib/python3.8/site-packages/setuptools/_vendor/foo-1.0.dist-info/METADATA", true);
        check("usr/lib/python3.8/site-packages/foo-1.0-py3.egg/EGG-INFO/PKG-INFO", false);
        check("app/_vendor/foo-1.0.dist-info/METADATA", true);
    }

    #[test]
    fn what_a_build_leaves_in_its_source_is_own_code() {
        let check = |path: &str, expected: bool| {
            let parsed = parse(path, b"Name: a\nVersion: 1.0\n");
            assert_eq!(parsed.packages[0].own, expected, "{path}");
        };
        check("src/lib/my_app.egg-info/PKG-INFO", true);
        check("opt/python/my_app-1.0-py3.8.egg-info/PKG-INFO", false);
        check("usr/lib/python3/dist-packages/my_app.egg-info/PKG-INFO", false);
        check("opt/python/my_app-1.0.dist-info/METADATA", false);
    }

    #[test]
    fn what_names_no_version_is_a_gap() {
        for text in ["", "Name: a\n", "Name: a\nVersion:\n", "\nName: a\nVersion: 1\n"] {
            let parsed = parse("x.egg-info", text.as_bytes());
            assert_eq!((parsed.packages.len(), parsed.gaps.len()), (0, 1), "{text}");
        }
        let latin1 = parse("x.egg-info", b"Name: a\nVersion: 1\nAuthor: Andr\xe9\n");
        assert_eq!((latin1.packages.len(), latin1.gaps.len()), (1, 0));
        assert_eq!(parse("x.egg-info", b"Name: \xe9\nVersion: 1\n").gaps.len(), 1);
    }

    #[test]
    fn eggs_may_be_zipped() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("EGG-INFO/PKG-INFO", zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, b"Name: a\nVersion: 1.0\n").unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        let path = "usr/lib/python3.9/site-packages/a-1.0-py3.9.egg";
        let parsed = parse(path, &bytes);
        assert_eq!((parsed.packages[0].name.as_str(), at(&parsed.packages[0], path).vendored), ("a", false));
        assert_eq!(parse(path, &bytes[..bytes.len() / 2]).gaps.len(), 1);
        assert!(wants(path) && !wants("site-packages/~ip-20.0.dist-info/METADATA"));
        assert!(!wants("site-packages/conda/tests/data/lib/site-packages/a-1.dist-info/METADATA"));
        assert!(wants("app/tests/venv/site-packages/a-1.dist-info/METADATA"));
    }
}
