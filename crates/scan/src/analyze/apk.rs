//! apk-tools' installed database: one-letter fields, an empty line ends a package. apk-package(5).

use super::analyzer::{Analyzer, all};
use super::owned::OwnedFiles;
use super::{MAX_GAPS, ParsedFile, is_text, unreadable};
use tidewaiter_core::package::{Package, PackageType};

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "apk",
    files: &["lib/apk/db/installed", "usr/lib/apk/db/installed", "var/lib/apk/db/installed"],
    types: &[PackageType::Apk],
    version: 2,
    accepts: all,
    read: parse,
};

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let mut parsed = ParsedFile { database: Some(PackageType::Apk), ..ParsedFile::default() };
    // apk ends every line; a cut between two lines leaves no trace.
    if !text.is_empty() && !text.ends_with('\n') {
        parsed.gaps.push(unreadable(path, "its last line has no end, so it is truncated"));
    }
    for stanza in text.split("\n\n").filter(|s| !s.trim().is_empty()) {
        match installed(stanza) {
            Ok(package) => {
                parsed.owned.push(owned(&package.name, stanza));
                parsed.packages.push(package);
            }
            Err(cause) if parsed.gaps.len() < MAX_GAPS => parsed.gaps.push(unreadable(path, cause)),
            Err(_) => {}
        }
    }
    parsed
}

/// `F:` names a directory, each `R:` after it a file in it.
fn owned(package: &str, stanza: &str) -> OwnedFiles {
    let mut dir = "";
    let paths = stanza.lines().filter_map(|line| match line.split_once(':') {
        Some(("F", path)) => {
            dir = path;
            None
        }
        Some(("R", name)) => Some(format!("{dir}/{name}")),
        _ => None,
    });
    let paths: Vec<String> = paths.collect();
    OwnedFiles::new(package, paths.iter().map(String::as_str))
}

fn installed(stanza: &str) -> Result<Package, &'static str> {
    let (mut name, mut version, mut arch, mut origin, mut tag) = ("", "", "", "", "");
    for line in stanza.lines() {
        match line.split_once(':') {
            Some(("P", value)) => name = value,
            Some(("V", value)) => version = value,
            Some(("A", value)) => arch = value,
            Some(("o", value)) => origin = value,
            // Also written with the sign that introduces it in a list of repositories.
            Some(("s", value)) => tag = value.trim_start_matches('@'),
            Some(_) => {}
            None if line.trim().is_empty() => {}
            None => return Err("a line is not a field"),
        }
    }
    if name.is_empty() || version.is_empty() {
        return Err("a package without name or version");
    }
    if !is_text(&[name, version, origin, tag]) {
        return Err("a name or version is not UTF-8");
    }
    Ok(Package {
        arch: arch.to_owned(),
        source_name: if origin.is_empty() { name } else { origin }.to_owned(),
        source_version: version.to_owned(),
        tag: tag.to_owned(),
        ..Package::new(PackageType::Apk, name, version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_become_packages() {
        let parsed = parse(
            ANALYZER.files[0],
            b"C:Q1x=\nP:libssl3\nV:3.1.4-r5\nA:x86_64\no:openssl\nF:lib\n\nP:musl\nV:1.2-r0\n\n",
        );
        let found: Vec<_> = parsed.packages.iter().map(|p| (p.name.as_str(), p.source_name.as_str())).collect();
        assert_eq!(found, [("libssl3", "openssl"), ("musl", "musl")]);
        assert!(parsed.gaps.is_empty());
        let tag = |stanza: &str| installed(stanza).unwrap().tag;
        assert_eq!(
            (tag("P:a\nV:1\ns:edge\nF:lib"), tag("P:a\nV:1\ns:@edge"), tag("P:a\nV:1")),
            ("edge".into(), "edge".into(), "".into())
        );
        assert_eq!(parse(ANALYZER.files[0], b"P:x\n\nnonsense\n").gaps.len(), 2);
        assert_eq!(parse(ANALYZER.files[0], b"P:a\nV:1\n\nP:b\nV:1.2").gaps.len(), 1, "truncated");
        assert_eq!(parse(ANALYZER.files[0], b"P:\xff\nV:1\n\n").gaps.len(), 1, "not UTF-8");
    }
}
