//! Conda: `conda-meta/*.json` of an environment, one file for each package (conda, "PrefixRecord").

use super::ParsedFile;
use super::analyzer::Analyzer;
use super::listing::{Listing, json, text};
use super::parsed::failed;
use super::python;
use tidewaiter_core::package::PackageType;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Conda",
    files: &["**/conda-meta/*.json"],
    types: &[PackageType::Conda],
    version: 2,
    accepts: is_environment,
    read: parse,
};

/// Whether it is not an environment among the test data of a Python distribution, as conda itself has them.
fn is_environment(path: &str) -> bool {
    !python::in_tests(path)
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    match json(bytes) {
        Ok(json) => {
            let mut listing = Listing::new(path);
            listing.add(PackageType::Conda, text(&json, "name"), text(&json, "version"));
            listing.done()
        }
        Err(cause) => failed(path, &cause),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn records_become_packages() {
        let check = |json: &str, expected: &str, gaps: usize| {
            assert_eq!(summary(&parse("conda-meta/a.json", json.as_bytes())), (expected.to_owned(), gaps), "{json}");
        };
        check(r#"{"name":"openssl","version":"3.0.2","build":"h1","channel":"main"}"#, "openssl 3.0.2", 0);
        check(r#"{"version":"3.0.2"}"#, "", 1);
        check("[", "", 1);
        assert!(wants("opt/conda/envs/a/conda-meta/a-1-0.json") && wants("conda-meta/a.json"));
        assert!(!wants("lib/python3.9/site-packages/conda/tests/data/env/conda-meta/a-1-0.json"));
        assert!(!wants("opt/conda/conda-meta/history") && !wants("opt/conda/pkgs/a/info/index.json"));
    }
}
