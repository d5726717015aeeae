//! pacman: `var/lib/pacman/local/NAME-VERSION/desc`, one file for each package (libalpm, `be_local.c`).

use super::Parsed;
use super::listing::{Listing, failed};
use super::package;
use tidewaiter_core::package::{Package, PackageType};

const LOCAL: &str = "var/lib/pacman/local/";
pub(super) const SAMPLE: &str = "var/lib/pacman/local/x-1-1/desc";

pub(super) fn wants(path: &str) -> bool {
    let entry = path.strip_prefix(LOCAL).and_then(|rest| rest.strip_suffix("/desc"));
    entry.is_some_and(|entry| !entry.is_empty() && !entry.contains('/'))
}

pub(super) fn parse(path: &str, bytes: &[u8]) -> Parsed {
    let text = String::from_utf8_lossy(bytes);
    let database = Some(PackageType::Alpm);
    let (Some(name), Some(version)) = (field(&text, "%NAME%"), field(&text, "%VERSION%")) else {
        return Parsed { database, ..failed(path, "it names no package and version") };
    };
    let mut listing = Listing::new(path);
    listing.package(Package {
        arch: field(&text, "%ARCH%").unwrap_or_default().to_owned(),
        source_name: field(&text, "%BASE%").unwrap_or(name).to_owned(),
        source_version: version.to_owned(),
        ..package(PackageType::Alpm, name, version)
    });
    Parsed { database, ..listing.done() }
}

/// The first line below a field's name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim_end);
    lines.find(|line| *line == name)?;
    lines.next().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::*;

    #[test]
    fn entries_become_packages() {
        let check = |text: &str, expected: &str, source: &str, gaps: usize| {
            let parsed = parse(SAMPLE, text.as_bytes());
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
    fn only_entries_are_wanted() {
        assert!(wants(SAMPLE));
        assert!(!wants("var/lib/pacman/local/x-1-1/files") && !wants("var/lib/pacman/local/desc"));
        assert!(!wants("var/lib/pacman/sync/x-1-1/desc") && !wants("var/lib/pacman/local/a/b/desc"));
    }
}
