//! The import rules: tables of the edges that must not exist between crates, and between the modules of one. And the names
//! of types, which imports leave to the reader: each is unique.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// (crate, what must not be in its dependency tree, why).
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "tidewaiter-core",
        &["tokio", "kube", "tidewaiter-io", "ureq", "rustls", "memmap2", "zstd", "flate2"],
        "core is pure: no I/O, no async, no Kubernetes",
    ),
    (
        "tidewaiter-archive",
        &["tokio", "kube", "ureq", "tidewaiter-core", "tidewaiter-io", "tidewaiter-scan"],
        "it reads archives, whatever they hold",
    ),
    (
        "tidewaiter-db",
        &["tokio", "kube", "ureq", "rustls", "tidewaiter-http", "tidewaiter-feeds", "tidewaiter-scan"],
        "db knows neither network nor feeds",
    ),
    ("tidewaiter-scan", &["tokio", "kube", "tidewaiter-feeds", "indicatif"], "the engine is synchronous and silent"),
    ("tidewaiter-feeds", &["tokio", "kube", "tidewaiter-scan"], "feeds build databases and nothing else"),
    (
        "tidewaiter-formats",
        &["tokio", "kube", "ureq", "rustls", "tidewaiter-io", "tidewaiter-db", "tidewaiter-scan", "tidewaiter-feeds"],
        "formats are pure: a report becomes bytes",
    ),
    (
        "tidewaiter-sbom",
        &["tokio", "kube", "ureq", "rustls", "tidewaiter-io", "tidewaiter-db", "tidewaiter-scan", "tidewaiter-feeds"],
        "reading an SBOM is pure: bytes become an inventory",
    ),
    ("tidewaiter-xml", &["tokio", "tidewaiter-core", "tidewaiter-io"], "it reads XML, whatever it holds"),
    (
        "tidewaiter-attestation",
        &["tokio", "kube", "ureq", "rustls", "tidewaiter-io", "tidewaiter-db", "tidewaiter-scan", "tidewaiter-formats"],
        "attestations are pure: what a key signed, whoever stores it",
    ),
    ("tidewaiter-http", &["tokio", "kube", "tidewaiter-core"], "the HTTP client does not depend on what it transfers"),
    ("tidewaiter-io", &["tokio", "kube", "ureq", "tidewaiter-core"], "files and threads, whatever they are for"),
    (
        "tidewaiter-yaml",
        &["tokio", "kube", "ureq", "tidewaiter-core", "tidewaiter-io"],
        "it reads YAML, whatever it holds",
    ),
    (
        "tidewaiter-alerts",
        &["tokio", "kube-client", "tidewaiter-db", "tidewaiter-scan", "tidewaiter-io"],
        "it delivers, and knows neither the cluster nor what is scanned",
    ),
    ("kubectl-scan", &["lettre", "tidewaiter-alerts"], "the server alone sends alerts"),
    ("tidewaiter-crd", &["tidewaiter-db", "tidewaiter-scan", "ureq", "tokio"], "resources are types without a client"),
    ("kubectl-scan", &["tidewaiter", "rusqlite"], "the CLI does not know the server, nor its store"),
    ("kubectl-scan", &["tar", "zip"], "archives are read by tidewaiter-archive; other readers are for tests"),
    ("tidewaiter", &["tar", "zip"], "archives are read by tidewaiter-archive; other readers are for tests"),
    ("tidewaiter", &["tidewaiter-feeds"], "the server is given its database"),
    (
        "tidewaiter-testkit",
        &["tidewaiter-core", "tidewaiter-archive", "tidewaiter-scan"],
        "it implements the formats independently",
    ),
];

/// Dependencies that no crate may have; `deny.toml` has the reasons.
const BANNED: &[&str] = &["openssl-sys", "native-tls", "serde_yaml", "chrono"];

/// The modules of the server that decide, and what they must not name: nothing there may ever wait, and what they decide
/// must follow from their arguments, so that tables can test it.
const PURE: &[&str] = &["crates/server/src/admission", "crates/server/src/decide"];
const NOT_IN_PURE: &[&str] = &[
    "kube::",
    "tokio",
    "std::net",
    "std::fs",
    "std::env",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "async ",
    ".await",
    "crate::context",
    "crate::index",
];

