//! `kubectl scan image`: a local scan of one image.

use crate::args::{ImageArgs, Output};
use crate::exit::{self, Exit, UsageError};
use crate::progress::Layers;
use crate::{db, render};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_core::policy::{self, Policy};
use tidewaiter_db::{Database, matching};
use tidewaiter_scan::engine::{self, Options};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::{Image, docker_archive, oci_layout};

/// Layers read at once.
const THREADS: usize = 4;

/// Scans, prints, and answers by exit code.
pub(crate) fn run(args: &ImageArgs) -> Result<Exit> {
    // On stderr, so that stdout holds the result alone.
    writeln!(std::io::stderr(), "Scan started for image {} (local)", render::printable(&args.image))?;
    let path = db::path(args.db.as_deref())?;
    let database = Database::open(&path)?;
    let image = open(args)?;
    let progress = Layers::new();
    let cancel = AtomicBool::new(false);
    let options = Options { limits: Limits::default(), threads: THREADS, cancel: &cancel, progress: &progress };
    let inventory = engine::inventory(&image, &options);
    progress.clear();
    let report = matching::judge(inventory.with_context(|| args.image.clone())?, &database)?;
    let verdict = policy::decide(&report, &Policy { block_at: args.block_at, ..Policy::default() });
    match args.output {
        Output::Table => render::table(&report, &verdict)?,
        Output::Json => render::json(&report)?,
    }
    Ok(exit::of(&verdict))
}

fn open(args: &ImageArgs) -> Result<Image> {
    let platform = args.platform.as_ref();
    match args.image.split_once(':') {
        Some(("oci", path)) => Ok(oci_layout::open(Path::new(path), platform)?),
        Some(("docker-archive", path)) => Ok(docker_archive::open(Path::new(path), platform)?),
        _ => {
            let text =
                format!("{}: name a source, oci:DIR or docker-archive:FILE; registries are not read yet", args.image);
            Err(UsageError(text).into())
        }
    }
}
