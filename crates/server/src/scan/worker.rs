//! `tidewaiter scan-worker`: one scan in a process of its own, with bounded memory and no credentials but the namespace's
//! pull secrets, so that no image can take admission down. It reads its job from standard input and writes its result to
//! standard output, as JSON.

use crate::settings::RegistrySettings;
use crate::store::StoreLocation;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::image::{Digest, Platform, Reference};
use tidewaiter_core::report::{Inventory, Report};
use tidewaiter_db::{Database, matching};
use tidewaiter_scan::ScanError;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::registry::address::Addresses;
use tidewaiter_scan::source::registry::credentials::Credentials;
use tidewaiter_scan::source::registry::{self, RegistryConfig};
use tidewaiter_scan::source::{Image, SourceError};

/// Longest pause between two tries of a request. Others wait for the slot: who must wait longer does so without one.
const PATIENCE: Duration = Duration::from_secs(2);

/// A scan to be done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanJob {
    /// The image as the workload names it.
    pub(crate) image: String,
    /// Platforms to scan.
    pub(crate) platforms: Vec<Platform>,
    /// Pull secrets of the namespace.
    pub(crate) secrets: Vec<PullSecret>,
    /// How registries are reached.
    pub(crate) registries: RegistrySettings,
    /// The database file.
    pub(crate) database: PathBuf,
    /// The store, for known inventories.
    pub(crate) store: StoreLocation,
    /// Memory limit of the process, in bytes.
    pub(crate) memory: u64,
}

/// Document of a pull secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PullSecret {
    /// Whether it is a `.dockercfg` rather than a `config.json`.
    pub(crate) legacy: bool,
    /// Its content.
    pub(crate) document: String,
}

impl std::fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PullSecret").field("legacy", &self.legacy).finish_non_exhaustive()
    }
}

/// What the process writes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ScanResult {
    /// Every platform was scanned.
    Done(ScanOutput),
    /// None was.
    Failed(ScanFailure),
}

/// Reports of a finished scan.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanOutput {
    /// Digest that the image reference resolved to.
    pub(crate) digest: Digest,
    /// Id of the database.
    pub(crate) database: String,
    /// One for each platform.
    pub(crate) results: Vec<PlatformReport>,
}

/// Report of one platform.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlatformReport {
    /// The requested platform; the image's own may be a variant of it.
    pub(crate) platform: Platform,
    /// The inventory, when the store did not know it.
    pub(crate) inventory: Option<Inventory>,
    /// The inventory matched with the database.
    pub(crate) report: Report,
}

/// Why a scan has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScanFailure {
    /// Stable cause, one CamelCase word.
    pub(crate) reason: Reason,
    /// What happened, and what to do next.
    pub(crate) message: String,
    /// The pause that the registry asks for.
    pub(crate) retry_after: Option<Duration>,
}

impl ScanFailure {
    /// A failure by its reason.
    pub(crate) fn new(reason: Reason, message: impl ToString) -> Self {
        ScanFailure { reason, message: message.to_string(), retry_after: None }
    }
}

impl From<ScanError> for ScanFailure {
    fn from(error: ScanError) -> Self {
        ScanFailure { retry_after: error.retry_after(), ..ScanFailure::new(error.reason(), error) }
    }
}

impl From<SourceError> for ScanFailure {
    fn from(error: SourceError) -> Self {
        ScanFailure { retry_after: error.retry_after(), ..ScanFailure::new(error.reason(), error) }
    }
}

impl From<tidewaiter_db::DatabaseError> for ScanFailure {
    fn from(error: tidewaiter_db::DatabaseError) -> Self {
        ScanFailure::new(error.reason(), error)
    }
}

#[cfg(test)]
impl ScanJob {
    /// A job without a database.
    pub(crate) fn for_tests(image: &str) -> Self {
        ScanJob {
            image: image.to_owned(),
            platforms: vec![Platform::new("linux", "amd64")],
            secrets: vec![],
            registries: RegistrySettings::default(),
            database: PathBuf::from("/does/not/exist"),
            store: StoreLocation::default(),
            memory: 512 << 20,
        }
    }
}

/// Runs the process.
///
/// # Errors
/// When the job cannot be read or the result cannot be written.
pub(crate) fn main() -> anyhow::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let job: ScanJob = serde_json::from_str(&text)?;
    // Before anything of the image is read. Data, not address space: the database is mapped, and may be large.
    setrlimit(Resource::Data, Rlimit { current: Some(job.memory), maximum: Some(job.memory) })?;
    let result = scan(&job).map_or_else(ScanResult::Failed, ScanResult::Done);
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut out, &result)?;
    out.flush()?;
    Ok(())
}

fn scan(job: &ScanJob) -> Result<ScanOutput, ScanFailure> {
    let reference: Reference = job.image.parse().map_err(|e| ScanFailure::new(Reason::BadReference, e))?;
    let database = Database::open(&job.database)?;
    // The registry before the store: what is known is given only to those who may pull it.
    let found = registry::open_for_nodes(&config(job)?, &reference, &job.platforms)?;
    let report = |(platform, image)| platform_report(job, &database, platform, &image);
    let results = found.images.into_iter().map(report).collect::<Result<_, ScanFailure>>()?;
    Ok(ScanOutput { digest: found.digest, database: database.id().to_owned(), results })
}

fn platform_report(
    job: &ScanJob,
    database: &Database,
    platform: Platform,
    image: &Image,
) -> Result<PlatformReport, ScanFailure> {
    if let Some(known) = known_inventory(&job.store, image) {
        return Ok(PlatformReport { platform, inventory: None, report: matching::match_inventory(known, database)? });
    }
    let new = inventory(image)?;
    let report = matching::match_inventory(new.clone(), database)?;
    Ok(PlatformReport { platform, inventory: Some(new), report })
}

fn config(job: &ScanJob) -> Result<RegistryConfig, ScanFailure> {
    let mut credentials = Credentials::default();
    for secret in &job.secrets {
        let bytes = secret.document.as_bytes();
        let parsed = if secret.legacy { Credentials::parse_legacy(bytes) } else { Credentials::parse(bytes) };
        credentials.extend(
            parsed.map_err(|e| ScanFailure::new(Reason::BadPullSecret, format!("a pull secret is unreadable: {e}")))?,
        );
    }
    let registries = job.registries.clone();
    Ok(RegistryConfig {
        credentials,
        ca_pem: registries.ca_pem.into_iter().map(String::into_bytes).collect(),
        plain_http: registries.plain_http,
        addresses: Addresses::Public { allowed: registries.allowed_networks },
        patience: PATIENCE,
        ..RegistryConfig::default()
    })
}

/// The inventory of an earlier scan of the same bytes. Manifest and config were fetched with this namespace's own
/// credentials before: no user learns about an image that they may not pull.
fn known_inventory(store: &StoreLocation, image: &Image) -> Option<Inventory> {
    let mut inventory = store.inventory(&image.manifest_digest)?;
    inventory.image.name.clone_from(&image.reference);
    inventory.image.index_digest.clone_from(&image.index_digest);
    Some(inventory)
}

fn inventory(image: &Image) -> Result<Inventory, ScanError> {
    // The parent ends a scan by ending the process.
    let cancel = AtomicBool::new(false);
    engine::inventory(
        image,
        &ScanOptions { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent, cache: None },
    )
}
