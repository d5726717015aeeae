//! Scans on this machine: opens the image, finds its packages, matches them with the database, applies exceptions.

mod sbom_file;

use crate::args::{LocalArgs, RegistryArgs};
use crate::exit::{self, UsageError};
use crate::progress::LayerProgress;
use crate::source::{ImageSource, Scheme};
use crate::terminal::{self, printable};
use crate::{cache, db, dirs, engines, login};
use anyhow::{Context, Result};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;
use tidewaiter_core::exception::{self, Exception};
use tidewaiter_core::image::{Platform, Reference};
use tidewaiter_core::report::{Inventory, Report};
use tidewaiter_db::{Database, matching};
use tidewaiter_feeds::exceptions;
use tidewaiter_scan::cache::ScanCache;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::{
    Image, base, container_engine, containerd, directory, docker_archive, oci_layout, registry,
};

/// Layers read concurrently, at least and at most: as many as there are cores, since reading one is work for one core. Some wait
/// for a registry; each has its own buffers (some MiB) and its own connection.
const THREADS: RangeInclusive<usize> = 4..=16;

/// How an image is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadingOptions<'a> {
    pub(crate) platform: Option<&'a Platform>,
    pub(crate) no_cache: bool,
    pub(crate) registry: &'a RegistryArgs,
}

impl LocalArgs {
    fn reading(&self) -> ReadingOptions<'_> {
        ReadingOptions { platform: self.platform.as_ref(), no_cache: self.no_cache, registry: &self.registry }
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

/// Scans an image and applies the exceptions.
pub(crate) fn scan(image: &str, args: &LocalArgs) -> Result<Report> {
    scan_with(image, args, &args.database()?)
}

/// As [`scan`], with an open database.
pub(crate) fn scan_with(image: &str, args: &LocalArgs, database: &Database) -> Result<Report> {
    // First, so that a mistake on the command line is reported before minutes of work.
    let exceptions = args.exceptions()?;
    let inventory = inventory(image, &args.reading(), args.base.as_deref())?;
    let mut report = matching::match_inventory(inventory, database)?;
    let today = jiff::Zoned::now().date();
    exception::apply(&mut report, &exceptions, today);
    Ok(report)
}

/// Reads the packages of an image; `base_image` is the one whose layers are marked as the base's.
pub(crate) fn inventory(image: &str, reading: &ReadingOptions<'_>, base_image: Option<&str>) -> Result<Inventory> {
    if let Some(place) = sbom_file::place(image) {
        return sbom_file::inventory(image, place, reading, base_image);
    }
    terminal::say(&format!("Scan started for image {} (local)", printable(image)));
    let opened = open(image, reading)?;
    let progress = LayerProgress::new(image);
    let cancel = AtomicBool::new(false);
    let cache = if reading.no_cache { None } else { cache::open() };
    let options = ScanOptions {
        limits: Limits::default(),
        threads: threads(),
        cancel: &cancel,
        progress: &progress,
        cache: cache.as_ref().map(ScanCache::Own),
    };
    let inventory = engine::inventory(&opened, &options);
    progress.clear();
    if let Some(Err(error)) = cache.map(|cache| cache.trim()) {
        exit::warn(&format!("the cache was not trimmed: {error}"));
    }
    let mut inventory = inventory.with_context(|| image.to_owned())?;
    if let Some(named) = base_image {
        inventory.image.base_layers = Some(base::shared(&opened, &open(named, reading)?)?);
    }
    Ok(inventory)
}

fn threads() -> usize {
    available_parallelism().map_or(1, usize::from).clamp(*THREADS.start(), *THREADS.end())
}

fn open(image: &str, args: &ReadingOptions<'_>) -> Result<Image> {
    match ImageSource::parse(image) {
        ImageSource::Here(scheme, place) => here(scheme, place, args),
        ImageSource::HereOrReference(scheme, place) => {
            here(scheme, place, args).or_else(|not_here| from_registry(image, args).context(not_here.to_string()))
        }
        ImageSource::Registry(name) | ImageSource::Reference(name) => from_registry(name, args),
    }
}

fn here(scheme: Scheme, place: &str, args: &ReadingOptions<'_>) -> Result<Image> {
    let (path, platform) = (Path::new(place), args.platform);
    Ok(match scheme {
        Scheme::OciLayout => oci_layout::open(path, platform)?,
        Scheme::OciArchive => oci_layout::open_archive(path, platform)?,
        Scheme::DockerArchive => docker_archive::open(path, platform)?,
        Scheme::Directory => directory::open(path, platform)?,
        Scheme::Containerd => {
            let own = std::env::var_os("CONTAINERD_ROOT").map(|root| vec![PathBuf::from(root)]);
            let roots = own.unwrap_or_else(|| containerd::ROOTS.map(PathBuf::from).to_vec());
            containerd::open(&roots, &reference(place)?, platform)?
        }
        Scheme::Docker => container_engine::open("Docker", &engines::docker(), place, platform)?,
        Scheme::Podman => container_engine::open("Podman", &engines::podman(), place, platform)?,
        Scheme::Sbom => return Err(sbom_file::no_image(place)),
    })
}

/// Refuses what can name no image, before any is read.
pub(crate) fn check_name(image: &str) -> Result<()> {
    match ImageSource::parse(image) {
        ImageSource::Registry(name) | ImageSource::Reference(name) => reference(name).map(drop),
        ImageSource::Here(..) | ImageSource::HereOrReference(..) => Ok(()),
    }
}

fn reference(text: &str) -> Result<Reference> {
    text.parse().map_err(|e| UsageError(format!("{text}: {e}")).into())
}

fn from_registry(text: &str, args: &ReadingOptions<'_>) -> Result<Image> {
    let reference = reference(text)?;
    let opened = registry::open(&args.registry.config(&reference)?, &reference, args.platform);
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
