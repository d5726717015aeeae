//! The server's OCI image (`tidewaiter_testkit::program_image`), of release programs.

use crate::push::{self, Transport};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::program_image::{self, PROGRAMS};

/// Builds the image as an OCI layout, from the release programs or those in `programs`, and pushes it if `to` is given.
pub(crate) fn run(root: &Path, to: Option<&str>, transport: Transport, programs: Option<&Path>) -> Result<bool> {
    let folder = programs.map_or_else(|| release(root), |folder| Ok(folder.to_owned()))?;
    for name in PROGRAMS {
        let path = folder.join(name);
        println!("{}: {} bytes", path.display(), fs::metadata(&path)?.len());
    }
    let image = program_image::build(&folder)?;
    let out = root.join("target/image");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    layout::write(&out, &image);
    println!("{}: {}", out.display(), image.digest());
    if let Some(reference) = to {
        push::push(reference, &image, transport)?;
        println!("pushed {reference}@{}", image.digest());
    }
    Ok(true)
}

/// How `kubectl-scan` is linked for others, on x86-64 (ADR 0024): it needs no library of the machine that it runs on, and starts in
/// three quarters of the time. Relative relocations take a byte or two instead of 24 each: 0.8 MB.
const STATIC: [&str; 4] = ["-C", "target-feature=+crt-static", "-C", "link-arg=-Wl,-z,pack-relative-relocs"];

/// Builds both programs; returns their folder. One after the other: built together, each would get the features that only
/// the other needs, and be larger.
pub(crate) fn release(root: &Path) -> Result<PathBuf> {
    build_release(root, "tidewaiter", &[])?;
    // glibc before 2.36, and linkers of other architectures, may not know the packed form.
    let is_tried = cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"));
    build_release(root, "kubectl-scan", if is_tried { &STATIC } else { &[] })?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release"))
}

fn build_release(root: &Path, package: &str, flags: &[&str]) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["rustc", "--release", "--locked", "-p", package, "--bin", package, "--"]).args(flags);
    if !command.current_dir(root).status()?.success() {
        bail!("{package} does not build; see above");
    }
    Ok(())
}
