//! A Rust program built by `cargo auditable`; listed by `rust-audit-info`, which reads the embedded list: linked crates,
//! without those that only the build runs.

use super::Listed;
use crate::install::{command, output, text};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::env;
use std::path::Path;
use tidewaiter_testkit::cluster::which;

const TOOLS: [(&str, &str); 2] = [("cargo-auditable", "0.7.7"), ("rust-audit-info", "0.5.4")];
const PROGRAM: (&str, &str) = ("just", "1.40.0");

pub(super) fn make(image: &Path, work: &Path) -> Result<Vec<Listed>> {
    let tools = work.join("tools");
    for (tool, version) in TOOLS.iter().filter(|(tool, _)| which(tool).is_none()) {
        let tool = format!("{tool}@{version}");
        output(&mut cargo(&["install", "--locked", "--root", text(&tools)?, &tool])?)?;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = env::join_paths([tools.join("bin")].into_iter().chain(env::split_paths(&path)))?;
    let (name, version) = PROGRAM;
    // A CARGO_HOME of its own, in which cargo-auditable finds the source of this build again.
    let home = work.join("home");
    let program = format!("{name}@{version}");
    let to = text(image)?;
    let mut install = cargo(&["auditable", "install", "--locked", "--no-track", "--root", to, &program])?;
    // Only the list of crates matters, so the build may be quick.
    let quick = [("LTO", "off"), ("OPT_LEVEL", "0"), ("CODEGEN_UNITS", "16")];
    install.envs(quick.map(|(setting, value)| (format!("CARGO_PROFILE_RELEASE_{setting}"), value)));
    output(install.env("PATH", &paths).env("CARGO_HOME", &home).env("CARGO_TARGET_DIR", work.join("target")))?;
    let binary = image.join("bin").join(name);
    let json = output(command("rust-audit-info", &[text(&binary)?]).env("PATH", &paths))?;
    let list: Audited = serde_json::from_str(&json).context("rust-audit-info")?;
    Ok(list.packages.into_iter().filter(|package| package.kind != "build").map(listed).collect())
}

/// The list that cargo-auditable embeds in a program.
#[derive(Debug, Deserialize)]
struct Audited {
    packages: Vec<Crate>,
}

#[derive(Debug, Deserialize)]
struct Crate {
    name: String,
    version: String,
    /// `build`; empty for linked crates.
    #[serde(default)]
    kind: String,
}

fn listed(package: Crate) -> Listed {
    Listed { kind: "cargo".into(), name: package.name, version: package.version, ..Listed::default() }
}

/// cargo without the variables that `cargo xtask` inherits: they would make it build for this workspace.
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
