//! Julia: `Manifest.toml`, which names every package of an environment, and the `Project.toml` of each package in a depot
//! and of Julia's own libraries, with the binaries it brings (Pkg, "Project.toml and Manifest.toml").

use super::ParsedFile;
use super::analyzer::Analyzer;
use super::listing::{Listing, within_tree_limit};
use super::parsed::failed;
use tidewaiter_core::package::PackageType;
use toml::{Table, Value};

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Julia",
    files: &[
        "**/packages/*/*/Project.toml",
        "**/packages/*/*/JuliaProject.toml",
        "**/stdlib/v*/*/Project.toml",
        "**/stdlib/v*/*/JuliaProject.toml",
        "**/Manifest.toml",
        "**/JuliaManifest.toml",
        "**/Manifest-v*.toml",
    ],
    types: &[PackageType::Julia],
    version: 2,
    accepts: is_installed,
    read: parse,
};

/// A package's own environments, for its tests and documentation, are not used where it is installed.
fn is_installed(path: &str) -> bool {
    is_project(path) || !path.contains(".julia/packages/")
}

/// Whether it describes one package, not an environment.
fn is_project(path: &str) -> bool {
    path.ends_with("Project.toml")
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let table: Result<Table, String> = within_tree_limit(bytes)
        .and_then(|b| String::from_utf8_lossy(b).parse().map_err(|_| "it is not TOML".to_owned()));
    match table {
        Ok(table) if is_project(path) => project(path, &table),
        Ok(table) => manifest(path, &table),
        Err(cause) => failed(path, &cause),
    }
}

fn project(path: &str, table: &Table) -> ParsedFile {
    let field = |name: &str| table.get(name).and_then(Value::as_str);
    let mut listing = Listing::new(path);
    // Libraries of Julia itself have no version of their own, unless they bring binaries of others.
    if let (Some(name), Some(version)) = (field("name"), field("version")) {
        listing.add(PackageType::Julia, name, version);
    }
    listing.done()
}

fn manifest(path: &str, table: &Table) -> ParsedFile {
    let mut listing = Listing::new(path);
    // Format 1 has the packages at the top, format 2 below `deps`.
    let packages = match table.get("manifest_format") {
        None => Some(table),
        Some(_) => table.get("deps").and_then(Value::as_table),
    };
    for (name, entries) in packages.into_iter().flatten() {
        for entry in entries.as_array().into_iter().flatten().filter(|entry| entry.get("uuid").is_some()) {
            // Libraries of Julia itself have no version of their own.
            if entry.get("path").is_some() {
                listing.own(PackageType::Julia, name, entry.get("version").and_then(Value::as_str).unwrap_or_default());
            } else if let Some(version) = entry.get("version").and_then(Value::as_str) {
                listing.add(PackageType::Julia, name, version);
            } else if entry.get("git-tree-sha1").is_some() {
                listing.add(PackageType::Julia, name, "");
            }
        }
    }
    listing.done()
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn manifests_become_packages() {
        let check = |text: &str, expected: &str, gaps: usize| {
            assert_eq!(summary(&parse("Manifest.toml", text.as_bytes())), (expected.to_owned(), gaps), "{text}");
        };
        let (head, sha) = ("manifest_format = \"2.0\"\n", "git-tree-sha1 = \"a\"\nuuid = \"b\"\n");
        check(&format!("{head}[[deps.JSON]]\n{sha}version = \"0.21.4\"\n"), "JSON 0.21.4", 0);
        check(&format!("[[JSON]]\n{sha}version = \"0.21.4\"\n"), "JSON 0.21.4", 0);
        check(&format!("{head}[[deps.Dates]]\nuuid = \"b\"\n"), "", 0);
        check(&format!("{head}[[deps.X]]\n{sha}"), "X ", 0);
        let path = "path = \"dev/X\"\nuuid = \"b\"\n";
        check(&format!("{head}[[deps.X]]\n{path}version = \"0.1.0\"\n"), "X 0.1.0 (own)", 0);
        check(&format!("{head}[[deps.X]]\n{path}"), "X  (own)", 0);
        check(&format!("{head}[deps]\n"), "", 0);
        check("[package]\nname = \"other\"\n", "", 0);
        check("[[", "", 1);
    }

    #[test]
    fn environments_are_wanted() {
        assert!(wants("root/.julia/environments/v1.9/Manifest.toml") && wants("app/Manifest-v1.11.toml"));
        assert!(!wants("root/.julia/packages/JSON/93Ea8/docs/Manifest.toml") && !wants("app/Cargo.toml"));
        assert!(!wants("root/.julia/packages/JSON/93Ea8/docs/Project.toml") && !wants("app/Project.toml"));
    }

    #[test]
    fn projects_of_a_depot_are_installed() {
        let check = |path: &str, text: &str, expected: &str, gaps: usize| {
            assert!(wants(path), "{path}");
            assert_eq!(summary(&parse(path, text.as_bytes())), (expected.to_owned(), gaps), "{text}");
        };
        let project = "name = \"HTTP\"\nuuid = \"a\"\nversion = \"1.9.0\"\n[deps]\nA = \"1\"\n";
        check("root/.julia/packages/HTTP/bDoga/Project.toml", project, "HTTP 1.9.0", 0);
        let own = "usr/local/julia/share/julia/stdlib/v1.9/OpenSSL_jll/Project.toml";
        check(own, "name = \"OpenSSL_jll\"\nversion = \"3.0.8+0\"\n", "OpenSSL_jll 3.0.8+0", 0);
        check(own, "name = \"Dates\"\n", "", 0);
        check(own, "name = ", "", 1);
    }
}
