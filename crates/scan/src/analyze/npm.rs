//! npm: the `package.json` of each installed package.

pub(super) mod asar;
pub(super) mod bun;
pub(super) mod hidden_lock;
pub(super) mod virtual_store;

use super::ParsedFile;
use super::analyzer::Analyzer;
use super::listing::json;
use super::parsed::{TEST_DIRS, failed};
use serde_json::Value;
use tidewaiter_core::package::{Package, PackageType};

/// Only these are installed packages; other `package.json` files inside a package are its tests, examples and bundles.
pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Node.js packages",
    files: &["**/node_modules/*/package.json", "**/node_modules/@*/*/package.json"],
    types: &[PackageType::Npm],
    version: 3,
    accepts: is_installed,
    read: parse,
};

/// Whether the directory is a package's, and not in the tests or examples of another.
pub(super) fn is_installed(path: &str) -> bool {
    let Some((dir, name)) = path.strip_suffix("/package.json").map(|dir| (dir, name_of(dir))) else { return false };
    name.is_some_and(is_name) && !in_tests(dir)
}

/// npm and pnpm rename what they are about to remove to a name with a dot.
fn is_name(name: &str) -> bool {
    match name.split_once('/') {
        Some((_, name)) => !name.starts_with('.'),
        None => !name.starts_with(['.', '@']),
    }
}

/// Whether a `node_modules` above is in a directory of tests or examples of a package that is in another.
fn in_tests(dir: &str) -> bool {
    let mut packages = dir.split("node_modules/").skip(1).peekable();
    while let Some(package) = packages.next() {
        // The first directory is the package's own, or its scope's.
        let own = if package.starts_with('@') { 2 } else { 1 };
        // The last one is the package of the path itself.
        if packages.peek().is_some() && package.split('/').skip(own).any(|dir| TEST_DIRS.contains(&dir)) {
            return true;
        }
    }
    false
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let json = match json(bytes) {
        Ok(json) => json,
        Err(cause) => return failed(path, &cause),
    };
    let field = |name: &str| json.get(name).and_then(Value::as_str).map(str::trim).filter(|v| !v.is_empty());
    let version = field("version");
    // npm names a package without a name by its directory; a file without name and version is not a package's.
    let name = field("name").or_else(|| version.and(path.strip_suffix("/package.json").and_then(name_of)));
    let Some(name) = name else { return ParsedFile::default() };
    if json.get("version").is_some_and(|v| !v.is_string()) {
        return failed(path, "its version is not text");
    }
    // Without a version it is listed too, so that the report has a gap for it.
    let package = Package::new(PackageType::Npm, name, version.unwrap_or_default());
    ParsedFile { packages: vec![Package { own: is_copied_folder(path), ..package }], ..ParsedFile::default() }
}

/// Whether pnpm or Bun copied it from a folder: they name directories of their store by the package and where it is from, as
/// `NAME@file+PATH`, before pnpm 8 as `file+PATH` (pnpm, `dependency-path`). Archives end in `.tgz` there.
fn is_copied_folder(path: &str) -> bool {
    let stored = ["/.pnpm/", "/.bun/"]
        .iter()
        .flat_map(|store| path.split(store).skip(1))
        .filter_map(|rest| rest.split('/').next());
    let mut folders =
        stored.filter_map(|dir| dir.strip_prefix("file+").or(dir.split_once("@file+").map(|(_, from)| from)));
    folders.any(|from| {
        ![".tgz", ".tar.gz", ".tar"].iter().any(|end| from.split(['(', '_']).any(|part| part.ends_with(end)))
    })
}

/// `NAME` or `@SCOPE/NAME` of a package's directory.
fn name_of(dir: &str) -> Option<&str> {
    dir.rsplit_once("node_modules/").map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::super::wants;
    use super::*;

    #[test]
    fn only_installed_packages_are_wanted() {
        let check = |path: &str, expected: bool| assert_eq!(wants(path), expected, "{path}");
        check("app/node_modules/a/package.json", true);
        check("node_modules/@s/a/package.json", true);
        check("app/node_modules/a/node_modules/b/package.json", true);
        check("app/node_modules/a/test/package.json", false);
        check("app/node_modules/a/dist/esm/package.json", false);
        check("app/node_modules/@s/.a-x1Y2/package.json", false);
        check("app/package.json", false);
        check("app/node_modules/.pnpm/a@1.0.0/node_modules/@s/a/package.json", true);
        check("app/node_modules/a/test/fixtures/node_modules/b/package.json", false);
        check("app/node_modules/@s/a/examples/node_modules/b/package.json", false);
        check("app/node_modules/test/node_modules/b/package.json", true);
        check("app/node_modules/@s/test/node_modules/b/package.json", true);
        check("app/test/node_modules/b/package.json", true);
        check("my_node_modules/a/package.json", false);
    }
    #[test]
    fn packages_are_named_by_their_file_or_directory() {
        let check = |json: &str, expected: &[(&str, &str)], gaps: usize| {
            let parsed = parse("app/node_modules/@s/a/package.json", json.as_bytes());
            let found: Vec<_> = parsed.packages.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
            assert_eq!((found.as_slice(), parsed.gaps.len()), (expected, gaps), "{json}");
        };
        check(r#"{"name":"b","version":"1.0.0"}"#, &[("b", "1.0.0")], 0);
        check("\u{feff}{\"name\":\"b\",\"version\":\"1.0.0\"}", &[("b", "1.0.0")], 0);
        check(r#"{"version":"1.0.0"}"#, &[("@s/a", "1.0.0")], 0);
        check(r#"{"name":"b"}"#, &[("b", "")], 0);
        check(r#"{"type":"module"}"#, &[], 0);
        check(r#"{"name":"b","version":1}"#, &[], 1);
        check(r#"{"name":"b","#, &[], 1);
    }

    #[test]
    fn folders_that_bun_copied_are_own_code() {
        let check = |dir: &str, expected: bool| {
            let path = format!("app/node_modules/.bun/{dir}/node_modules/a/package.json");
            let parsed = parse(&path, br#"{"name":"a","version":"1.0.0"}"#);
            assert_eq!(parsed.packages[0].own, expected, "{dir}");
        };
        check("a@file+..+ext+a", true);
        check("a@file+..+ext+a.tgz", false);
        check("a@1.0.0", false);
    }

    #[test]
    fn folders_that_pnpm_copied_are_own_code() {
        let check = |dir: &str, expected: bool| {
            let path = format!("app/node_modules/.pnpm/{dir}/node_modules/a/package.json");
            let parsed = parse(&path, br#"{"name":"a","version":"1.0.0"}"#);
            assert_eq!(parsed.packages[0].own, expected, "{dir}");
        };
        check("a@file+packages+a", true);
        check("@s+a@file+..+a_react@18.2.0", true);
        check("file+packages+a", true);
        check("a@file+a-1.0.0.tgz", false);
        check("a@1.0.0", false);
        check("a@https+++codeload.github.com+x+a+tar.gz+1", false);
    }
}
