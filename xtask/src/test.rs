//! Runs every test.

use anyhow::{Context, Result};
use std::process::Command;

/// Runs the workspace's tests; true when all pass.
pub(crate) fn run() -> Result<bool> {
    let args = ["test", "--locked", "--workspace", "--no-fail-fast"];
    let status = Command::new(env!("CARGO")).args(args).status().context("cargo test cannot be run")?;
    Ok(status.success())
}
