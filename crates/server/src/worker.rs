//! `tidewaiter scan-worker`: one scan in a process of its own, without credentials in its order or environment and with bounded memory, so that no
//! image can take admission down. The order comes on standard input, the outcome goes to standard output, as JSON.

use ipnet::IpNet;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tidewaiter::store::Sqlite;
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

/// What to scan, and with what.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The image as the workload names it.
    pub(crate) image: String,
    /// Platforms of the cluster's nodes.
    pub(crate) platforms: Vec<Platform>,
    /// Pull secrets of the namespace.
    pub(crate) secrets: Vec<PullSecret>,
    /// How registries are reached.
    pub(crate) registries: Registries,
    /// The database file.
    pub(crate) database: PathBuf,
    /// The store, for the inventories that are known.
    pub(crate) store: PathBuf,
    /// Bytes of memory this process may use.
    pub(crate) memory: u64,
}

/// One pull secret's document.
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

/// How registries are reached.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Registries {
    /// Networks allowed beside public addresses.
    pub(crate) allowed_networks: Vec<IpNet>,
    /// Hosts spoken to over plain HTTP.
    pub(crate) plain_http: Vec<String>,
    /// PEM of a private CA.
    pub(crate) ca_pem: Option<String>,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Everything was judged.
    Done(Done),
    /// It could not be.
    Failed(Failure),
}

/// A finished scan.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// What the image string names.
    pub(crate) digest: Digest,
    /// Id of the database that judged.
    pub(crate) database: String,
    /// One result for each platform.
    pub(crate) results: Vec<PlatformReport>,
}

/// One platform's result.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlatformReport {
    /// The node platform it is for.
    pub(crate) platform: Platform,
    /// What was seen, when it was not known before.
    pub(crate) inventory: Option<Inventory>,
    /// What the database says of it.
    pub(crate) report: Report,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// One CamelCase word.
    pub(crate) reason: Reason,
    /// What happened, and what to do.
    pub(crate) message: String,
}

impl Failure {
    /// A failure by its reason.
    pub(crate) fn new(reason: Reason, message: impl ToString) -> Self {
        Failure { reason, message: message.to_string() }
    }
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        Failure::new(error.reason(), error)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Failure::new(error.reason(), error)
    }
}

impl From<tidewaiter_db::DatabaseError> for Failure {
    fn from(error: tidewaiter_db::DatabaseError) -> Self {
        Failure::new(error.reason(), error)
    }
}

/// Runs the process.
///
/// # Errors
/// When the order cannot be read or the outcome cannot be written.
pub(crate) fn main() -> anyhow::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let order: Order = serde_json::from_str(&text)?;
    setrlimit(Resource::Data, Rlimit { current: Some(order.memory), maximum: Some(order.memory) })?;
    let outcome = scan(&order).map_or_else(Outcome::Failed, Outcome::Done);
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut out, &outcome)?;
    out.flush()?;
    Ok(())
}

fn scan(order: &Order) -> Result<Done, Failure> {
    let reference: Reference = order.image.parse().map_err(|e| Failure::new(Reason::BadReference, e))?;
    let database = Database::open(&order.database)?;
    let found = registry::open_for_nodes(&config(order)?, &reference, &order.platforms)?;
    let judge = |(platform, image): (Platform, Image)| {
        let known = known_inventory(&order.store, &image);
        let inventory = match &known {
            Some(known) => known.clone(),
            None => inventory(&image)?,
        };
        let new = known.is_none().then(|| inventory.clone());
        let report = matching::judge(inventory, &database)?;
        Ok(PlatformReport { platform, inventory: new, report })
    };
    let results = found.images.into_iter().map(judge).collect::<Result<_, Failure>>()?;
    Ok(Done { digest: found.digest, database: database.id().to_owned(), results })
}

fn config(order: &Order) -> Result<RegistryConfig, Failure> {
    let mut credentials = Credentials::default();
    for secret in &order.secrets {
        let bytes = secret.document.as_bytes();
        let parsed = if secret.legacy { Credentials::parse_legacy(bytes) } else { Credentials::parse(bytes) };
        credentials.extend(
            parsed.map_err(|e| Failure::new(Reason::BadPullSecret, format!("a pull secret is unreadable: {e}")))?,
        );
    }
    let registries = order.registries.clone();
    Ok(RegistryConfig {
        credentials,
        ca_pem: registries.ca_pem.into_iter().map(String::into_bytes).collect(),
        plain_http: registries.plain_http,
        addresses: Addresses::Public { allowed: registries.allowed_networks },
        ..RegistryConfig::default()
    })
}

/// What an earlier scan saw in the same bytes. Manifest and config were fetched with this namespace's own credentials
/// before, so nobody profits from an image they may not pull.
fn known_inventory(store: &Path, image: &Image) -> Option<Inventory> {
    let mut inventory = Sqlite::known(store, &image.manifest_digest)?;
    inventory.image.name.clone_from(&image.reference);
    inventory.image.index_digest.clone_from(&image.index_digest);
    Some(inventory)
}

fn inventory(image: &Image) -> Result<Inventory, ScanError> {
    let cancel = AtomicBool::new(false);
    engine::inventory(
        image,
        &ScanOptions { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent, cache: None },
    )
}
