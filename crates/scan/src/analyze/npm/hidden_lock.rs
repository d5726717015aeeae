//! What is in a `node_modules`, as the tool that filled it records: npm's hidden lock file (npm, "package-lock.json", "Hidden
//! Lockfiles"), the project's own where that is not there, the state of Yarn's linker, and the integrity file of Yarn 1. Only what they say of own code is read: what is installed lies there itself.

use super::super::ParsedFile;
use super::super::analyzer::Analyzer;
use super::super::listing::{json, text, within_tree_limit};
use super::super::own::OwnFolder;
use crate::path;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tidewaiter_core::package::PackageType::Npm;

pub(in crate::analyze) const ANALYZER: Analyzer = Analyzer {
    name: "Node.js packages, where they are from",
    files: &[
        "**/node_modules/.package-lock.json",
        "**/node_modules/.yarn-state.yml",
        "**/node_modules/.yarn-integrity",
        "**/package-lock.json",
    ],
    types: &[],
    version: 1,
    accepts: is_project,
    read: parse,
};

/// Installed packages have lock files of their own development, which are not used there.
fn is_project(path: &str) -> bool {
    !path.ends_with("/package-lock.json") || !path.contains("node_modules/")
}

/// A file that cannot be read makes nothing own code, and so hides nothing.
fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let keys = match path::split(path).1 {
        ".yarn-state.yml" => state(bytes),
        ".yarn-integrity" => json(bytes).map(|integrity| patterns(&integrity)).unwrap_or_default(),
        _ => json(bytes).map(|lock| locked(&lock)).unwrap_or_default(),
    };
    let above = if path.ends_with("package-lock.json") && is_beside(path) { "" } else { "../" };
    let own = keys.into_iter().map(|key| OwnFolder::of_metadata(Npm, format!("{above}{key}")));
    ParsedFile { own: own.collect(), ..ParsedFile::default() }
}

/// Whether the lock file is next to `node_modules`, not in it.
fn is_beside(path: &str) -> bool {
    path::split(path).1 == "package-lock.json"
}

/// Keys are folders, from the one above `node_modules`. A workspace has one of its own and a link to it. npm copies a folder
/// instead with `install-links`, and then only its address tells.
fn locked(lock: &Value) -> Vec<String> {
    let packages = lock.get("packages").and_then(Value::as_object);
    let own = packages.into_iter().flatten().filter(|(key, entry)| is_own(key, entry));
    // The project itself is not a package of any registry, and is not listed.
    own.map(|(key, _)| key.clone()).filter(|key| !key.is_empty()).collect()
}

fn is_own(key: &str, entry: &Value) -> bool {
    let is_link = entry.get("link").and_then(Value::as_bool) == Some(true);
    let local = text(entry, "resolved").strip_prefix("file:");
    is_link || !format!("/{key}").contains("/node_modules/") || local.is_some_and(|path| !is_archive(path))
}

/// Whether npm takes a local path for an archive (npm-package-arg).
fn is_archive(path: &str) -> bool {
    [".tgz", ".tar.gz", ".tar"].iter().any(|end| path.to_ascii_lowercase().ends_with(end))
}

/// An entry of Yarn's state: its key is `NAME@PROTOCOL:…`.
#[derive(Deserialize)]
struct YarnEntry {
    #[serde(default)]
    locations: Vec<String>,
}

fn state(bytes: &[u8]) -> Vec<String> {
    let entries = within_tree_limit(bytes).ok().and_then(|b| tidewaiter_yaml::from_slice(b).ok());
    let entries: BTreeMap<String, YarnEntry> = entries.unwrap_or_default();
    let own = entries.into_iter().filter(|(key, _)| is_own_key(key));
    own.flat_map(|(_, entry)| entry.locations).filter(|location| !location.is_empty()).collect()
}

/// Yarn 1 records each package as `NAME@REFERENCE`, and installs it under its name.
fn patterns(integrity: &Value) -> Vec<String> {
    let entries = integrity.get("lockfileEntries").and_then(Value::as_object);
    let own = entries.into_iter().flatten().filter(|(key, _)| is_own_key(key));
    let name =
        |key: &str| key.get(1..).and_then(|rest| rest.find('@')).and_then(|at| key.get(..=at)).map(str::to_owned);
    own.filter_map(|(key, _)| name(key)).map(|name| format!("node_modules/{name}")).collect()
}