/// The modules of crates from the lowest floor to the highest: a module uses only those of lower floors. The roots
/// (`lib.rs`, `main.rs`) are above all of them.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "crates/core/src",
        &[
            "hex package_type pattern reason severity version",
            "image ecosystem",
            "advisory package",
            "finding",
            "report",
            "target",
            "diff exception policy",
            "status upgrade",
        ],
    ),
    (
        "crates/attestation/src",
        &["compact key refusal", "envelope layout", "bundle statement", "vulnerabilities", "verdict", "expectation"],
    ),
    ("crates/io/src", &["replace scratch workers"]),
    (
        "crates/db/src",
        &["blocks error format map meta spool strings", "details", "writer", "reader", "delta file_delta", "matching"],
    ),
    ("crates/http/src", &["error names", "proxy roots", "failure", "client", "socket"]),
    ("crates/archive/src", &["bytes tar", "zip"]),
    ("crates/yaml/src", &["failure", "kept", "erased"]),
    ("crates/scan/src", &["limits path progress", "analyze source", "error", "walk", "cache", "engine"]),
    (
        "crates/feeds/src",
        &[
            "csaf debian_fixes error rpm_modules",
            "exceptions format",
            "combine config coverage source",
            "options part",
            "members",
            "merge read",
            "build",
        ],
    ),
    (
        "crates/formats/src",
        &[
            "fingerprint json link packages stamp text view",
            "arrange bill template",
            "csv defectdojo gitlab html junit markdown sarif spdx_text",
            "cyclonedx spdx2 spdx3",
            "format",
            "harbor",
        ],
    ),
    (
        "crates/sbom/src",
        &[
            "component input members purl",
            "error identity layers source_package spdx_text system",
            "format",
            "collect cyclonedx github spdx2 syft",
            "foreign gaps spdx3 xml",
            "document",
            "inventory",
        ],
    ),
    (
        "crates/crd/src",
        &[
            "infrastructure names schema time workload_kind",
            "allowlist approval condition exception image_report namespace",
            "alert",
            "image_scan policy workload_scan",
            "scan_policy",
        ],
    ),
    (
        "crates/alerts/src",
        &[
            "alert http_message signature text",
            "alertmanager answer cloud_events mail opsgenie pagerduty slack teams",
            "destination mail_format queue",
            "message smtp",
            "delivery",
        ],
    ),
    (
        "crates/server/src",
        &[
            "traces trusted_scans watch_problems",
            "api_reach error events log patches settings signals store unheld",
            "decide",
            "authority metrics write_fence",
            "admission election memory peer_access queues",
            "index scan",
            "alert",
            "context",
            "peers",
            "controllers",
            "http install",
            "harbor",
            "args",
            "replica",
            "serve",
        ],
    ),
    (
        "crates/cli/src",
        &[
            "args source terminal",
            "exit progress",
            "defect stdout",
            "render",
            "built_in kubeconfig no_template template",
            "cluster dirs engines login man output",
            "batch complete cron_run keys",
            "cache completion db follow policy_file report_file workload",
            "approve revoke judge local report rollback status",
            "alert attest convert deployment diff exceptions explain fix image policy sbom verify version wait",
        ],
    ),
    (
        "crates/testkit/src",
        &[
            "audit authority cluster digest earlier forwarder generated https kubernetes proxy quotes readme skip stranger",
            "controlplane go_program layer people quiet report_definitions serve",
            "cert_manager gitops image mail_server monitoring noop_webhook packages receiver web",
            "demo layout program_image registry",
            "confined upstream",
            "lab",
        ],
    ),
];

/// The folders of all code whose types have unique names.
const CODE: &[&str] = &["crates", "xtask/src", "tests/e2e", "fuzz/src"];

/// Checks the tables and the names; true if no rule is broken.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut good = true;
    for module in PURE {
        good &= is_pure(root, module)?;
    }
    for (folder, floors) in FLOORS {
        good &= floors_look_down(&root.join(folder), floors)?;
    }
    good &= names_are_unique(root)?;
    for (krate, forbidden, why) in FORBIDDEN {
        let tree = tree(krate)?;
        for name in forbidden.iter().chain(BANNED) {
            if tree.iter().any(|dependency| dependency == name) {
                println!("{krate} must not import {name}: {why}");
                good = false;
            }
        }
    }
    println!("import rules: {}", if good { "hold" } else { "broken" });
    Ok(good)
}

fn is_pure(root: &Path, module: &str) -> Result<bool> {
    let mut good = true;
    for (file, code) in sources(&root.join(module))? {
        for name in NOT_IN_PURE.iter().filter(|name| code.contains(**name)) {
            println!("{}: {module} must not name {name}", file.display());
            good = false;
        }
    }
    Ok(good)
}

fn floors_look_down(folder: &Path, floors: &[&str]) -> Result<bool> {
    let modules = top_modules(folder)?;
    let mut good = true;
    for absent in floors.iter().flat_map(|floor| floor.split(' ')).filter(|name| !modules.contains(*name)) {
        println!("{}: {absent} has a floor and is no module", folder.display());
        good = false;
    }
    for module in &modules {
        if floor_of(module, floors).is_none() {
            println!("{}: {module} is on no floor of the table", folder.display());
            good = false;
        }
        for (file, code) in sources(&folder.join(module))? {
            for used in not_below(module, &code, floors) {
                println!("{}: {module} must not use {used}: it is not on a lower floor", file.display());
                good = false;
            }
        }
    }
    Ok(good)
}

