//! `bun.lock` of a project: where its packages are from (Bun, "Lockfile"). Only what it says of own code is read: what is
//! installed lies in `node_modules` itself. A folder (`file:`) is copied there, and nothing in the copy tells.

use super::super::ParsedFile;
use super::super::analyzer::Analyzer;
use super::super::listing::within_tree_limit;
use super::super::own::OwnFolder;
use super::hidden_lock::is_own_key;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tidewaiter_core::package::PackageType::Npm;

pub(in crate::analyze) const ANALYZER: Analyzer = Analyzer {
    name: "Bun, where packages are from",
    files: &["**/bun.lock"],
    types: &[],
    version: 1,
    accepts: is_project,
    read: parse,
};

/// Installed packages have lock files of their own development, which are not used there.
fn is_project(path: &str) -> bool {
    !path.contains("node_modules/")
}

#[derive(Deserialize)]
struct BunLock {
    /// By place, `[NAME@REFERENCE, …]`.
    packages: BTreeMap<String, Vec<Value>>,
}

/// A file that cannot be read makes nothing own code, and so hides nothing. It is JSON with commas at the end of lists, which
/// YAML allows.
fn parse(_: &str, bytes: &[u8]) -> ParsedFile {
    let lock: Option<BunLock> = within_tree_limit(bytes).ok().and_then(|b| tidewaiter_yaml::from_slice(b).ok());
    let packages = lock.map(|lock| lock.packages).unwrap_or_default();
    let own = packages.iter().filter(|(_, entry)| entry.first().and_then(Value::as_str).is_some_and(is_own_key));
    let own = own.map(|(place, _)| OwnFolder::of_metadata(Npm, folder(place)));
    ParsedFile { own: own.collect(), ..ParsedFile::default() }
}

/// The folder of a place: `a/@s/b` is `b` of a scope in the `node_modules` of `a`.
fn folder(place: &str) -> String {
    let mut out = String::new();
    let mut in_scope = false;
    for part in place.split('/') {
        out.push_str(if in_scope {
            "/"
        } else if out.is_empty() {
            "node_modules/"
        } else {
            "/node_modules/"
        });
        out.push_str(part);
        in_scope = !in_scope && part.starts_with('@');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::wants;
    use super::*;

    #[test]
    fn folders_are_own_code() {
        let check = |entry: &str, expected: &[&str]| {
            let text = format!(
                "{{\n  \"lockfileVersion\": 1,\n  \"workspaces\": {{\n    \"\": {{\n      \"name\": \"top\",\n    }},\n  \
                 }},\n  \"packages\": {{\n    {entry},\n  }}\n}}\n"
            );
            let own = expected.iter().map(|folder| OwnFolder::of_metadata(Npm, *folder));
            assert_eq!(parse("app/bun.lock", text.as_bytes()).own, own.collect::<Vec<_>>(), "{text}");
        };
        check(r#""koa": ["koa@file:../ext/koa", {}]"#, &["node_modules/koa"]);
        check(r#""express": ["express@workspace:packages/express"]"#, &["node_modules/express"]);
        check(r#""a/@s/b": ["@s/b@file:../b", {}]"#, &["node_modules/a/node_modules/@s/b"]);
        check(r#""@s/a/b": ["b@link:../b", {}]"#, &["node_modules/@s/a/node_modules/b"]);
        check(r#""koa": ["koa@file:../koa-1.0.0.tgz", {}, "sha512-x"]"#, &[]);
        check(r#""koa": ["koa@1.0.0", "", {}, "sha512-x"]"#, &[]);
        check(r#""koa": ["koa@github:koajs/koa#0a1b2c3", {}, "koajs-koa-0a1b2c3"]"#, &[]);
        check(r#""koa": []"#, &[]);
        assert_eq!(parse("bun.lock", b"{").own, []);
        assert!(wants("app/bun.lock") && !wants("app/node_modules/a/bun.lock"));
    }
}