/// Whether a key has one of the protocols for folders, of Yarn and Bun. A name may begin with `@`.
pub(super) fn is_own_key(key: &str) -> bool {
    let reference = key.get(1..).and_then(|rest| rest.split_once('@')).map_or("", |(_, reference)| reference);
    let reference =
        reference.rsplit_once("#").filter(|_| reference.starts_with("virtual:")).map_or(reference, |(_, r)| r);
    is_own_reference(reference)
}

/// Whether a reference of Yarn is a folder of the project (Yarn, "Protocols").
pub(in crate::analyze) fn is_own_reference(reference: &str) -> bool {
    let file = reference.strip_prefix("file:").map(|path| path.split(['#', ':']).next().unwrap_or_default());
    ["workspace:", "link:", "portal:"].iter().any(|own| reference.starts_with(own))
        || file.is_some_and(|path| !is_archive(path))
}

#[cfg(test)]
mod tests {
    use super::super::super::wants;
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert!(wants(path), "{path}");
        let folder = |key: &&str| OwnFolder::of_metadata(Npm, *key);
        assert_eq!(parse(path, text.as_bytes()).own, expected.iter().map(folder).collect::<Vec<_>>(), "{text}");
    }

    #[test]
    fn links_and_folders_are_own_code() {
        let check = |entry: &str, expected: &[&str]| {
            let lock = format!(r#"{{"lockfileVersion":3,"packages":{{{entry}}}}}"#);
            check("app/node_modules/.package-lock.json", &lock, expected);
        };
        check(r#""node_modules/a":{"resolved":"packages/a","link":true}"#, &["../node_modules/a"]);
        check(r#""packages/a":{"name":"a","version":"1.0.0"}"#, &["../packages/a"]);
        check(r#""node_modules/a":{"version":"1.0.0","resolved":"file:../a"}"#, &["../node_modules/a"]);
        check(r#""node_modules/a":{"version":"1.0.0","resolved":"file:a-1.0.0.tgz","integrity":"x"}"#, &[]);
        check(r#""node_modules/a":{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz"}"#, &[]);
        check(r#""node_modules/a":{"version":"1.0.0","resolved":"git+ssh://git@github.com/x/a.git#1"}"#, &[]);
        check(r#""packages/a/node_modules/b":{"version":"1.0.0"}"#, &[]);
        check("", &[]);
    }

    #[test]
    fn the_projects_lock_file_tells_too() {
        let lock = r#"{"packages":{"":{"name":"shop"},"node_modules/a":{"resolved":"packages/a","link":true}}}"#;
        check("app/package-lock.json", lock, &["node_modules/a"]);
        assert!(!wants("app/node_modules/b/package-lock.json"));
    }

    #[test]
    fn yarn_1_copies_folders() {
        let path = "app/node_modules/.yarn-integrity";
        let integrity = |entry: &str| format!(r#"{{"lockfileEntries":{{"{entry}":""}}}}"#);
        check(path, &integrity("a@file:./a"), &["../node_modules/a"]);
        check(path, &integrity("@s/a@file:../a"), &["../node_modules/@s/a"]);
        check(path, &integrity("a@file:./a-1.0.0.tgz"), &[]);
        check(path, &integrity("a@^1.0.0"), &[]);
    }

    #[test]
    fn yarns_linker_records_workspaces() {
        let check = |text: &str, expected: &[&str]| check("app/node_modules/.yarn-state.yml", text, expected);
        let head =
            "# Warning: This file is automatically generated.\n\n__metadata:\n  version: 1\n  nmMode: classic\n\n";
        let entry = |key: &str| format!("{head}\"{key}\":\n  locations:\n    - \"node_modules/a\"\n");
        check(&entry("a@workspace:packages/a"), &["../node_modules/a"]);
        check(&entry("@s/a@portal:../a::locator=x"), &["../node_modules/a"]);
        check(&entry("a@file:../a#../a::hash=1&locator=x"), &["../node_modules/a"]);
        check(&entry("a@file:a.tgz#a.tgz::hash=1"), &[]);
        check(&entry("a@npm:1.0.0"), &[]);
        check(&entry("a@virtual:0a#npm:1.0.0"), &[]);
        check("[", &[]);
    }
}
