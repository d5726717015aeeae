//! Package managers that are known and whose databases are not read: their presence makes a report incomplete.

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::parsed::failed;
use crate::path;
use tidewaiter_core::report::{Gap, GapKind};

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "opkg, XBPS, Nix, pkg: not read, always a gap",
    files: &[
        "usr/lib/opkg/status",
        "var/lib/opkg/status",
        "var/db/xbps/pkgdb-0.38.plist",
        "nix/var/nix/db/db.sqlite",
        "var/db/pkg/local.sqlite",
    ],
    types: &[],
    version: 1,
    accepts: all,
    read: database,
};

/// Portage has a directory for each package.
pub(super) const PORTAGE: Analyzer = Analyzer {
    name: "Portage: not read, always a gap",
    files: &["var/db/pkg/*/*/PF"],
    types: &[],
    version: 1,
    accepts: all,
    read: portage,
};

/// Modules that were installed from CPAN: `perllocal.pod` in the directory of the architecture, to which ExtUtils::MakeMaker
/// appends each (perldoc ExtUtils::Install), and the `install.json` of cpanm. Distributions' own packages have neither.
pub(super) const CPAN: Analyzer = Analyzer {
    name: "Perl modules of CPAN: not read, always a gap",
    files: &["**/perllocal.pod", "**/.meta/*/install.json"],
    types: &[],
    version: 1,
    accepts: all,
    read: modules,
};

fn database(path: &str, _: &[u8]) -> ParsedFile {
    let message = "this package database is not read yet; its packages are not scanned".to_owned();
    let gap = Gap { kind: GapKind::UnsupportedOs, subject: path.to_owned(), message };
    ParsedFile { gaps: vec![gap], ..ParsedFile::default() }
}

/// One gap for all packages.
fn portage(_: &str, bytes: &[u8]) -> ParsedFile {
    database("var/db/pkg", bytes)
}

/// One gap for all modules of a directory.
fn modules(path: &str, _: &[u8]) -> ParsedFile {
    let library = path.split_once("/.meta/").map_or_else(|| path::split(path).0, |(library, _)| library);
    failed(library, "modules of CPAN were installed here, which are not read yet")
}

#[cfg(test)]
mod tests {
    use super::super::analyzers::is_for;
    use super::super::{parse, wants};
    use super::*;

    #[test]
    fn databases_are_a_gap() {
        let check = |path: &str, expected: Option<&str>| {
            let gaps = if wants(path) { parse(path, b"").gaps } else { vec![] };
            assert_eq!(gaps.first().map(|gap| gap.subject.as_str()), expected, "{path}");
            assert_eq!(expected.is_some(), [ANALYZER, PORTAGE, CPAN].iter().any(|a| is_for(a, path)), "{path}");
        };
        check("var/lib/opkg/status", Some("var/lib/opkg/status"));
        check("var/db/pkg/app-shells/bash-5.2/PF", Some("var/db/pkg"));
        let perl = "usr/local/lib/perl5/site_perl/5.36.0/x86_64-linux";
        check(&format!("{perl}/perllocal.pod"), Some(perl));
        check(&format!("{perl}/.meta/JSON-4.10/install.json"), Some(perl));
        check(&format!("{perl}/.meta/JSON-4.10/MYMETA.json"), None);
        check("var/db/pkg/app-shells/PF", None);
        check("var/db/pkg/app-shells/bash-5.2/CONTENTS", None);
    }
}
