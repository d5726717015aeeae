//! `kubectl scan image`: in the cluster where there is one with tidewaiter, else on this machine.

use crate::args::{ImageArgs, Output};
use crate::cluster::{self, Unavailable};
use crate::exit::{self, Exit, UsageError};
use crate::progress::Layers;
use crate::{db, follow, render};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tidewaiter_core::image::Reference;
use tidewaiter_core::policy::{self, Policy};
use tidewaiter_db::{Database, matching};
use tidewaiter_scan::engine::{self, Options};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::registry::credentials::Credentials;
use tidewaiter_scan::source::registry::{self, Config};
use tidewaiter_scan::source::{Image, docker_archive, oci_layout};

/// Layers read at once.
const THREADS: usize = 4;

/// Scans where it should, prints, and answers by exit code.
pub(crate) fn run(args: &ImageArgs) -> Result<Exit> {
    if is_local(args) {
        return local(args);
    }
    match (cluster::with_tidewaiter(&args.cluster), args.in_cluster) {
        (Ok(cluster), _) => follow::image(&cluster, args),
        (Err(error), true) => Err(error.into()),
        (Err(Unavailable::NoCluster), false) => local(args),
        (Err(reason), false) => {
            writeln!(std::io::stderr(), "scanning locally: {reason}")?;
            local(args)
        }
    }
}

/// Whether the command line asks for something that only a local scan does.
fn is_local(args: &ImageArgs) -> bool {
    let source = matches!(args.image.split_once(':'), Some(("oci" | "docker-archive" | "registry", _)));
    let options = args.platform.is_some()
        || args.block_at.is_some()
        || args.plain_http
        || args.ca_file.is_some()
        || args.docker_config.is_some();
    args.local || !args.in_cluster && (source || options)
}

fn local(args: &ImageArgs) -> Result<Exit> {
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
    let default = Policy::default();
    let verdict = policy::decide(&report, &Policy { block_at: args.block_at.unwrap_or(default.block_at), ..default });
    match args.output {
        Output::Table => render::table(&report, verdict.outcome)?,
        Output::Json => render::json(&report)?,
    }
    Ok(exit::of(verdict.outcome))
}

fn open(args: &ImageArgs) -> Result<Image> {
    let platform = args.platform.as_ref();
    match args.image.split_once(':') {
        Some(("oci", path)) => Ok(oci_layout::open(Path::new(path), platform)?),
        Some(("docker-archive", path)) => Ok(docker_archive::open(Path::new(path), platform)?),
        Some(("registry", reference)) => from_registry(reference, args),
        _ => from_registry(&args.image, args),
    }
}

fn from_registry(text: &str, args: &ImageArgs) -> Result<Image> {
    let reference: Reference = text.parse().map_err(|e| UsageError(format!("{text}: {e}")))?;
    let ca_pem = args.ca_file.iter().map(|file| read(file)).collect::<Result<_>>()?;
    let plain_http = if args.plain_http { vec![reference.registry().to_owned()] } else { Vec::new() };
    let config = Config { credentials: credentials(args)?, ca_pem, plain_http, ..Config::default() };
    Ok(registry::open(&config, &reference, args.platform.as_ref())?)
}

/// The file that was named, else `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json` where it is there.
fn credentials(args: &ImageArgs) -> Result<Credentials> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::home_dir().map(|home| home.join(".docker")));
    let path = match (&args.docker_config, folder.map(|folder| folder.join("config.json"))) {
        (Some(named), _) => named.clone(),
        (None, Some(usual)) if usual.is_file() => usual,
        _ => return Ok(Credentials::default()),
    };
    let parsed = Credentials::parse(&read(&path)?);
    parsed.map_err(|e| UsageError(format!("{}: not a Docker config.json: {e}", path.display())).into())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| UsageError(format!("{}: {e}", path.display())).into())
}
