//! The import rules of the crates: a table of edges that must not exist.

use anyhow::{Context, Result, bail};
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
    ("tidewaiter-http", &["tokio", "kube", "tidewaiter-core"], "the HTTP client does not depend on what it transfers"),
    ("tidewaiter-io", &["tokio", "kube", "ureq", "tidewaiter-core"], "files and threads, whatever they are for"),
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

/// The sources of the server.
const SERVER: &str = "crates/server/src";
/// Its modules from the lowest floor to the highest: a module uses only those of lower floors. The roots (`lib.rs`,
/// `main.rs`) are above all of them.
const FLOORS: &[&[&str]] = &[
    &["error", "metrics", "patches", "settings", "store"],
    &["decide"],
    &["admission", "memory", "queues"],
    &["index", "scan"],
    &["alert"],
    &["context"],
    &["controllers"],
    &["http", "install"],
    &["args"],
    &["serve"],
];

/// Checks the tables; true if no forbidden edge exists.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut good = true;
    for module in PURE {
        good &= is_pure(root, module)?;
    }
    good &= floors_look_down(root)?;
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

fn every_module_has_a_floor(root: &Path) -> Result<bool> {
    let folder = root.join(SERVER);
    let mut good = true;
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let module = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if !["lib", "main"].contains(&module.as_str()) && !FLOORS.iter().any(|floor| floor.contains(&module.as_str())) {
            println!("{}: {module} is on no floor of the table", path.display());
            good = false;
        }
    }
    Ok(good)
}

fn floors_look_down(root: &Path) -> Result<bool> {
    let mut good = every_module_has_a_floor(root)?;
    for (floor, modules) in FLOORS.iter().enumerate() {
        for module in *modules {
            for (file, code) in sources(&root.join(SERVER).join(module))? {
                for used in used_modules(&code).into_iter().filter(|used| used != module) {
                    let below = FLOORS.iter().take(floor).any(|lower| lower.contains(&used));
                    if !below {
                        println!("{}: {module} must not use {used}: it is not on a lower floor", file.display());
                        good = false;
                    }
                }
            }
        }
    }
    Ok(good)
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
    let mut all = Vec::new();
    let mut folders = vec![module.to_owned()];
    let mut files: Vec<PathBuf> = vec![module.with_extension("rs")];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
                false => {}
            }
        }
    }
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        all.push((file, code.collect::<Vec<_>>().join("\n")));
    }
    Ok(all)
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
}
