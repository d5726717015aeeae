//! Runs every test.

use crate::demo;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use tidewaiter_testkit::confined;

/// The user stories.
const STORIES: &str = "tidewaiter-e2e";
/// Clusters at once, at most: each takes some 700 MiB.
const MAX_THREADS: usize = 4;

/// Builds what the stories need, and runs the workspace's tests; true when all pass.
pub(crate) fn run(root: &Path) -> Result<bool> {
    demo::places(root)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--locked", "--workspace", "--no-fail-fast"]).current_dir(root);
    let confined = confined::is_possible();
    if !confined {
        command.args(["--exclude", STORIES]);
    }
    let status = command.env("RUST_TEST_THREADS", threads.to_string()).status().context("cargo test cannot be run")?;
    let good = fuzz(root)? && status.success();
    if !confined {
        println!("{} stories were skipped: they confine the server as deploy/ does, which needs root", stories(root)?);
    }
    Ok(good)
}

/// How many stories there are.
fn stories(root: &Path) -> Result<usize> {
    let args = ["test", "--quiet", "--locked", "-p", STORIES, "--", "--list"];
    let listed =
        Command::new(env!("CARGO")).args(args).current_dir(root).output().context("cargo test cannot be run")?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().filter(|line| line.ends_with(": test")).count())
}

/// Every parser of hostile bytes over some thousand mutations, on the stable compiler.
fn fuzz(root: &Path) -> Result<bool> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--locked", "--manifest-path", "fuzz/Cargo.toml"]).current_dir(root);
    let status =
        command.env("CARGO_TARGET_DIR", root.join("target/fuzz")).status().context("cargo test cannot be run")?;
    Ok(status.success())
}
