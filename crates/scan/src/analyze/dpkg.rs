//! dpkg: `var/lib/dpkg/status` and the one-stanza files of `status.d` (distroless). deb-control(5).

use super::analyzer::{Analyzer, all};
use super::headers::Stanza;
use super::owned::OwnedFiles;
use super::{MAX_GAPS, ParsedFile, is_text, unreadable};
use tidewaiter_core::package::{Package, PackageType, dpkg_vendor};

const STATUS: &str = "var/lib/dpkg/status";
/// The end of the lists of checksums in `status.d`, which are not stanzas.
const SUMS: &str = ".md5sums";

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "dpkg",
    files: &[STATUS, "var/lib/dpkg/status.d/*"],
    types: &[PackageType::Deb],
    version: 2,
    accepts: is_status,
    read: parse,
};

/// Lists of the files of each package: `info/NAME[:ARCH].list`, or checksums where there is no `info` (distroless).
pub(super) const FILE_LISTS: Analyzer = Analyzer {
    name: "dpkg, files of packages",
    files: &["var/lib/dpkg/info/*.list", "var/lib/dpkg/status.d/*.md5sums"],
    types: &[],
    version: 1,
    accepts: all,
    read: files,
};

fn is_status(path: &str) -> bool {
    !path.ends_with(SUMS)
}

/// The files of one package.
fn files(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let file = path.rsplit('/').next().unwrap_or_default();
    let owned = match file.strip_suffix(".list") {
        Some(name) => OwnedFiles::new(name.split(':').next().unwrap_or_default(), text.lines()),
        None => {
            let paths = text.lines().filter_map(|line| line.split_once("  ").map(|(_, path)| path));
            OwnedFiles::new(file.trim_end_matches(SUMS), paths)
        }
    };
    ParsedFile { owned: vec![owned], ..ParsedFile::default() }
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let mut parsed = ParsedFile { database: Some(PackageType::Deb), ..ParsedFile::default() };
    // dpkg itself calls that an error: the file was cut.
    if path == STATUS && !text.is_empty() && !text.ends_with('\n') {
        parsed.gaps.push(unreadable(path, "its last line has no end, so it is truncated"));
    }
    let mut stanzas = 0;
    let mut lines = text.lines().peekable();
    while lines.peek().is_some() {
        let stanza: Vec<&str> = lines.by_ref().take_while(|l| !l.is_empty()).collect();
        if stanza.is_empty() {
            continue;
        }
        stanzas += 1;
        let stanza = Stanza::parse(stanza.into_iter()).map_err(|line| format!("a line is not a field: {line:.60}"));
        match stanza.and_then(|stanza| installed(&stanza).map_err(str::to_owned)) {
            Ok(package) => parsed.packages.extend(package),
            Err(cause) if parsed.gaps.len() < MAX_GAPS => parsed.gaps.push(unreadable(path, &cause)),
            Err(_) => {}
        }
    }
    if stanzas == 0 && path != STATUS {
        parsed.gaps.push(unreadable(path, "it is empty"));
    }
    parsed
}

