//! Programs that `cargo install` built: `.crates.toml` of the directory that it installed them to (cargo-install(1)) names
//! the crate of each. The crates that are compiled into them are in the programs alone, where cargo-auditable left a list.

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::listing::Listing;
use super::parsed::failed;
use serde::Deserialize;
use std::collections::BTreeMap;
use tidewaiter_core::package::{Package, PackageType, UNRELEASED};

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Rust programs of cargo install",
    files: &["**/.crates.toml"],
    types: &[PackageType::Cargo],
    version: 1,
    accepts: all,
    read: parse,
};

#[derive(Deserialize)]
struct InstalledCrates {
    /// The files of each `NAME VERSION (SOURCE)`.
    #[serde(default)]
    v1: BTreeMap<String, Vec<String>>,
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let installed: InstalledCrates = match toml::from_str(&text) {
        Ok(installed) => installed,
        Err(e) => return failed(path, &format!("it is not a list of programs ({})", e.message())),
    };
    let mut listing = Listing::new(path);
    for key in installed.v1.keys() {
        match package(key) {
            Some(package) => listing.package(package),
            None => listing.unreadable(&format!("{key:.80} does not name a crate, its version and source")),
        }
    }
    listing.done()
}

/// Sources are written as in `Cargo.lock`: what is before `+` says what follows it.
fn package(key: &str) -> Option<Package> {
    let (name, rest) = key.split_once(' ')?;
    let (version, source) = rest.split_once(" (")?;
    let (kind, _) = source.strip_suffix(')')?.split_once('+')?;
    let found = Package::new(PackageType::Cargo, name, version);
    match kind {
        "registry" | "sparse" | "local-registry" | "directory" => Some(found),
        "path" => Some(Package { own: true, ..found }),
        // From a repository: with the same name and number it may be other code than advisories mean.
        "git" => Some(Package { source_version: UNRELEASED.to_owned(), ..found }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn programs_are_crates() {
        let check = |text: &str, expected: &str, gaps: usize| {
            let path = "usr/local/cargo/.crates.toml";
            assert!(wants(path));
            assert_eq!(summary(&parse(path, text.as_bytes())), (expected.to_owned(), gaps), "{text}");
        };
        let entry = |source: &str| format!("[v1]\n\"a-b 1.0.0-rc.1 ({source})\" = [\"a\", \"b\"]\n");
        check(&entry("registry+https://github.com/rust-lang/crates.io-index"), "a-b 1.0.0-rc.1", 0);
        check(&entry("sparse+https://crates.example/index/"), "a-b 1.0.0-rc.1", 0);
        check(&entry("path+file:///src/a b"), "a-b 1.0.0-rc.1 (own)", 0);
        check(&entry("git+https://git.example/a?tag=v1#0a1b2c3d"), "a-b 1.0.0-rc.1", 0);
        check(&entry("x"), "", 1);
        check("[v1]\n\"a\" = []\n", "", 1);
        check("", "", 0);
        check("[v1", "", 1);
    }

    #[test]
    fn a_checkout_is_not_a_release() {
        let check = |source: &str, expected: bool| {
            assert_eq!(package(&format!("a 1.0.0 ({source})")).unwrap().is_unreleased(), expected, "{source}");
        };
        check("git+https://git.example/a#0a1b2c3d", true);
        check("registry+https://github.com/rust-lang/crates.io-index", false);
    }
}
