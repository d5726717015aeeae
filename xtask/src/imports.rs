//! The import rules of the crates: a table of edges that must not exist.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// (crate, what must not be in its dependency tree, why).
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "tidewaiter-core",
        &["tokio", "kube", "tidewaiter-io", "ureq", "rustls", "memmap2", "zstd", "flate2"],
        "core is pure: no I/O, no async, no Kubernetes",
    ),
    (
        "tidewaiter-db",
        &["tokio", "kube", "ureq", "rustls", "tidewaiter-http", "tidewaiter-feeds", "tidewaiter-scan"],
        "db knows neither network nor feeds",
    ),
    ("tidewaiter-scan", &["tokio", "kube", "tidewaiter-feeds", "indicatif"], "the engine is synchronous and silent"),
    ("tidewaiter-feeds", &["tokio", "kube", "tidewaiter-scan"], "feeds build databases and nothing else"),
    (
        "tidewaiter-http",
        &["tokio", "kube", "tidewaiter-core"],
        "the way to other machines knows nothing of what it carries",
    ),
    ("tidewaiter-io", &["tokio", "kube", "ureq", "tidewaiter-core"], "files and threads, whatever they are for"),
    ("tidewaiter-crd", &["tidewaiter-db", "tidewaiter-scan", "ureq", "tokio"], "resources are types without a client"),
    ("kubectl-scan", &["tidewaiter", "rusqlite"], "the CLI does not know the server, nor its store"),
    ("tidewaiter", &["tidewaiter-feeds"], "the server is given its database"),
    ("tidewaiter-testkit", &["tidewaiter-core", "tidewaiter-scan"], "it implements the formats independently"),
];

/// Dependencies that no crate may have; `deny.toml` has the reasons.
const BANNED: &[&str] = &["openssl-sys", "native-tls", "serde_yaml", "chrono"];

/// The module of the server that decides at admission. The API server waits for its answer, so nothing there may block.
const ADMISSION: &str = "crates/server/src/admission";
const NOT_IN_ADMISSION: &[&str] =
    &["kube::", "tokio", "std::net", "std::fs", "std::time", "async ", ".await", "crate::context", "crate::index"];

/// Checks the tables; true if no forbidden edge exists.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut good = admission_is_pure(root)?;
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

fn admission_is_pure(root: &Path) -> Result<bool> {
    let folder = root.join(ADMISSION);
    let listed = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files = listed.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    files.push(folder.with_extension("rs"));
    let mut good = true;
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for (number, line) in code.enumerate() {
            for name in NOT_IN_ADMISSION.iter().filter(|name| line.contains(**name)) {
                println!("{}: line of code {}: admission must not name {name}", file.display(), number + 1);
                good = false;
            }
        }
    }
    Ok(good)
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
