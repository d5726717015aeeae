//! R packages: the `DESCRIPTION` of each (Writing R Extensions, "The DESCRIPTION file").

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::headers::Stanza;
use super::listing::Listing;
use super::parsed::failed;
use tidewaiter_core::package::PackageType;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "R",
    files: &["**/*/*/DESCRIPTION"],
    types: &[PackageType::Cran],
    version: 1,
    accepts: all,
    read: parse,
};

/// R writes `Built` when it installs a package; without it the file is a part of its sources, or something else.
fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let stanza = Stanza::parse(text.lines().take_while(|line| !line.trim().is_empty()));
    let is_installed = text.lines().any(|line| line.starts_with("Built:"));
    let stanza = match stanza {
        Err(line) if is_installed => return failed(path, &format!("a line is not a field: {line:.60}")),
        stanza => stanza.ok().filter(|stanza| stanza.get("Built").is_some()),
    };
    let mut listing = Listing::new(path);
    match stanza.as_ref().map(|stanza| (stanza.get("Package"), stanza.get("Version"))) {
        Some((Some(name), Some(version))) => listing.add(PackageType::Cran, name, version),
        Some(_) => return failed(path, "it names no package and version"),
        None if in_library(path) => return failed(path, "it does not describe an installed package"),
        None => {}
    }
    listing.done()
}

/// Whether the directory is one of R's libraries.
fn in_library(path: &str) -> bool {
    let library = path.rsplit('/').nth(2).unwrap_or_default();
    library == "site-library" || library == "library" && path.contains("/R/")
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn descriptions_become_packages() {
        let check = |path: &str, text: &str, expected: &str, gaps: usize| {
            assert_eq!(summary(&parse(path, text.as_bytes())), (expected.to_owned(), gaps), "{path} {text}");
        };
        let site = "usr/local/lib/R/site-library/jsonlite/DESCRIPTION";
        let text =
            "Package: jsonlite\nType: Package\nVersion: 1.8-7\nDescription: A\n  b: c\nBuilt: R 4.3.1; ; x; unix\n";
        check(site, text, "jsonlite 1.8-7", 0);
        check("opt/libs/jsonlite/DESCRIPTION", text, "jsonlite 1.8-7", 0);
        check("src/a/DESCRIPTION", "Package: a\nVersion: 1\n", "", 0);
        check("src/a/DESCRIPTION", "words\n", "", 0);
        check("opt/libs/a/DESCRIPTION", "Package: a\nwords\nBuilt: R 4\n", "", 1);
        check(site, "words\n", "", 1);
        check(site, "Package: a\nBuilt: R 4\n", "", 1);
        check(site, "", "", 1);
        assert!(wants(site) && !wants("a/DESCRIPTION") && !wants("DESCRIPTION"));
    }
}
