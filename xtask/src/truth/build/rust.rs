//! A Rust program built by `cargo auditable`; listed by `cargo tree`: what it is linked of, without what only its build runs.
//! cargo-auditable itself lists a little more (macros a program names, optional dependencies that features leave out).

use super::{Listed, command, output, text};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::{env, fs};
use tidewaiter_testkit::cluster::which;

const AUDITABLE: &str = "cargo-auditable@0.7.7";
const PROGRAM: (&str, &str) = ("just", "1.40.0");

pub(super) fn make(image: &Path, work: &Path) -> Result<Vec<Listed>> {
    let tools = work.join("tools");
    if which("cargo-auditable").is_none() {
        output(&mut cargo(&["install", "--locked", "--root", text(&tools)?, AUDITABLE])?)?;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = env::join_paths([tools.join("bin")].into_iter().chain(env::split_paths(&path)))?;
    let (name, version) = PROGRAM;
    // A home of its own, where the source is found again.
    let home = work.join("home");
    let program = format!("{name}@{version}");
    let to = text(image)?;
    let mut install = cargo(&["auditable", "install", "--locked", "--no-track", "--root", to, &program])?;
    // What it is linked of counts, not how well.
    let quick = [("LTO", "off"), ("OPT_LEVEL", "0"), ("CODEGEN_UNITS", "16")];
    install.envs(quick.map(|(setting, value)| (format!("CARGO_PROFILE_RELEASE_{setting}"), value)));
    output(install.env("PATH", paths).env("CARGO_HOME", &home).env("CARGO_TARGET_DIR", work.join("target")))?;
    let manifest = source(&home, &format!("{name}-{version}"))?.join("Cargo.toml");
    let edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}", "--no-dedupe"];
    let mut tree = cargo(&["tree", "--locked", "--manifest-path", text(&manifest)?])?;
    let lines = output(tree.args(edges).env("CARGO_HOME", &home))?;
    let mut out: Vec<Listed> = lines.lines().filter_map(listed).collect();
    out.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    out.dedup_by(|a, b| a.name == b.name && a.version == b.version);
    Ok(out)
}

/// cargo, as it would be called outside of this workspace.
fn cargo(args: &[&str]) -> Result<std::process::Command> {
    let mut cargo = command(env!("CARGO"), args);
    let set =
        env::vars_os().map(|(name, _)| name).filter(|name| name.to_str().is_some_and(|n| n.starts_with("CARGO_")));
    set.filter(|name| name != "CARGO_HOME").for_each(|name| {
        cargo.env_remove(name);
    });
    cargo.current_dir("/");
    Ok(cargo)
}

/// Where cargo unpacked a crate.
fn source(home: &Path, name: &str) -> Result<PathBuf> {
    let mut registries = fs::read_dir(home.join("registry/src"))?.filter_map(Result::ok);
    let found = registries.find_map(|registry| Some(registry.path().join(name)).filter(|dir| dir.is_dir()));
    found.with_context(|| format!("cargo left no source of {name}"))
}

/// `name v1.0.0 (…)`.
fn listed(line: &str) -> Option<Listed> {
    let (name, rest) = line.split_once(" v")?;
    let version = rest.split(' ').next()?;
    Some(Listed { kind: "cargo".into(), name: name.into(), version: version.into(), ..Listed::default() })
}
