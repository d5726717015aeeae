//! Scans on this machine: what to open, which database judges it, which exceptions answer its findings.

use crate::exit::UsageError;
use crate::progress::Layers;
use crate::render::printable;
use crate::{cache, db};
use anyhow::{Context, Result};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tidewaiter_core::exception::{self, Exception};
use tidewaiter_core::image::{Platform, Reference};
use tidewaiter_core::policy::Policy;
use tidewaiter_core::report::Report;
use tidewaiter_core::severity::Severity;
use tidewaiter_db::{Database, matching};
use tidewaiter_feeds::exceptions;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::registry::credentials::Credentials;
use tidewaiter_scan::source::registry::{self, RegistryConfig};
use tidewaiter_scan::source::{Image, base, containerd, directory, docker_archive, oci_layout};

/// Layers read at once.
const THREADS: usize = 4;

/// How to open and judge images on this machine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Local scans")]
pub(crate) struct LocalArgs {
    /// Platform to choose from an index, as os/arch[/variant]; default: this machine's
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    /// Severity from which findings violate the policy; default: critical
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) block_at: Option<Severity>,
    /// File that answers findings: OpenVEX, CSAF or CycloneDX VEX, .trivyignore[.yaml], .grype.yaml, osv-scanner.toml,
    /// tidewaiter-exceptions.toml; may be given again
    #[arg(long, value_name = "FILE")]
    pub(crate) exceptions: Vec<PathBuf>,
    /// The image it was built on, to tell its layers apart; default: what the history tells
    #[arg(long, value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// Read every layer, whatever earlier scans saw
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Vulnerability database file
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// Days after which a database is too old, and the report incomplete (default: 5); 0: any age will do
    #[arg(long, value_name = "DAYS")]
    pub(crate) max_database_age: Option<u32>,
    /// Speak plain HTTP to the image's registry; loopback registries need no flag
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Trust the authorities of this PEM file, beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Read credentials from this file instead of Docker's config.json
    #[arg(long, value_name = "FILE")]
    pub(crate) docker_config: Option<PathBuf>,
}

/// Days after which a database is too old, unless another number is given.
const MAX_DATABASE_AGE: u32 = 5;

impl LocalArgs {
    /// Whether something was given that only a local scan heeds. The database may stand in the environment.
    pub(crate) fn is_given(&self) -> bool {
        self.platform.is_some()
            || self.block_at.is_some()
            || self.max_database_age.is_some()
            || !self.exceptions.is_empty()
            || self.no_cache
            || self.base.is_some()
            || self.plain_http
            || self.ca_file.is_some()
            || self.docker_config.is_some()
    }

    /// The policy that judges.
    pub(crate) fn policy(&self) -> Policy {
        let default = Policy::default();
        Policy {
            block_at: self.block_at.unwrap_or(default.block_at),
            max_database_age_days: Some(self.max_database_age.unwrap_or(MAX_DATABASE_AGE)).filter(|days| *days > 0),
            ..default
        }
    }

    /// What answers findings.
    pub(crate) fn exceptions(&self) -> Result<Vec<Exception>> {
        let mut all = Vec::new();
        for path in &self.exceptions {
            all.extend(exceptions::parse(path, &read(path)?).map_err(|e| UsageError(e.to_string()))?);
        }
        Ok(all)
    }

    /// The database that judges.
    pub(crate) fn database(&self) -> Result<Database> {
        db::open(self.db.as_deref())
    }
}

/// Whether an image is named by where it lies on this machine.
pub(crate) fn is_here(image: &str) -> bool {
    let schemes = ["oci", "oci-archive", "docker-archive", "dir", "containerd", "registry"];
    image.split_once(':').is_some_and(|(scheme, _)| schemes.contains(&scheme))
}

/// Scans an image and applies the exceptions.
pub(crate) fn scan(image: &str, args: &LocalArgs) -> Result<Report> {
    scan_with(image, args, &args.database()?)
}

/// As [`scan`], with a database that is open already.
pub(crate) fn scan_with(image: &str, args: &LocalArgs, database: &Database) -> Result<Report> {
    // Everything that can be wrong on the command line is told before the work begins.
    let answers = args.exceptions()?;
    // On stderr, so that stdout holds the result alone.
    writeln!(std::io::stderr(), "Scan started for image {} (local)", printable(image))?;
    let opened = open(image, args)?;
    let progress = Layers::new();
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
    let mut report = matching::judge(inventory, database)?;
    let today = jiff::Zoned::now().date();
    exception::apply(&mut report, &answers, today);
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
        Some(("registry", name)) => from_registry(name, args),
        _ => from_registry(image, args),
    }
}

fn reference(text: &str) -> Result<Reference> {
    text.parse().map_err(|e| UsageError(format!("{text}: {e}")).into())
}

fn from_registry(text: &str, args: &LocalArgs) -> Result<Image> {
    let reference = reference(text)?;
    let ca_pem = args.ca_file.iter().map(|file| read(file)).collect::<Result<_>>()?;
    let plain_http = if args.plain_http { vec![reference.registry().to_owned()] } else { Vec::new() };
    let config = RegistryConfig { credentials: credentials(args)?, ca_pem, plain_http, ..RegistryConfig::default() };
    Ok(registry::open(&config, &reference, args.platform.as_ref())?)
}

/// The file that was named, else `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json` where it is there.
fn credentials(args: &LocalArgs) -> Result<Credentials> {
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