fn names_are_unique(root: &Path) -> Result<bool> {
    let mut good = true;
    let mut seen = BTreeMap::new();
    for folder in CODE {
        for (file, code) in sources_in(&root.join(folder))? {
            for name in code.lines().filter_map(visible_type) {
                if let Some(other) = seen.insert(name.to_owned(), file.clone()) {
                    println!("{}: {name} is also a type of {}", file.display(), other.display());
                    good = false;
                }
            }
        }
    }
    Ok(good)
}

/// The name of the type that a line declares for other modules: with `pub`, `pub(crate)`, `pub(super)`.
fn visible_type(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = rest.strip_prefix('(').map_or(Some(rest), |scope| Some(scope.split_once(')')?.1))?;
    let (keyword, name) = rest.trim_start().split_once(' ')?;
    ["struct", "enum", "trait", "type", "union"].contains(&keyword).then(|| first_name(name))
}

/// The modules that a crate's root declares: each is a file next to it.
fn top_modules(folder: &Path) -> Result<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            out.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    out.retain(|name| !["lib", "main"].contains(&name.as_str()));
    Ok(out)
}

fn floor_of(module: &str, floors: &[&str]) -> Option<usize> {
    floors.iter().position(|floor| floor.split(' ').any(|name| name == module))
}

/// What the code of a module uses of its crate and is not on a lower floor; items of the root are above all floors.
fn not_below<'a>(module: &str, code: &'a str, floors: &[&str]) -> Vec<&'a str> {
    let own = floor_of(module, floors);
    let mut used = used_modules(code);
    used.retain(|used| *used != module && floor_of(used, floors).is_none_or(|floor| Some(floor) >= own));
    used
}

/// First segments of the paths that begin with `crate`.
fn used_modules(code: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            // `use crate::{decide::{a, b}, http};`
            Some(list) => out.extend(top_level(list).into_iter().map(first_name)),
            None => out.push(first_name(rest)),
        }
    }
    out.retain(|name| !name.is_empty());
    out
}

/// The elements of a list in braces, after the opening one; those of inner lists stay with their element.
fn top_level(list: &str) -> Vec<&str> {
    let (mut out, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                out.extend(list.get(start..at));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    out
}

fn first_name(path: &str) -> &str {
    path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The files of a module, without lines that are comments.
fn sources(module: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut all = vec![without_comments(module.with_extension("rs"))?];
    if module.is_dir() {
        all.extend(sources_in(module)?);
    }
    Ok(all)
}

/// The files of a folder and those below it, without lines that are comments.
fn sources_in(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let (mut folders, mut all) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => {
                    all.push(without_comments(path)?)
                }
                false => {}
            }
        }
    }
    Ok(all)
}

fn without_comments(file: PathBuf) -> Result<(PathBuf, String)> {
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    Ok((file, code))
}

/// Names of all normal dependencies of a crate, without itself.
fn tree(krate: &str) -> Result<Vec<String>> {
    let args = ["tree", "--locked", "-p", krate, "-e", "normal", "--prefix", "none", "-f", "{p}"];
    let out = Command::new(env!("CARGO")).args(args).output().context("cargo tree cannot be run")?;
    if !out.status.success() {
        bail!("cargo tree -p {krate}: {}", String::from_utf8_lossy(&out.stderr));
    }
    let text = String::from_utf8(out.stdout).context("cargo tree printed no text")?;
    let names = text.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned);
    Ok(names.filter(|n| n != krate).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_that_a_file_uses() {
        let check = |code: &str, expected: &[&str]| assert_eq!(used_modules(code), expected, "{code}");
        check("use crate::index::Index;", &["index"]);
        check("use crate::{index, patches};", &["index", "patches"]);
        check("use crate::{decide::{a, b}, http, scan::{c::{d, e}}}; f({1}, g)", &["decide", "http", "scan"]);
        check("crate::decide::pod::pin(x); super::y()", &["decide"]);
        check("use std::fmt;", &[]);
    }

    #[test]
    fn the_types_that_other_modules_see() {
        let check = |line: &str, expected: Option<&str>| assert_eq!(visible_type(line), expected, "{line}");
        check("pub struct Image {", Some("Image"));
        check("    pub(crate) enum Side {", Some("Side"));
        check("pub(in crate::analyze) type Pair<T> = (T, T);", Some("Pair"));
        check("pub trait Store: Send {", Some("Store"));
        check("struct Private;", None);
        check("pub fn structure()", None);
        check("pub(crate) name: String,", None);
    }

    #[test]
    fn modules_use_lower_floors() {
        let floors = ["error", "store index", "serve"];
        let check = |module: &str, code: &str, expected: &[&str]| {
            assert_eq!(not_below(module, code, &floors), expected, "{module}: {code}");
        };
        check("store", "use crate::error::E; use crate::store::S;", &[]);
        check("store", "use crate::{index, serve};", &["index", "serve"]);
        check("serve", "use crate::store; crate::index::f()", &[]);
        check("index", "use crate::ReExported;", &["ReExported"]);
    }
}
