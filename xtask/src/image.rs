//! The OCI images of the server and of the plugin (`tidewaiter_testkit::program_image`), of release programs.

use crate::platform::ProgramPlatform;
use crate::programs::ReleaseBuild;
use crate::push::{self, Transport};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::image::ImageFixture;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::program_image::{self, PLUGIN, PROGRAMS};

/// What to build, and where it goes.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramImageArgs {
    /// The image of the plugin alone, for pipelines, under target/cli-image
    #[arg(long)]
    cli: bool,
    /// Build for this platform, linux/amd64 or linux/arm64; repeatable, and then an index of all; default: this machine's
    #[arg(long, value_name = "PLATFORM", conflicts_with = "programs")]
    platform: Vec<ProgramPlatform>,
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

fn of_platform(root: &Path, cli: bool, platform: &ProgramPlatform) -> Result<ImageFixture> {
    let build = ReleaseBuild::of(root, platform)?;
    let folder = if cli { build.plugin() } else { build.server() }?;
    of_programs(cli, &folder, platform.arch())
}

fn of_programs(cli: bool, folder: &Path, arch: &str) -> Result<ImageFixture> {
    let names: &[&str] = if cli { &PLUGIN } else { &PROGRAMS };
    for name in names {
        let path = folder.join(name);
        println!("{}: {} bytes", path.display(), fs::metadata(&path)?.len());
    }
    Ok(program_image::build(folder, names, arch)?)
}

/// Builds the image as an OCI layout, from the release programs or those that are given, and pushes it.
pub(crate) fn run(root: &Path, args: &ProgramImageArgs) -> Result<bool> {
    let image = match (&args.programs, args.platform.as_slice()) {
        (Some(folder), _) => of_programs(args.cli, folder, ProgramPlatform::here()?.arch())?,
        (None, []) => of_platform(root, args.cli, &ProgramPlatform::here()?)?,
        (None, [platform]) => of_platform(root, args.cli, platform)?,
        (None, several) => {
            let each = several.iter().map(|platform| of_platform(root, args.cli, platform));
            ImageFixture::index(&each.collect::<Result<Vec<_>>>()?)
        }
    };
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
