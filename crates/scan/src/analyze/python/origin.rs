//! Where Python distributions are from: `direct_url.json`, which installers write next to the metadata for whatever is not
//! from an index (PEP 610), and the `*.egg-link` of setuptools' `develop`, which names a folder.

use super::super::ParsedFile;
use super::super::analyzer::Analyzer;
use super::super::listing::{json, text};
use super::super::own::OwnFolder;
use crate::path;
use serde_json::Value;
use tidewaiter_core::package::PackageType::Pypi;

pub(in crate::analyze) const ANALYZER: Analyzer = Analyzer {
    name: "Python distributions, where they are from",
    files: &["**/*.dist-info/direct_url.json", "**/*.egg-link"],
    types: &[],
    version: 1,
    accepts: super::is_installed,
    read: parse,
};

/// A file that cannot be read makes nothing own code, and so hides nothing.
fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let own = match path.ends_with(".egg-link") {
        true => linked(path, bytes),
        false => json(bytes).map(|url| from_url(path, &url)).unwrap_or_default(),
    };
    ParsedFile { own, ..ParsedFile::default() }
}

/// The distribution itself, and what its build left in its source folder. `vcs_info` and `archive_info` name other people's
/// code as often as own.
fn from_url(path: &str, json: &Value) -> Vec<OwnFolder> {
    let Some(folder) = text(json, "url").strip_prefix("file://").filter(|_| json.get("dir_info").is_some()) else {
        return Vec::new();
    };
    let dir = path::split(path::split(path).0).1;
    let name = dir.split_once('-').map_or(dir, |(name, _)| name);
    // The host of a file URL is empty or `localhost`.
    let source = decoded(folder.strip_prefix("localhost").unwrap_or(folder));
    vec![OwnFolder::named(Pypi, name, ""), OwnFolder::named(Pypi, name, source)]
}

/// The first line of an egg link is the folder of the egg's metadata; the file is named after the project.
fn linked(path: &str, bytes: &[u8]) -> Vec<OwnFolder> {
    let text = String::from_utf8_lossy(bytes);
    let name = path::split(path).1.strip_suffix(".egg-link").unwrap_or_default();
    let folder = text.lines().next().map(str::trim).filter(|folder| folder.starts_with('/'));
    folder.map(|folder| OwnFolder::named(Pypi, name, folder)).into_iter().collect()
}

/// Text with `%41` for `A` (RFC 3986 §2.1). What is not encoded well stays as it is.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::wants;
    use super::*;

    #[test]
    fn folders_are_own_code() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert!(wants(path), "{path}");
            let named = expected.iter().map(|folder| OwnFolder::named(Pypi, "my-app", *folder));
            assert_eq!(parse(path, text.as_bytes()).own, named.collect::<Vec<_>>(), "{text}");
        };
        let site = "usr/lib/python3.12/site-packages";
        let url = format!("{site}/my_app-1.0.dist-info/direct_url.json");
        check(&url, r#"{"url":"file:///src","dir_info":{}}"#, &["", "/src"]);
        check(&url, r#"{"url":"file:///my%20src","dir_info":{"editable":true}}"#, &["", "/my src"]);
        check(&url, r#"{"url":"file://localhost/src","dir_info":{}}"#, &["", "/src"]);
        check(&url, r#"{"url":"file:///wheels/my_app-1.0-py3-none-any.whl","archive_info":{}}"#, &[]);
        check(&url, r#"{"url":"https://x.example/a","vcs_info":{"vcs":"git","commit_id":"a"}}"#, &[]);
        check(&url, "{", &[]);
        check(&format!("{site}/my-app.egg-link"), "/src\n.", &["/src"]);
        check(&format!("{site}/my-app.egg-link"), "", &[]);
    }

    #[test]
    fn urls_are_decoded() {
        let check = |text: &str, expected: &str| assert_eq!(decoded(text), expected);
        check("/a%20b%2", "/a b%2");
        check("/%zz", "/%zz");
        check("/%C3%A9", "/é");
    }
}
