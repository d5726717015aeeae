//! pnpm's virtual store: a directory `NAME@VERSION` for each package, and `lock.yaml` with those that are in use (pnpm, "Symlinked
//! node_modules structure"). What an update no longer needs stays there for a week (`modules-cache-max-age`), and no link
//! leads to it.

use super::super::ParsedFile;
use super::super::analyzer::{Analyzer, all};
use super::super::listing::within_tree_limit;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub(in crate::analyze) const ANALYZER: Analyzer = Analyzer {
    name: "pnpm, packages in use",
    files: &["**/node_modules/.pnpm/lock.yaml"],
    types: &[],
    version: 1,
    accepts: all,
    read: parse,
};

/// The packages of a virtual store that are in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualStore {
    /// `NAME@VERSION` of releases of a registry.
    releases: BTreeSet<String>,
}

#[derive(Deserialize)]
struct PnpmLock {
    packages: BTreeMap<String, IgnoredAny>,
}

/// A file that cannot be read says of nothing that it is left over.
fn parse(_: &str, bytes: &[u8]) -> ParsedFile {
    let lock: Option<PnpmLock> = within_tree_limit(bytes).ok().and_then(|b| tidewaiter_yaml::from_slice(b).ok());
    let keys: Vec<String> = lock.map(|lock| lock.packages.into_keys().collect()).unwrap_or_default();
    // Before version 6 keys were written otherwise: then nothing is known.
    let store = (!keys.is_empty() && keys.iter().all(|key| is_known_form(key))).then(|| VirtualStore::of(&keys));
    ParsedFile { store, ..ParsedFile::default() }
}

/// Whether a key is a release of a registry, or has an address or a folder for its version.
fn is_known_form(key: &str) -> bool {
    release(key.trim_start_matches('/')).is_some() || key.contains("@file:") || key.contains("://")
}

impl VirtualStore {
    fn of(keys: &[String]) -> Self {
        VirtualStore { releases: keys.iter().filter_map(|key| release(key.trim_start_matches('/'))).collect() }
    }

    /// Whether a file of the store is of a package that is not in use. `inside` is its path from the store.
    pub(crate) fn is_left_over(&self, inside: &str) -> bool {
        let dir = inside.split('/').next().unwrap_or_default().replace('+', "/");
        release(&dir).is_some_and(|release| !self.releases.contains(&release))
    }
}

/// `NAME@VERSION` of a key or a directory, without the peers that follow it.
fn release(text: &str) -> Option<String> {
    // A scope begins with `@` too.
    let at = text.get(1..)?.find('@')? + 1;
    let version = text.get(at + 1..)?.split(['(', '_']).next()?;
    let name = text.get(..at)?;
    let is_version = version.starts_with(|c: char| c.is_ascii_digit()) && !version.contains([':', '/']);
    is_version.then(|| format!("{name}@{version}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::wants;
    use super::*;

    #[test]
    fn what_is_not_locked_is_left_over() {
        let path = "app/node_modules/.pnpm/lock.yaml";
        assert!(wants(path));
        let check = |keys: &[&str], dir: &str, expected: bool| {
            let keys: String =
                keys.iter().map(|key| format!("  '{key}':\n    resolution: {{integrity: x}}\n")).collect();
            let lock = format!("lockfileVersion: '9.0'\n\nimporters:\n\n  .: {{}}\n\npackages:\n\n{keys}");
            let store = parse(path, lock.as_bytes()).store;
            let inside = format!("{dir}/node_modules/a/package.json");
            assert_eq!(store.is_some_and(|store| store.is_left_over(&inside)), expected, "{keys} {dir}");
        };
        check(&["a@1.0.1"], "a@1.0.0", true);
        check(&["a@1.0.1"], "a@1.0.1", false);
        check(&["@s/a@1.0.1"], "@s+a@1.0.1_react@18.2.0", false);
        check(&["@s/a@1.0.1"], "@s+a@1.0.0", true);
        check(&["/a@1.0.1(b@2.0.0)"], "a@1.0.1(b@2.0.0)", false);
        check(&["a@1.0.1", "c@file:../c"], "c@file+..+c", false);
        check(&["a@1.0.1", "c@https://x.example/c.tgz"], "c@https+++x.example+c.tgz", false);
        check(&["/a/1.0.1"], "a@1.0.0", false);
        check(&[], "a@1.0.0", false);
    }
}
