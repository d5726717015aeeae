//! The OCI images of the server and of the plugin (`tidewaiter_testkit::program_image`), of release programs.

use crate::push::{self, Transport};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::program_image::{self, PLUGIN, PROGRAMS};

/// What to build, and where it goes.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramImageArgs {
    /// The image of the plugin alone, for pipelines, under target/cli-image
    #[arg(long)]
    cli: bool,
    /// Push it to HOST/NAME:TAG, with Docker's stored logins
    #[arg(long, value_name = "REFERENCE")]
    push: Option<String>,
    /// Use plain HTTP for the registry; one on loopback needs no flag
    #[arg(long, requires = "push")]
    plain_http: bool,
    /// Folder of built programs, instead of building the release programs
    #[arg(long, value_name = "DIR", hide = true)]
    programs: Option<PathBuf>,
    /// Folder of the OCI layout
    #[arg(long, value_name = "DIR", hide = true)]
    out: Option<PathBuf>,
}

/// Builds the image as an OCI layout, from the release programs or those that are given, and pushes it.
pub(crate) fn run(root: &Path, args: &ProgramImageArgs) -> Result<bool> {
    let names: &[&str] = if args.cli { &PLUGIN } else { &PROGRAMS };
    let folder = match (&args.programs, args.cli) {
        (Some(folder), _) => folder.to_owned(),
        (None, true) => release_plugin(root)?,
        (None, false) => release(root)?,
    };
    for name in names {
        let path = folder.join(name);
        println!("{}: {} bytes", path.display(), fs::metadata(&path)?.len());
    }
    let image = if args.cli { program_image::build_plugin(&folder) } else { program_image::build(&folder) }?;
    let place = if args.cli { "target/cli-image" } else { "target/image" };
    let out = args.out.clone().unwrap_or_else(|| root.join(place));
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    layout::write(&out, &image);
    println!("{}: {}", out.display(), image.digest());
    if let Some(reference) = &args.push {
        let transport = if args.plain_http { Transport::PlainHttp } else { Transport::Tls };
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
    release_plugin(root)
}

/// Builds the plugin; returns its folder.
fn release_plugin(root: &Path) -> Result<PathBuf> {
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
