//! Whether the same commit makes the same program elsewhere: in another folder, with nothing built before.

use crate::install::{command, output, text};
use crate::platform::ProgramPlatform;
use crate::programs::ReleaseBuild;
use anyhow::{Result, bail};
use std::fs;
use std::path::Path;
use tidewaiter_testkit::sha256;

/// Whether what is built is what is committed.
///
/// # Errors
/// When it is not.
pub(super) fn check_committed(root: &Path) -> Result<()> {
    let changed = output(command("git", &["status", "--porcelain"]).current_dir(root))?;
    if !changed.is_empty() {
        bail!("what is not committed cannot be built a second time:\n{changed}commit or remove it, and try again");
    }
    Ok(())
}

/// Builds the plugin from a clone, and compares it with `program`.
///
/// # Errors
/// When they differ.
pub(super) fn compare(root: &Path, platform: &ProgramPlatform, program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("source-in-another-folder");
    output(&mut command("git", &["clone", "--quiet", text(root)?, text(&copy)?]))?;
    println!("the second build, in {}", copy.display());
    let second = ReleaseBuild::of(root, platform)?.elsewhere(&copy).plugin()?.join("kubectl-scan");
    let digests = [sha256(&fs::read(program)?), sha256(&fs::read(second)?)];
    println!("{}\n{} (second build)", digests[0], digests[1]);
    if digests[0] != digests[1] {
        bail!("the two builds differ");
    }
    Ok(())
}
