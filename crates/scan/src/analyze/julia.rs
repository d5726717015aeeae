//! Julia: `Manifest.toml`, which names every package of an environment (Pkg, "Project.toml and Manifest.toml").

use super::Parsed;
use super::listing::{Listing, failed};
use tidewaiter_core::package::PackageType;
use toml::{Table, Value};

pub(super) fn wants(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    let versioned = file.strip_prefix("Manifest-v").is_some_and(|rest| rest.ends_with(".toml"));
    // A package's own environments, for its tests and documents, are not used where it is installed.
    (file == "Manifest.toml" || file == "JuliaManifest.toml" || versioned) && !path.contains(".julia/packages/")
}

pub(super) fn parse(path: &str, bytes: &[u8]) -> Parsed {
    let text = String::from_utf8_lossy(bytes);
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(_) => return failed(path, "it is not TOML"),
    };
    let mut listing = Listing::new(path);
    // Format 1 has the packages at the top, format 2 below `deps`.
    let packages = match table.get("manifest_format") {
        None => Some(&table),
        Some(_) => table.get("deps").and_then(Value::as_table),
    };
    for (name, entries) in packages.into_iter().flatten() {
        for entry in entries.as_array().into_iter().flatten().filter(|entry| entry.get("uuid").is_some()) {
            // Libraries of Julia itself have no version of their own.
            if let Some(version) = entry.get("version").and_then(Value::as_str) {
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
        check(&format!("{head}[deps]\n"), "", 0);
        check("[package]\nname = \"other\"\n", "", 0);
        check("[[", "", 1);
    }

    #[test]
    fn environments_are_wanted() {
        assert!(wants("root/.julia/environments/v1.9/Manifest.toml") && wants("app/Manifest-v1.11.toml"));
        assert!(!wants("root/.julia/packages/JSON/93Ea8/docs/Manifest.toml") && !wants("app/Cargo.toml"));
    }
}
