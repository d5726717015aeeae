//! Python applications in one file: a zip archive that Python runs (the standard library's `zipapp`), in which shiv has a
//! `site-packages` and pex a `.deps` with a directory or a wheel for each distribution. pex' layout `packed` has those
//! wheels as files of its directory.

use super::super::ParsedFile;
use super::super::analyzer::Analyzer;
use super::super::listing::{Listing, json, text};
use super::super::parsed::failed;
use super::{MAX_METADATA, distribution, is_installed, vendored};
use std::collections::BTreeSet;
use tidewaiter_archive::zip::ZipArchive;
use tidewaiter_core::package::{Location, Package, PackageType};

/// Bytes of metadata and wheels that are unpacked of one application.
const MAX_UNPACKED: u64 = 256 << 20;
/// What every file begins with that PyInstaller collects modules in: its builds leave such files, which nothing runs.
const MODULES_OF_PYINSTALLER: &[u8] = b"PYZ\0";

pub(in crate::analyze) const ANALYZER: Analyzer = Analyzer {
    name: "Python applications in one file (zipapp, shiv, pex)",
    files: &["**/*.pyz", "**/*.pyzw", "**/*.pex", "**/.deps/*.whl"],
    types: &[PackageType::Pypi],
    version: 1,
    accepts: is_installed,
    read: parse,
};

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    if bytes.starts_with(MODULES_OF_PYINSTALLER) {
        return ParsedFile::default();
    }
    archive(path, bytes).unwrap_or_else(|| failed(path, "it is not a zip archive"))
}

/// Reads a file without a suffix that begins like a script, as shiv's documentation names them. Most are plain text.
pub(in crate::analyze) fn behind_script(path: &str, bytes: &[u8]) -> ParsedFile {
    archive(path, bytes).unwrap_or_default()
}

/// What the archive at the end of a file holds; `None` without one.
fn archive(path: &str, bytes: &[u8]) -> Option<ParsedFile> {
    let mut application = Application { listing: Listing::new(path), folders: BTreeSet::new(), left: MAX_UNPACKED };
    match ZipArchive::open(bytes) {
        Ok(Some(archive)) => application.read(&archive, ""),
        Ok(None) => return None,
        Err(e) => return Some(failed(path, &e.to_string())),
    }
    Some(application.done())
}

/// What an application holds, so far.
struct Application<'p> {
    listing: Listing<'p>,
    /// Directories of metadata whose distribution was built from a folder.
    folders: BTreeSet<String>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl Application<'_> {
    /// Reads an archive, which lies at `above` in the application: empty, or the path of a wheel.
    fn read(&mut self, archive: &ZipArchive<'_>, above: &str) {
        for entry in archive.entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => return self.listing.unreadable(&e.to_string()),
            };
            let place = format!("{above}!/{}", String::from_utf8_lossy(entry.name));
            // The archive in an archive is the last one: a wheel has no wheels that run.
            let is_wheel = above.is_empty() && is_wheel(&place);
            if !is_wheel && !is_metadata(&place) && !is_origin(&place) || self.listing.is_full() {
                continue;
            }
            let max = if is_wheel { self.left } else { self.left.min(MAX_METADATA) };
            match archive.content(&entry, max) {
                Ok(content) => self.add(&place, &content, is_wheel),
                Err(e) => self.listing.unreadable(&format!("{place:.200}: {e}")),
            }
        }
    }

    fn add(&mut self, place: &str, content: &[u8], is_wheel: bool) {
        self.left = self.left.saturating_sub(u64::try_from(content.len()).unwrap_or(u64::MAX));
        if is_wheel {
            match ZipArchive::open(content) {
                Ok(Some(wheel)) => self.read(&wheel, place),
                Ok(None) => self.listing.unreadable(&format!("{place:.200} is not a zip archive")),
                Err(e) => self.listing.unreadable(&format!("{place:.200}: {e}")),
            }
        } else if is_origin(place) {
            if json(content).is_ok_and(|url| text(&url, "url").starts_with("file://") && url.get("dir_info").is_some())
            {
                self.folders.insert(directory(place).to_owned());
            }
        } else {
            let parsed = distribution(place.trim_start_matches("!/"), content);
            for package in parsed.packages {
                let locations = vec![Location { path: place.to_owned(), layer: 0 }];
                self.listing.package(Package { vendored: vendored(place), locations, ..package });
            }
            for gap in parsed.gaps {
                self.listing.unreadable(&format!("{:.200}: {}", gap.subject, gap.message));
            }
        }
    }

    fn done(self) -> ParsedFile {
        let mut parsed = self.listing.done();
        for package in &mut parsed.packages {
            package.own |= package.locations.iter().any(|at| self.folders.contains(directory(&at.path)));
        }
        parsed
    }
}

