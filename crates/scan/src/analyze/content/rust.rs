//! Rust programs built by `cargo auditable`: the section `.dep-v0` has JSON, compressed by zlib
//! (cargo-auditable's `PARSING.md`).

use super::binary::{Binary, Section};
use crate::analyze::{ParsedFile, unreadable};
use flate2::read::ZlibDecoder;
use serde::Deserialize;
use std::io::Read as _;
use tidewaiter_core::package::{Package, PackageType, UNRELEASED};

/// Bytes of the JSON: the format's own limit.
const MAX_JSON: u64 = 8 << 20;

#[derive(Debug, Deserialize)]
struct AuditedCrates {
    packages: Vec<AuditedCrate>,
}

#[derive(Debug, Deserialize)]
struct AuditedCrate {
    name: String,
    version: String,
    source: String,
    /// `build` for what only the build needs; runtime, when absent.
    #[serde(default)]
    kind: String,
}

/// The crates of a program, and a gap when it has a list that cannot be read.
pub(super) fn crates(path: &str, binary: &Binary, bytes: &[u8]) -> ParsedFile {
    let mut out = ParsedFile::default();
    for section in binary.sections(Section::CargoAudit, bytes) {
        match audit(section) {
            Some(audit) => {
                out.packages.extend(audit.packages.iter().filter(|listed| listed.kind != "build").map(listed_package));
            }
            None => out.gaps.push(unreadable(path, "its list of crates (.dep-v0) is corrupt or too large")),
        }
    }
    out
}

fn audit(section: &[u8]) -> Option<AuditedCrates> {
    let mut json = Vec::new();
    let read = ZlibDecoder::new(section).take(MAX_JSON + 1).read_to_end(&mut json).ok()?;
    if u64::try_from(read).ok()? > MAX_JSON {
        return None;
    }
    serde_json::from_slice(&json).ok()
}

fn listed_package(listed: &AuditedCrate) -> Package {
    let found = Package::new(PackageType::Cargo, &listed.name, &listed.version);
    match listed.source.as_str() {
        // Other registries mirror crates.io, or have crates without public advisories.
        "crates.io" | "registry" => found,
        // The program itself and its workspace.
        "local" => Package { own: true, ..found },
        // From a repository: with the same name and number it may be other code than advisories mean.
        _ => Package { source_version: UNRELEASED.to_owned(), ..found },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::content::testing::{Class, elf};
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write as _;

    fn check(json: &str, expected: &[&str]) {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(json.as_bytes()).unwrap();
        let bytes = elf(Class::ALL[0], &[(".dep-v0", &zlib.finish().unwrap()), (".data", b"x")]);
        let parsed = crates("app", &Binary::parse(&bytes), &bytes);
        let line = |p: &Package| format!("{} {} {} {}", p.name, p.version, p.advisory_version(), p.own);
        assert_eq!(parsed.packages.iter().map(line).collect::<Vec<_>>(), expected, "{json}");
        assert_eq!(parsed.gaps.is_empty(), json.starts_with("{\"packages\""), "{json}");
    }

    #[test]
    fn crates_by_their_source() {
        let list = r#"{"packages":[
            {"name":"a","version":"1.0.0","source":"local","dependencies":[1],"root":true},
            {"name":"b","version":"1.0.0","source":"crates.io"},
            {"name":"c","version":"1.0.0","source":"crates.io","kind":"build"},
            {"name":"d","version":"1.0.0","source":"registry","kind":"runtime"},
            {"name":"e","version":"1.0.0","source":"git"},
            {"name":"f","version":"1.0.0","source":"local"}],"format":1}"#;
        let expected = [
            "a 1.0.0 1.0.0 true",
            "b 1.0.0 1.0.0 false",
            "d 1.0.0 1.0.0 false",
            "e 1.0.0 (devel) false",
            "f 1.0.0 1.0.0 true",
        ];
        check(list, &expected);
        check("[]", &[]);
        check(&" ".repeat(9 << 20), &[]);
    }
}
