//! Swift: `Package.resolved`, versions 1 to 3 (SwiftPM, "Resolving versions").

use super::ParsedFile;
use super::analyzer::Analyzer;
use super::listing::{Listing, json, text};
use super::parsed::failed;
use serde_json::Value;
use tidewaiter_core::package::PackageType;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Swift",
    files: &["**/Package.resolved"],
    types: &[PackageType::Swift],
    version: 2,
    accepts: is_project,
    read: parse,
};

/// Packages that are checked out to be built have files of their own, which are not used there.
fn is_project(path: &str) -> bool {
    !path.contains("/checkouts/")
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let json = match json(bytes) {
        Ok(json) => json,
        Err(cause) => return failed(path, &cause),
    };
    let pins = json.get("pins").or_else(|| json.pointer("/object/pins"));
    let Some(pins) = pins.and_then(Value::as_array) else { return failed(path, "it pins no packages") };
    let mut listing = Listing::new(path);
    for pin in pins {
        let version = pin.get("state").map(|state| text(state, "version")).unwrap_or_default();
        // Folders, and repositories in folders.
        if matches!(text(pin, "kind"), "localSourceControl" | "fileSystem") {
            listing.own(PackageType::Swift, text(pin, "identity"), version);
            continue;
        }
        let location = [text(pin, "location"), text(pin, "repositoryURL")].into_iter().find(|url| !url.is_empty());
        // Packages of a registry have no repository.
        let name = location.map_or_else(|| text(pin, "identity").to_owned(), repository);
        listing.add(PackageType::Swift, &name, version);
    }
    listing.done()
}

/// `github.com/owner/name` of `https://github.com/owner/name.git` or `git@github.com:owner/name.git`.
fn repository(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or((false, url), |(_, rest)| (true, rest));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = if scheme { host.to_owned() } else { host.replacen(':', "/", 1) };
    let name = format!("{host}/{path}");
    let name = name.trim_end_matches('/');
    name.strip_suffix(".git").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn pins_become_packages() {
        let check = |json: &str, expected: &str, gaps: usize| {
            assert_eq!(summary(&parse("Package.resolved", json.as_bytes())), (expected.to_owned(), gaps), "{json}");
        };
        let v1 = r#"{"package":"NIO","repositoryURL":"https://github.com/apple/swift-nio.git",
                    "state":{"branch":null,"revision":"a","version":"2.1.0"}}"#;
        check(&format!(r#"{{"object":{{"pins":[{v1}]}},"version":1}}"#), "github.com/apple/swift-nio 2.1.0", 0);
        let v2 = r#"{"identity":"swift-nio","kind":"remoteSourceControl","location":"git@github.com:apple/swift-nio.git",
                    "state":{"revision":"a","version":"2.1.0"}}"#;
        check(&format!(r#"{{"pins":[{v2}],"version":2}}"#), "github.com/apple/swift-nio 2.1.0", 0);
        let branch = r#"{"identity":"b","kind":"remoteSourceControl","location":"https://x.example/a/b","state":{"branch":"main"}}"#;
        check(&format!(r#"{{"originHash":"a","pins":[{branch}],"version":3}}"#), "x.example/a/b ", 0);
        let registry = r#"{"identity":"mona.LinkedList","kind":"registry","location":"","state":{"version":"1.2.0"}}"#;
        check(&format!(r#"{{"pins":[{registry}],"version":2}}"#), "mona.LinkedList 1.2.0", 0);
        let local =
            r#"{"identity":"core","kind":"localSourceControl","location":"/src/core","state":{"version":"1.0.0"}}"#;
        check(&format!(r#"{{"pins":[{local}],"version":2}}"#), "core 1.0.0 (own)", 0);
        check(r#"{"pins":[],"version":2}"#, "", 0);
        check(r#"{"version":2}"#, "", 1);
        check("{", "", 1);
        assert!(wants("app/Package.resolved") && !wants("app/.build/checkouts/a/Package.resolved"));
    }
}
