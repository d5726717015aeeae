//! R packages: the `DESCRIPTION` of each (Writing R Extensions, "The DESCRIPTION file").

use super::ParsedFile;
use super::analyzer::Analyzer;
use super::headers::Stanza;
use super::listing::Listing;
use super::parsed::failed;
use tidewaiter_core::package::PackageType;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "R",
    files: &["**/*/*/DESCRIPTION"],
    types: &[PackageType::Cran],
    version: 2,
    accepts: is_installed,
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
    if stanza.is_none() && is_translations(&text) {
        return ParsedFile::default();
    }
    let mut listing = Listing::new(path);
    match stanza.as_ref().map(|stanza| (stanza.get("Package"), stanza.get("Version"))) {
        Some((Some(name), Some(version))) if stanza.as_ref().is_some_and(is_own) => {
            listing.own(PackageType::Cran, name, version);
        }
        Some((Some(name), Some(version))) => listing.add(PackageType::Cran, name, version),
        Some(_) => return failed(path, "it names no package and version"),
        None if in_library(path) => return failed(path, "it does not describe an installed package"),
        None => {}
    }
    listing.done()
}

/// Whether it was installed from a folder, as remotes and pak record it. A local archive may be a release of CRAN.
fn is_own(stanza: &Stanza) -> bool {
    let field = |name: &str| stanza.get(name).unwrap_or_default().to_owned();
    let from = [field("RemoteUrl"), field("RemotePkgRef")];
    let is_archive = from.iter().any(|from| [".tar.gz", ".tgz", ".zip"].iter().any(|end| from.ends_with(end)));
    field("RemoteType") == "local" && !is_archive
}

/// Whether it is R's own package of messages, which has no code and is not built.
fn is_translations(text: &str) -> bool {
    let stanza = Stanza::parse(text.lines().take_while(|line| !line.trim().is_empty())).unwrap_or_default();
    let is_part = stanza.get("License").is_some_and(|license| license.starts_with("Part of R "));
    is_part && stanza.get("Package") == Some("translations")
}

/// R moves a package to `00LOCK-NAME`, or `00LOCK`, while it installs another version, and ignores what an aborted
/// installation leaves there (R Installation and Administration, "Installing packages").
fn is_installed(path: &str) -> bool {
    !path.split('/').any(|part| part == "00LOCK" || part.starts_with("00LOCK-"))
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
        let local = |from: &str| format!("Package: a\nVersion: 1\nRemoteType: local\nRemoteUrl: {from}\nBuilt: R 4\n");
        check(site, &local("/src/a"), "a 1 (own)", 0);
        check(site, &local("/tmp/a_1.tar.gz"), "a 1", 0);
        let translations =
            "Package: translations\nVersion: 4.2.2\nTitle: The R Translations Package\nLicense: Part of R 4.2.2\n";
        check("usr/lib/R/library/translations/DESCRIPTION", translations, "", 0);
        check("usr/lib/R/library/b/DESCRIPTION", &translations.replace("translations", "b"), "", 1);
        assert!(!wants("usr/local/lib/R/site-library/00LOCK-jsonlite/jsonlite/DESCRIPTION"));
        assert!(wants(site) && !wants("a/DESCRIPTION") && !wants("DESCRIPTION"));
    }
}
