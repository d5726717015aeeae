//! Scans on this machine: opens the image, finds its packages, matches them with the database, applies exceptions.

use crate::args::LocalArgs;
use crate::exit::UsageError;
use crate::progress::LayerBars;
use crate::terminal::printable;
use crate::{cache, db, dirs, engines, login};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tidewaiter_core::exception::{self, Exception};
use tidewaiter_core::image::Reference;
use tidewaiter_core::policy::Policy;
use tidewaiter_core::report::Report;
use tidewaiter_db::{Database, matching};
use tidewaiter_feeds::exceptions;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::{
    Image, base, container_engine, containerd, directory, docker_archive, oci_layout, registry,
};

/// Layers read concurrently: each has its own buffers (some MiB) and its own connection to the registry.
const THREADS: usize = 4;

impl LocalArgs {
    /// The policy of a local scan.
    pub(crate) fn policy(&self) -> Policy {
        let default = Policy::default();
        Policy {
            block_at: self.block_at.unwrap_or(default.block_at),
            max_database_age_days: self.max_database_age.or(default.max_database_age_days).filter(|days| *days > 0),
            ..default
        }
    }

    /// Reads the files of exceptions.
    pub(crate) fn exceptions(&self) -> Result<Vec<Exception>> {
        let mut all = Vec::new();
        for path in &self.exceptions {
            let read = if path.is_dir() {
                exceptions::repository::read(path)
            } else {
                exceptions::parse(path, &login::read(path)?)
            };
            all.extend(read.map_err(|e| UsageError(e.to_string()))?);
        }
        Ok(all)
    }

    /// Opens the database; offers to get one if there is none yet.
    pub(crate) fn database(&self) -> Result<Database> {
        db::offer(&dirs::database(self.db.as_deref())?, &self.registry)?;
        Ok(Database::open(&dirs::existing_database(self.db.as_deref())?)?)
    }
}

/// Whether an image is named by its place on this machine (or by `registry:`, which asks for a local scan).
pub(crate) fn is_here(image: &str) -> bool {
    let schemes = ["oci", "oci-archive", "docker-archive", "dir", "containerd", "docker", "podman", "registry"];
    image.split_once(':').is_some_and(|(scheme, _)| schemes.contains(&scheme))
}

/// Scans an image and applies the exceptions.
pub(crate) fn scan(image: &str, args: &LocalArgs) -> Result<Report> {
    scan_with(image, args, &args.database()?)
}

/// As [`scan`], with an open database.
pub(crate) fn scan_with(image: &str, args: &LocalArgs, database: &Database) -> Result<Report> {
    // First, so that a mistake on the command line is reported before minutes of work.
    let exceptions = args.exceptions()?;
    // On stderr, so that stdout has the result only.
    writeln!(std::io::stderr(), "Scan started for image {} (local)", printable(image))?;
    let opened = open(image, args)?;
    let progress = LayerBars::new();
    let cancel = AtomicBool::new(false);
    let cache = if args.no_cache { None } else { cache::open() };
    let options = ScanOptions {
        limits: Limits::default(),
        threads: THREADS,
        cancel: &cancel,
        progress: &progress,
        cache: cache.as_ref(),
    };
    let inventory = engine::inventory(&opened, &options);
    progress.clear();
    if let Some(Err(error)) = cache.map(|cache| cache.trim()) {
        writeln!(std::io::stderr(), "warning: the cache was not trimmed: {error}")?;
    }
    let mut inventory = inventory.with_context(|| image.to_owned())?;
    if let Some(named) = &args.base {
        inventory.image.base_layers = Some(base::shared(&opened, &open(named, args)?)?);
    }
    let mut report = matching::match_inventory(inventory, database)?;
    let today = jiff::Zoned::now().date();
    exception::apply(&mut report, &exceptions, today);
    Ok(report)
}

fn open(image: &str, args: &LocalArgs) -> Result<Image> {
    let platform = args.platform.as_ref();
    match image.split_once(':') {
        Some(("oci", path)) => Ok(oci_layout::open(Path::new(path), platform)?),
        Some(("oci-archive", path)) => Ok(oci_layout::open_archive(Path::new(path), platform)?),
        Some(("docker-archive", path)) => Ok(docker_archive::open(Path::new(path), platform)?),
        Some(("dir", path)) => Ok(directory::open(Path::new(path), platform)?),
        Some(("containerd", name)) => {
            let own = std::env::var_os("CONTAINERD_ROOT").map(|root| vec![PathBuf::from(root)]);
            let roots = own.unwrap_or_else(|| containerd::ROOTS.map(PathBuf::from).to_vec());
            Ok(containerd::open(&roots, &reference(name)?, platform)?)
        }
        Some(("docker", name)) => Ok(container_engine::open("Docker", &engines::docker(), name, platform)?),
        Some(("podman", name)) => Ok(container_engine::open("Podman", &engines::podman(), name, platform)?),
        Some(("registry", name)) => from_registry(name, args),
        _ => from_registry(image, args),
    }
}

fn reference(text: &str) -> Result<Reference> {
    text.parse().map_err(|e| UsageError(format!("{text}: {e}")).into())
}

fn from_registry(text: &str, args: &LocalArgs) -> Result<Image> {
    let reference = reference(text)?;
    let opened = registry::open(&args.registry.config(&reference)?, &reference, args.platform.as_ref());
    // A name without a registry is Docker Hub's, which surprises whoever built it here.
    let elsewhere = || {
        let advice = format!("docker:{text}, podman:{text} or containerd:{text}");
        format!("{text} names no registry, so it was looked for at {reference}; for one of this machine write {advice}")
    };
    let named = text.starts_with(reference.registry());
    match opened {
        Err(error) if !named => Err(anyhow::Error::new(error).context(elsewhere())),
        opened => Ok(opened?),
    }
}