/// The package of a stanza, when its files are on disk. No Status field (distroless) means installed.
fn installed(stanza: &Stanza) -> Result<Option<Package>, &'static str> {
    let state = stanza.get("Status").and_then(|s| s.split_whitespace().nth(2)).unwrap_or("installed");
    if matches!(state, "not-installed" | "config-files") {
        return Ok(None);
    }
    let name = stanza.get("Package").filter(|n| !n.is_empty()).ok_or("a stanza without Package")?;
    let version = stanza.get("Version").filter(|v| !v.is_empty()).ok_or("a stanza without Version")?;
    let source = stanza.get("Source").unwrap_or(name);
    let (source_name, source_version) = match source.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end().trim_end_matches(')').trim()),
        None => (source, version),
    };
    if !is_text(&[name, version, source_name, source_version]) {
        return Err("a name or version is not UTF-8");
    }
    Ok(Some(Package {
        arch: stanza.get("Architecture").unwrap_or_default().to_owned(),
        source_name: source_name.to_owned(),
        source_version: source_version.to_owned(),
        vendor: dpkg_vendor(version).to_owned(),
        ..Package::new(PackageType::Deb, name, version)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::analyzers::is_for;
    use super::*;

    #[test]
    fn files_belong_to_their_package() {
        let check = |path: &str, text: &str, package: &str, owned: &str| {
            assert!(is_for(&FILE_LISTS, path) && !is_for(&ANALYZER, path), "{path}");
            let parsed = files(path, text.as_bytes());
            let found = parsed.owned.first().unwrap();
            assert_eq!(found.package, package);
            assert!(found.files.contains(&crate::analyze::owned::id(owned)), "{path}");
        };
        check("var/lib/dpkg/info/bash.list", "/.\n/bin\n/bin/bash\n", "bash", "usr/bin/bash");
        check("var/lib/dpkg/info/libssl3:amd64.list", "/usr/lib/x.so\n", "libssl3", "usr/lib/x.so");
        let sums = "d41d8cd98f00b204e9800998ecf8427e  usr/bin/python3\n";
        check("var/lib/dpkg/status.d/python3.md5sums", sums, "python3", "usr/bin/python3");
    }

    #[test]
    fn stanzas_become_packages() {
        let check = |text: &str, expected: &[(&str, &str, &str, &str)]| {
            let parsed = parse(STATUS, text.as_bytes());
            let found: Vec<_> = parsed
                .packages
                .iter()
                .map(|p| (p.name.as_str(), p.version.as_str(), p.source_name.as_str(), p.source_version.as_str()))
                .collect();
            assert_eq!(found, expected, "{text}");
        };
        check("Package: a\nStatus: install ok installed\nVersion: 1:2-3\n", &[("a", "1:2-3", "a", "1:2-3")]);
        check("Package: a\nVersion: 1\nSource: b (2)\n", &[("a", "1", "b", "2")]);
        check(
            "package: a\nversion: 1\nDescription: x\n y: z\n\nPackage: b\nVersion: 2\n",
            &[("a", "1", "a", "1"), ("b", "2", "b", "2")],
        );
        check("Package: a\nStatus: deinstall ok config-files\nVersion: 1\n", &[]);
        check("Package: a\nVersion: 1\nDescription: x\n  \n y\n", &[("a", "1", "a", "1")]);
        check("Package: a\nStatus: hold ok installed\nVersion: 1\n", &[("a", "1", "a", "1")]);
        check("Package: a\nStatus: install ok half-configured\nVersion: 1\n", &[("a", "1", "a", "1")]);
    }

    #[test]
    fn what_is_no_stanza_is_a_gap() {
        let check = |path: &str, text: &[u8], packages: usize, gaps: usize| {
            let parsed = parse(path, text);
            let text = String::from_utf8_lossy(text);
            assert_eq!((parsed.packages.len(), parsed.gaps.len()), (packages, gaps), "{text}");
        };
        check(STATUS, b"garbage\n", 0, 1);
        check(STATUS, b"Version: 1\n", 0, 1);
        check(STATUS, b"Package: a\n", 0, 1);
        check(STATUS, b"Package: a\nVersion: 1\n\nPackage: b\nVersion: 1", 2, 1);
        check(STATUS, b"Package: a\xff\nVersion: 1\n", 0, 1);
        check(STATUS, b"Package: a\nVersion: 1\nMaintainer: \xe9\n", 1, 0);
        check(STATUS, "x\n\n".repeat(100).as_bytes(), 0, MAX_GAPS);
        check(STATUS, b"", 0, 0);
        check("var/lib/dpkg/status.d/a", b"", 0, 1);
        check("var/lib/dpkg/status.d/a", b"Package: a\nVersion: 1", 1, 0);
    }

    #[test]
    fn only_databases_are_wanted() {
        assert!(is_for(&ANALYZER, STATUS) && is_for(&ANALYZER, "var/lib/dpkg/status.d/base"));
        assert!(!is_for(&ANALYZER, "var/lib/dpkg/status.d/base.md5sums"));
        assert!(!is_for(&ANALYZER, "var/lib/dpkg/status-old"));
    }
}
