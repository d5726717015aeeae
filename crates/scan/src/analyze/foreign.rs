//! Package managers that are known and whose databases are not read: their presence makes a report incomplete.

use super::ParsedFile;
use tidewaiter_core::report::{Gap, GapKind};

/// opkg, xbps, Nix, FreeBSD's pkg.
pub(super) const PATHS: [&str; 5] = [
    "usr/lib/opkg/status",
    "var/lib/opkg/status",
    "var/db/xbps/pkgdb-0.38.plist",
    "nix/var/nix/db/db.sqlite",
    "var/db/pkg/local.sqlite",
];
/// Portage: `CATEGORY/NAME-VERSION/PF` for each package.
const PORTAGE: &str = "var/db/pkg";
pub(super) const SAMPLE: &str = "var/db/pkg/x/x-1/PF";

/// What of it is wanted, for people.
pub(super) const PORTAGE_FILE: &str = "var/db/pkg/CATEGORY/NAME-VERSION/PF";

pub(super) fn wants(path: &str) -> bool {
    PATHS.contains(&path)
}

pub(super) fn is_portage(path: &str) -> bool {
    let entry = path.strip_prefix(PORTAGE).and_then(|rest| rest.strip_suffix("/PF"));
    entry.is_some_and(|entry| entry.split('/').count() == 3)
}

pub(super) fn parse(path: &str, _: &[u8]) -> ParsedFile {
    let subject = if is_portage(path) { PORTAGE } else { path };
    let message = "this package database is not read yet; its packages are not judged".to_owned();
    let gap = Gap { kind: GapKind::UnsupportedOs, subject: subject.to_owned(), message };
    ParsedFile { gaps: vec![gap], ..ParsedFile::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_told_by_their_path() {
        let check = |path: &str, expected: Option<&str>| {
            let gaps = if wants(path) || is_portage(path) { parse(path, b"").gaps } else { vec![] };
            assert_eq!(gaps.first().map(|gap| gap.subject.as_str()), expected, "{path}");
        };
        check("var/lib/opkg/status", Some("var/lib/opkg/status"));
        check("var/db/pkg/app-shells/bash-5.2/PF", Some("var/db/pkg"));
        check("var/db/pkg/app-shells/PF", None);
        check("var/db/pkg/app-shells/bash-5.2/CONTENTS", None);
    }
}
