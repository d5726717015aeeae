//! `tidewaiter scan-worker`: one scan in a process of its own, with bounded memory and no credentials but the namespace's
//! pull secrets, so that no image can take admission down. It reads its job from standard input and writes its result to
//! standard output (`protocol`).

use super::protocol::{PlatformReport, ResolvedImages, ScanFailure, ScanJob, ScanOutput, ScanResult, WorkerLine};
use super::sandbox;
use super::signed::{self, ScanSigner};
use jiff::Timestamp;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::image::{Digest, Platform, Reference};
use tidewaiter_core::report::Inventory;
use tidewaiter_db::{Database, matching};
use tidewaiter_scan::ScanError;
use tidewaiter_scan::cache::{PATIENCE as WAIT, SHARED_ENTRY_BYTES, ScanCache, SharedCache};
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::Image;
use tidewaiter_scan::source::registry::address::Addresses;
use tidewaiter_scan::source::registry::token_services::TokenServices;
use tidewaiter_scan::source::registry::{self, RegistryConfig};

/// Longest pause between two tries of a request. Others wait for the slot: who must wait longer does so without one.
const PATIENCE: Duration = Duration::from_secs(2);

/// Files and connections that are open at the same time: a scan has some twenty.
const OPEN_FILES: u64 = 64;

/// Runs the process.
///
/// # Errors
/// When the job cannot be read or the result cannot be written.
pub(crate) fn main(layer_cache: Option<&Path>) -> anyhow::Result<()> {
    // Before the pull secrets are read: other workers are of the same user, and `/proc` has the memory of each.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let job: ScanJob = read_line()?;
    // Before anything of the image is read. Data, not address space: the database is mapped, and may be large.
    setrlimit(Resource::Data, Rlimit { current: Some(job.memory), maximum: Some(job.memory) })?;
    // No more than an entry of the cache, which is all that is written: whoever writes more is ended. And few files at a time, in
    // which bytes could be after the scanner deleted them.
    for (resource, most) in [(Resource::Fsize, SHARED_ENTRY_BYTES), (Resource::Nofile, OPEN_FILES)] {
        // No limit can be raised.
        let most = Some(getrlimit(resource).maximum.map_or(most, |least| least.min(most)));
        setrlimit(resource, Rlimit { current: most, maximum: most })?;
    }
    let layers = layer_cache.zip(job.layers_of.as_ref()).and_then(|(root, owner)| open_layers(&owner.folder(root)));
    // And what none of it needs is given up, whatever it makes of this process. The parent's log says what the kernel lacks.
    sandbox::enter(&job.database, layers.as_ref())?;
    let result = scan(&job, layers.as_ref()).map_or_else(ScanResult::Failed, ScanResult::Done);
    write_line(&WorkerLine::Finished(result))?;
    Ok(())
}

/// The cached layers of a namespace, which no other one's workers reach; none where the kernel cannot see to that, or the volume
/// is full.
fn open_layers(folder: &Path) -> Option<SharedCache> {
    if !sandbox::separates_files() {
        return None;
    }
    // What cannot be opened may be what a loss of power left of it, and is made again.
    let again = |_| {
        let _ = fs::remove_dir_all(folder);
        SharedCache::open(folder, WAIT)
    };
    SharedCache::open(folder, WAIT).or_else(again).ok()
}

fn read_line<T: DeserializeOwned>() -> io::Result<T> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn write_line(line: &impl Serialize) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn scan(job: &ScanJob, layers: Option<&SharedCache>) -> Result<ScanOutput, ScanFailure> {
    let reference: Reference = job.image.parse().map_err(|e| ScanFailure::new(Reason::BadReference, e))?;
    let database = Database::open(&job.database)?;
    // The registry before the store: what is known is given only to those who may pull it.
    let config = config(job, &reference)?;
    let found = registry::open_for_nodes(&config, &reference, &job.platforms)?;
    let images = found.images.iter().map(|(platform, image)| (platform.clone(), image.manifest_digest.clone()));
    // Before a layer is read: from here on the server takes results of these images alone.
    let resolved =
        ResolvedImages { digest: found.digest.clone(), images: images.collect(), logged_in: found.logged_in };
    write_line(&WorkerLine::Resolved(resolved)).map_err(closed)?;
    let signed = |digest: &Digest| signed::inventory(&config, &reference, digest, &job.trusted, Timestamp::now());
    let report = |(platform, image)| platform_report(&database, platform, &image, layers, signed);
    let results = found.images.into_iter().map(report).collect::<Result<_, ScanFailure>>()?;
    let layers = layers.map(SharedCache::counts).unwrap_or_default();
    Ok(ScanOutput { digest: found.digest, database: database.id().to_owned(), results, layers, logged_in: false })
}

fn closed(error: io::Error) -> ScanFailure {
    ScanFailure::new(Reason::Internal, format!("the server does not answer: {error}"))
}

fn platform_report(
    database: &Database,
    platform: Platform,
    image: &Image,
    layers: Option<&SharedCache>,
    signed: impl Fn(&Digest) -> Option<(Inventory, ScanSigner)>,
) -> Result<PlatformReport, ScanFailure> {
    if let Some(known) = known_inventory(image)? {
        let report = matching::match_inventory(known, database)?;
        return Ok(PlatformReport { platform, inventory: None, signer: None, report });
    }
    if let Some((known, signer)) = signed(&image.manifest_digest) {
        let report = matching::match_inventory(named(known, image), database)?;
        return Ok(PlatformReport { platform, inventory: None, signer: Some(signer), report });
    }
    let new = inventory(image, layers)?;
    let report = matching::match_inventory(new.clone(), database)?;
    Ok(PlatformReport { platform, inventory: Some(new), signer: None, report })
}

fn config(job: &ScanJob, image: &Reference) -> Result<RegistryConfig, ScanFailure> {
    let registries = job.registries.clone();
    Ok(RegistryConfig {
        credentials: job.credentials(image)?,
        ca_pem: registries.ca_pem.into_iter().map(String::into_bytes).collect(),
        plain_http: registries.plain_http,
        hosts: registries.hosts,
        held: job.held,
        token_services: TokenServices::OfRegistry { allowed: registries.token_services },
        addresses: Addresses::Public { allowed: registries.allowed_networks },
        patience: PATIENCE,
        ..RegistryConfig::default()
    })
}

/// The inventory of an earlier scan of the same bytes, from the server. Manifest and config were fetched with this
/// namespace's own credentials before: no user learns about an image that they may not pull.
fn known_inventory(image: &Image) -> Result<Option<Inventory>, ScanFailure> {
    write_line(&WorkerLine::Next).map_err(closed)?;
    let known = read_line::<Option<Inventory>>().map_err(closed)?;
    Ok(known.map(|inventory| named(inventory, image)))
}

/// An inventory of the same bytes, under the name by which they were requested.
fn named(mut inventory: Inventory, image: &Image) -> Inventory {
    inventory.image.name.clone_from(&image.reference);
    inventory.image.index_digest.clone_from(&image.index_digest);
    inventory
}

fn inventory(image: &Image, layers: Option<&SharedCache>) -> Result<Inventory, ScanError> {
    // The parent ends a scan by ending the process.
    let cancel = AtomicBool::new(false);
    let cache = layers.map(ScanCache::Shared);
    engine::inventory(
        image,
        &ScanOptions { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent, cache },
    )
}