fn directory(path: &str) -> &str {
    crate::path::split(path).0
}

fn is_wheel(place: &str) -> bool {
    place.starts_with("!/.deps/") && place.ends_with(".whl")
}

fn is_metadata(place: &str) -> bool {
    [".dist-info/METADATA", ".egg-info/PKG-INFO", "EGG-INFO/PKG-INFO"].iter().any(|end| place.ends_with(end))
        && is_installed(place)
}

fn is_origin(place: &str) -> bool {
    place.ends_with(".dist-info/direct_url.json") && is_installed(place)
}

#[cfg(test)]
mod tests {
    use super::super::super::listing::summary;
    use super::super::super::{parse as analyze, wants};
    use super::*;
    use std::io::{Cursor, Write as _};

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn applications_hold_distributions() {
        let check = |path: &str, files: &[(&str, &[u8])], expected: &str, gaps: usize| {
            assert!(wants(path), "{path}");
            let script = [b"#!/usr/bin/env python3\n".as_slice(), &zip(files)].concat();
            assert_eq!(summary(&parse(path, &script)), (expected.to_owned(), gaps), "{files:?}");
        };
        let metadata = b"Name: a\nVersion: 1.0\n".as_slice();
        let folder = br#"{"url":"file:///src/a","dir_info":{}}"#.as_slice();
        let wheel = zip(&[("a-1.0.dist-info/METADATA", metadata), ("a-1.0.dist-info/direct_url.json", folder)]);
        let site = "site-packages/a-1.0.dist-info";
        let (shiv, origin) = (format!("{site}/METADATA"), format!("{site}/direct_url.json"));
        check("app/a.pyz", &[(&shiv, metadata)], "a 1.0", 0);
        check("app/a.pyz", &[(&origin, folder), (&shiv, metadata)], "a 1.0 (own)", 0);
        check("app/a.pyz", &[(&origin, b"{\"url\":\"file:///a.whl\"}"), (&shiv, metadata)], "a 1.0", 0);
        check("app/a.pex", &[(".deps/a-1.0-py3-none-any.whl/a-1.0.dist-info/METADATA", metadata)], "a 1.0", 0);
        check("app/a.pex", &[(".deps/a-1.0-py3-none-any.whl", &wheel)], "a 1.0 (own)", 0);
        check("app/a.pex", &[(".deps/a-1.0-py3-none-any.whl", b"x")], "", 1);
        check("app/.deps/a-1.0-py3-none-any.whl", &[("a-1.0.dist-info/METADATA", metadata)], "a 1.0", 0);
        check("app/a.pyzw", &[("site-packages/b/tests/a-1.0.dist-info/METADATA", metadata)], "", 0);
        check("app/a.pyz", &[("__main__.py", b"")], "", 0);
        check("app/a.pyz", &[(&shiv, b"")], "", 1);
    }

    #[test]
    fn applications_need_no_suffix() {
        let check = |script: &str, archive: &[u8], expected: &str| {
            let bytes = [script.as_bytes(), archive].concat();
            assert_eq!(summary(&analyze("usr/local/bin/app", &bytes)), (expected.to_owned(), 0), "{script}");
        };
        let archive = zip(&[("site-packages/a-1.0.dist-info/METADATA", b"Name: a\nVersion: 1.0\n")]);
        check("#!/usr/bin/env python3\n", &archive, "a 1.0");
        check("#!/bin/sh\nexec python3 \"$0\"\n", &archive, "a 1.0");
        check("#!/bin/sh\necho\n", b"", "");
    }

    #[test]
    fn packages_are_where_their_metadata_is() {
        let metadata = b"Name: a\nVersion: 1.0\n".as_slice();
        let check = |name: &str, vendored: bool| {
            let package = parse("a.pyz", &zip(&[(name, metadata)])).packages.remove(0);
            assert_eq!((package.locations[0].path.as_str(), package.vendored), (&*format!("!/{name}"), vendored));
        };
        check("site-packages/a-1.0.dist-info/METADATA", false);
        check("site-packages/setuptools/_vendor/a-1.0.dist-info/METADATA", true);
        check("pip/_vendor/a-1.0.dist-info/METADATA", true);
    }

    #[test]
    fn what_is_not_an_application_is_a_gap() {
        let check = |bytes: &[u8], gaps: usize| assert_eq!(parse("a.pyz", bytes).gaps.len(), gaps, "{bytes:?}");
        check(b"#!/usr/bin/python3\nprint(1)\n", 1);
        check(b"PYZ\0\xa7\x0d\x0d\x0a", 0);
        let whole = zip(&[("site-packages/a-1.0.dist-info/METADATA", b"Name: a\nVersion: 1.0\n")]);
        check(&whole[..whole.len() / 2], 1);
        assert!(!wants("app/wheels/a-1.0-py3-none-any.whl"));
    }
}
