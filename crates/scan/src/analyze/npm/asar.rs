//! Electron's archives: `app.asar` holds an application with its `node_modules` (asar, "Format"). Two numbers of Chromium's
//! `Pickle` say how long the header is, which is JSON: a tree of files, each with its size and its offset from the end of
//! the header. What is `unpacked` lies next to the archive, and is found there.

use super::super::ParsedFile;
use super::super::analyzer::{Analyzer, all};
use super::super::listing::{Listing, json, text};
use super::super::parsed::failed;
use serde_json::Value;
use tidewaiter_archive::bytes::{le32, slice};
use tidewaiter_core::package::{Location, Package, PackageType};

/// The bytes before the header's text: four numbers of four bytes.
const PREFIX: usize = 16;
/// Bytes of a path: PATH_MAX of Linux.
const MAX_PATH: usize = 4096;

pub(in crate::analyze) const ANALYZER: Analyzer = Analyzer {
    name: "Electron archives (asar)",
    files: &["**/*.asar"],
    types: &[PackageType::Npm],
    version: 1,
    accepts: all,
    read: parse,
};

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    match header(bytes) {
        Ok((tree, content)) => {
            let mut archive = AsarArchive { content, listing: Listing::new(path) };
            archive.directory(&tree, "");
            archive.listing.done()
        }
        Err(cause) => failed(path, &cause),
    }
}

/// The tree of files, and the bytes that their offsets count in.
fn header(bytes: &[u8]) -> Result<(Value, &[u8]), String> {
    let (text, content) = parts(bytes).ok_or("it is not an asar archive, or is cut off")?;
    Ok((json(text)?, content))
}

/// The text of the header, and what follows it.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let number = |at: usize| le32(bytes, at).and_then(|n| usize::try_from(n).ok());
    let (outer, size, length) = (number(0)?, number(4)?, number(12)?);
    let text = slice(bytes, PREFIX, length)?;
    let content = bytes.get(size.checked_add(8)?..)?;
    // The first number is the size of the second.
    (outer == 4 && length.checked_add(8)? <= size).then_some((text, content))
}

/// Whether it is of a package itself: below `node_modules` is the package's name, with or without a scope.
fn is_package(path: &str) -> bool {
    let inside = path.strip_suffix("/package.json").and_then(|dir| dir.rsplit_once("node_modules/"));
    inside.is_some_and(|(_, name)| name.matches('/').count() == usize::from(name.starts_with('@')))
        && super::is_installed(path)
}

/// An archive that is read.
struct AsarArchive<'a> {
    content: &'a [u8],
    listing: Listing<'a>,
}

impl AsarArchive<'_> {
    /// Reads what is below a directory; `above` is its path with a slash behind, or empty. JSON is no deeper than its
    /// reader allows.
    fn directory(&mut self, directory: &Value, above: &str) {
        for (name, entry) in directory.get("files").and_then(Value::as_object).into_iter().flatten() {
            if above.len() + name.len() > MAX_PATH {
                return self.listing.unreadable("a path in it is too long");
            }
            let path = format!("{above}{name}");
            if entry.get("files").is_some() {
                self.directory(entry, &format!("{path}/"));
            } else if name == "package.json" && is_package(&path) && entry.get("offset").is_some() {
                self.package(entry, &path);
            }
        }
    }

    fn content_of(&self, entry: &Value) -> Option<&[u8]> {
        let size = usize::try_from(entry.get("size")?.as_u64()?).ok()?;
        slice(self.content, text(entry, "offset").parse().ok()?, size)
    }

    fn package(&mut self, entry: &Value, path: &str) {
        let Some(bytes) = self.content_of(entry) else {
            return self.listing.unreadable(&format!("{path:.200} lies outside of it"));
        };
        let parsed = super::parse(path, bytes);
        for package in parsed.packages {
            let locations = vec![Location { path: format!("!/{path}"), layer: 0 }];
            self.listing.package(Package { locations, ..package });
        }
        for gap in parsed.gaps {
            self.listing.unreadable(&format!("{:.200}: {}", gap.subject, gap.message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::listing::summary;
    use super::super::super::wants;
    use super::*;

    /// An archive as asar writes it: the text is padded to four bytes.
    fn asar(header: &str, content: &str) -> Vec<u8> {
        let padded = header.len().next_multiple_of(4);
        let mut out = Vec::new();
        for number in [4, padded + 8, padded + 4, header.len()] {
            out.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        out.extend(header.as_bytes());
        out.resize(PREFIX + padded, 0);
        out.extend(content.as_bytes());
        out
    }

    fn tree(entry: &str) -> String {
        format!(r#"{{"files":{{"package.json":{{"size":9,"offset":"0"}},"node_modules":{{"files":{entry}}}}}}}"#)
    }

    #[test]
    fn archives_hold_packages() {
        let package = r#"{"name":"a","version":"1.0.0"}"#;
        let check = |entry: &str, expected: &str, gaps: usize| {
            let bytes = asar(&tree(entry), &format!("..{package}"));
            assert_eq!(summary(&parse("app.asar", &bytes)), (expected.to_owned(), gaps), "{entry}");
        };
        let file = format!(r#"{{"files":{{"package.json":{{"size":{},"offset":"2"}}}}}}"#, package.len());
        check(&format!(r#"{{"a":{file}}}"#), "a 1.0.0", 0);
        check(&format!(r#"{{"@s":{{"files":{{"a":{file}}}}}}}"#), "a 1.0.0", 0);
        check(&format!(r#"{{"b":{{"files":{{"node_modules":{{"files":{{"a":{file}}}}}}}}}}}"#), "a 1.0.0", 0);
        check(&format!(r#"{{"b":{{"files":{{"dist":{file}}}}}}}"#), "", 0);
        check(r#"{"a":{"files":{"package.json":{"size":4,"unpacked":true}}}}"#, "", 0);
        check(r#"{"a":{"link":"node_modules/b"}}"#, "", 0);
        check(&format!(r#"{{"{}":{{"files":{{}}}}}}"#, "d".repeat(MAX_PATH)), "", 1);
        check(r#"{"a":{"files":{"package.json":{"size":400,"offset":"2"}}}}"#, "", 1);
        check(r#"{"a":{"files":{"package.json":{"size":4,"offset":"2"}}}}"#, "", 1);
        let parsed = parse("app.asar", &asar(&tree(&format!(r#"{{"a":{file}}}"#)), &format!("..{package}")));
        assert_eq!(parsed.packages[0].locations[0].path, "!/node_modules/a/package.json");
        assert!(wants("opt/app/resources/app.asar"));
    }

    #[test]
    fn what_is_cut_off_is_a_gap() {
        let whole = asar(&tree("{}"), "{}");
        for end in [0, 3, 15, 40] {
            assert_eq!(parse("app.asar", &whole[..end]).gaps.len(), 1, "{end}");
        }
        assert_eq!(parse("app.asar", &whole).gaps.len(), 0);
        assert_eq!(parse("app.asar", &asar("[", "")).gaps.len(), 1);
    }
}
