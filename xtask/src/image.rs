//! The OCI images of the server and of the plugin (`tidewaiter_testkit::program_image`), of release programs.

use crate::programs;
use crate::push::{self, Transport};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
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
        (None, true) => programs::release_plugin(root)?,
        (None, false) => programs::release(root)?,
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
