//! Runs every test.

use crate::demo;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Clusters at once, at most: each takes some 700 MiB.
const MAX_THREADS: usize = 4;

/// Builds what the stories need, and runs the workspace's tests; true when all pass.
pub(crate) fn run(root: &Path) -> Result<bool> {
    demo::places(root)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--locked", "--workspace", "--no-fail-fast"]).current_dir(root);
    let status = command.env("RUST_TEST_THREADS", threads.to_string()).status().context("cargo test cannot be run")?;
    Ok(fuzz(root)? && status.success())
}

/// Every parser of hostile bytes over some thousand mutations, on the stable compiler.
fn fuzz(root: &Path) -> Result<bool> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--locked", "--manifest-path", "fuzz/Cargo.toml"]).current_dir(root);
    let status =
        command.env("CARGO_TARGET_DIR", root.join("target/fuzz")).status().context("cargo test cannot be run")?;
    Ok(status.success())
}
