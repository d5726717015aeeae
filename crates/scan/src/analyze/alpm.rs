//! pacman: `var/lib/pacman/local/NAME-VERSION-RELEASE/desc` for each package, and `files` next to it (libalpm, `be_local.c`).

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::listing::Listing;
use super::owned::OwnedFiles;
use super::parsed::failed;
use tidewaiter_core::package::{Package, PackageType};

const LOCAL: &str = "var/lib/pacman/local/";

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "pacman",
    files: &["var/lib/pacman/local/*/desc"],
    types: &[PackageType::Alpm],
    version: 1,
    accepts: all,
    read: parse,
};

/// Lists of the files of each package.
pub(super) const FILE_LISTS: Analyzer = Analyzer {
    name: "pacman, files of packages",
    files: &["var/lib/pacman/local/*/files"],
    types: &[],
    version: 1,
    accepts: all,
    read: files,
};

/// The files of one package: the lines of the section `%FILES%`; those of directories end with a slash.
fn files(path: &str, bytes: &[u8]) -> ParsedFile {
    // Neither a version nor a release has a hyphen.
    let entry = path.strip_prefix(LOCAL).and_then(|path| path.strip_suffix("/files"));
    let name = entry.and_then(|entry| entry.rsplitn(3, '-').nth(2));
    let Some(name) = name else { return ParsedFile::default() };
    let text = String::from_utf8_lossy(bytes);
    let section = text.lines().skip_while(|line| line.trim_end() != "%FILES%").skip(1);
    let files = section.take_while(|line| !line.is_empty()).filter(|line| !line.ends_with('/'));
    ParsedFile { owned: vec![OwnedFiles::new(name, files)], ..ParsedFile::default() }
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let database = Some(PackageType::Alpm);
    let (Some(name), Some(version)) = (field(&text, "%NAME%"), field(&text, "%VERSION%")) else {
        return ParsedFile { database, ..failed(path, "it names no package and version") };
    };
    let mut listing = Listing::new(path);
    listing.package(Package {
        arch: field(&text, "%ARCH%").unwrap_or_default().to_owned(),
        source_name: field(&text, "%BASE%").unwrap_or(name).to_owned(),
        source_version: version.to_owned(),
        ..Package::new(PackageType::Alpm, name, version)
    });
    ParsedFile { database, ..listing.done() }
}

/// The first line below a field's name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim_end);
    lines.find(|line| *line == name)?;
    lines.next().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::analyzers::is_for;
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    const DESC: &str = "var/lib/pacman/local/x-1-1/desc";

    #[test]
    fn entries_become_packages() {
        let check = |text: &str, expected: &str, source: &str, gaps: usize| {
            let parsed = parse(DESC, text.as_bytes());
            assert_eq!(summary(&parsed), (expected.to_owned(), gaps), "{text}");
            assert_eq!(parsed.packages.first().map(|p| p.source_name.as_str()).unwrap_or_default(), source);
            assert_eq!(parsed.database, Some(PackageType::Alpm));
        };
        let desc = "%NAME%\nlibgcc\n\n%VERSION%\n1:14.1-2\n\n%BASE%\ngcc\n\n%DESC%\n%NAME%\n\n%ARCH%\nx86_64\n";
        check(desc, "libgcc 1:14.1-2", "gcc", 0);
        check("%NAME%\na\n\n%VERSION%\n1-1\n", "a 1-1", "a", 0);
        check("%NAME%\na\n\n%VERSION%\n", "", "", 1);
        check("%NAME%\n\n%VERSION%\n1-1\n", "", "", 1);
        check("", "", "", 1);
    }

    #[test]
    fn files_belong_to_their_package() {
        let check = |path: &str, text: &str, package: &str, owned: &[&str]| {
            let parsed = files(path, text.as_bytes());
            let found = parsed.owned.first().map(|o| (o.package.clone(), o.files.clone())).unwrap_or_default();
            let ids: Vec<u64> = owned.iter().map(|path| crate::analyze::owned::id(path)).collect();
            assert_eq!(found, (package.to_owned(), ids), "{path}");
        };
        let text = "%FILES%\nusr/\nusr/bin/\nusr/bin/node\nusr/bin/npx\n\n%BACKUP%\netc/node.conf\td41d8\n";
        check(
            "var/lib/pacman/local/nodejs-lts-iron-20.11.1-1/files",
            text,
            "nodejs-lts-iron",
            &["usr/bin/node", "bin/npx"],
        );
        check("var/lib/pacman/local/a-1:2.0-1.1/files", "%FILES%\nusr/bin/a\n", "a", &["usr/bin/a"]);
        check("var/lib/pacman/local/a-1-1/files", "", "a", &[]);
        check("var/lib/pacman/local/a/files", "%FILES%\nusr/bin/a\n", "", &[]);
    }

    #[test]
    fn only_entries_are_wanted() {
        assert!(is_for(&ANALYZER, DESC) && is_for(&FILE_LISTS, "var/lib/pacman/local/x-1-1/files"));
        assert!(!is_for(&ANALYZER, "var/lib/pacman/local/x-1-1/files") && !is_for(&FILE_LISTS, DESC));
        for other in ["var/lib/pacman/local/desc", "var/lib/pacman/sync/x-1-1/desc", "var/lib/pacman/local/a/b/desc"] {
            assert!(!wants(other), "{other}");
        }
    }
}
