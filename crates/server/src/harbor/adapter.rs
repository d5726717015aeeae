//! Takes scans in, runs them as the server runs those of workloads, and has their results until they are old.

use super::answer::ReportKind;
use super::args::AdapterSettings;
use super::database::HarborDatabase;
use super::problem::AdapterProblem;
use super::queue::{QueueLimits, QueuedScanState, ScanQueue};
use super::request::HarborScanRequest;
use crate::scan::process;
use crate::scan::protocol::{PlatformReport, ScanFailure, ScanJob};
use crate::store::{References, Store, new_key};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewaiter_core::Reason;
use tidewaiter_core::image::Platform;
use tidewaiter_core::policy::{self, Policy};
use tidewaiter_core::report::{DatabaseInfo, Report};
use tidewaiter_core::severity::Severity;
use tidewaiter_formats::{HarborArtifact, JudgedReport, Stamp, write_harbor_report, write_harbor_sbom};
use tokio::sync::Semaphore;

/// This program in documents.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long results are there: Harbor asks for them every few seconds for half an hour, and takes each once.
const RESULT_AGE: Duration = Duration::from_secs(3600);
/// How many results are there. They are on disk.
const RESULTS: usize = 1000;
/// How long what was read of an image is known: Harbor's own schedules scan all artifacts again every day or week.
const INVENTORY_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Pause between two looks at what is too old.
const SWEEP: Duration = Duration::from_secs(60);
/// Results that are written at the same time: each is in memory as a whole.
const WRITERS: usize = 2;

/// A finished scan, whose report is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FinishedScan {
    key: String,
    artifact: HarborArtifact,
    at: Timestamp,
}

/// The adapter.
pub(super) struct HarborAdapter {
    settings: AdapterSettings,
    database: Arc<HarborDatabase>,
    store: Arc<dyn Store>,
    queue: Mutex<ScanQueue<HarborScanRequest, FinishedScan>>,
    writers: Semaphore,
}

impl HarborAdapter {
    /// An adapter without scans.
    pub(super) fn new(settings: AdapterSettings, database: HarborDatabase, store: Arc<dyn Store>) -> Self {
        let limits = QueueLimits {
            running: settings.scans.into(),
            waiting: settings.waiting_scans.into(),
            kept: RESULTS,
            age: RESULT_AGE,
        };
        HarborAdapter {
            settings,
            database: Arc::new(database),
            store,
            queue: Mutex::new(ScanQueue::new(limits)),
            writers: Semaphore::new(WRITERS),
        }
    }

    /// The database that the next scan uses.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn database(&self) -> Result<DatabaseInfo, AdapterProblem> {
        let database = Arc::clone(&self.database);
        let read = tokio::task::spawn_blocking(move || database.info()).await;
        read.unwrap_or_else(|error| Err(error.to_string())).map_err(|why| AdapterProblem::new(500, why))
    }

    /// Takes a scan in; gives the id by which its result is asked for.
    ///
    /// # Errors
    /// When the request is wrong, or too many scans wait.
    pub(super) fn accept(self: &Arc<Self>, body: &[u8]) -> Result<String, AdapterProblem> {
        let scan = HarborScanRequest::parse(body, &self.settings.registries)?;
        // It cannot be guessed: who asks by an id may be somebody else than who asked for the scan.
        let id = new_key().map_err(|error| AdapterProblem::new(500, error.to_string()))?;
        let (digest, image) = (scan.digest.clone(), scan.image.clone());
        self.queue.lock().accept(id.clone(), digest, scan)?;
        tracing::info!("scan {id} of {image} was asked for");
        self.start_next();
        Ok(id)
    }

    /// How far a scan is.
    pub(super) fn progress(&self, id: &str) -> Option<QueuedScanState<FinishedScan>> {
        self.queue.lock().progress(id)
    }

    /// Takes no more scans in.
    pub(super) fn close(&self) {
        self.queue.lock().close(Instant::now());
    }

    /// Whether nothing is lost when the process ends.
    pub(super) fn is_done(&self) -> bool {
        self.queue.lock().is_done()
    }

    fn start_next(self: &Arc<Self>) {
        loop {
            // The lock is not held while a task is made.
            let next = self.queue.lock().start();
            let Some((id, scan)) = next else { return };
            tokio::spawn(Arc::clone(self).run(id, scan));
        }
    }

    async fn run(self: Arc<Self>, id: String, scan: HarborScanRequest) {
        let adapter = Arc::clone(&self);
        // In a task of its own: a panic must not keep the slot, and its message is in the log.
        let done = tokio::spawn(async move { adapter.scan(scan).await }).await;
        let done = done.unwrap_or_else(|error| Err(ScanFailure::new(Reason::Internal, error)));
        match &done {
            Ok(_) => tracing::info!("scan {id} is finished"),
            Err(failure) => tracing::warn!("scan {id} failed: {}: {}", failure.reason, failure.message),
        }
        let outcome =
            done.map_err(|failure| AdapterProblem::new(500, format!("{}: {}", failure.reason, failure.message)));
        self.queue.lock().finish(&id, outcome, Instant::now());
        self.start_next();
    }

    /// Scans, and stores the result. The login ends with it.
    async fn scan(&self, scan: HarborScanRequest) -> Result<FinishedScan, ScanFailure> {
        let artifact = scan.artifact.clone();
        let output = process::scan(&self.settings.workers, &self.store, &self.job(&scan)).await?;
        let result = output.results.into_iter().next().filter(|result| is_of(result, &scan)).ok_or_else(is_an_index)?;
        let store = Arc::clone(&self.store);
        let stored = tokio::task::spawn_blocking(move || store_result(&*store, &result)).await;
        let key = stored.unwrap_or_else(|error| Err(ScanFailure::new(Reason::Internal, error)))?;
        Ok(FinishedScan { key, artifact, at: Timestamp::now() })
    }

    fn job(&self, scan: &HarborScanRequest) -> ScanJob {
        let mut registries = self.settings.reach.clone();
        registries.hosts = scan.registry.hosts();
        ScanJob {
            image: scan.image.to_string(),
            // Images of other platforms fail (docs/harbor.md, Known faults).
            platforms: vec![Platform::new("linux", "amd64")],
            secrets: scan.login.iter().cloned().collect(),
            provided: Vec::new(),
            registries,
            held: None,
            database: self.database.path().to_owned(),
            memory: self.settings.scan_memory,
            // Layers are shared by who may pull the same ones, which a digest in a manifest of somebody's does not show.
            layers_of: None,
            trusted: Vec::new(),
        }
    }

    /// Writes the report of a finished scan.
    ///
    /// # Errors
    /// When the store lost it.
    pub(super) async fn report(&self, scan: FinishedScan, kind: ReportKind) -> Result<Vec<u8>, AdapterProblem> {
        let failed = |error: String| AdapterProblem::new(500, error);
        let _writer = self.writers.acquire().await.map_err(|error| failed(error.to_string()))?;
        let (store, incomplete) = (Arc::clone(&self.store), self.settings.incomplete);
        let written = tokio::task::spawn_blocking(move || {
            let report = store.report(&scan.key)?;
            Some(written(&report, &scan, kind, incomplete))
        });
        match written.await {
            Ok(Some(Ok(bytes))) => Ok(bytes),
            Ok(Some(Err(error))) => Err(failed(format!("the report cannot be written: {error}"))),
            Ok(None) => Err(failed("the report is no longer in the store; scan the artifact again".to_owned())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Deletes what is too old until the process ends.
    pub(super) async fn sweep(self: Arc<Self>) {
        loop {
            let forgotten = self.queue.lock().forget(Instant::now());
            let store = Arc::clone(&self.store);
            let swept = tokio::task::spawn_blocking(move || {
                forgotten.iter().for_each(|scan| store.remove_report(&scan.key));
                store.collect_garbage(&References::default(), INVENTORY_AGE)
            });
            if let Ok(Err(error)) = swept.await {
                tracing::warn!("the store was not cleaned: {error}");
            }
            tokio::time::sleep(SWEEP).await;
        }
    }
}

/// Whether the result is that of the artifact itself, and not of an image that was chosen from it.
fn is_of(result: &PlatformReport, scan: &HarborScanRequest) -> bool {
    result.report.inventory.image.digest == scan.digest
}

fn is_an_index() -> ScanFailure {
    let next = "scan each image of it";
    ScanFailure::new(Reason::UnsupportedMediaType, format!("the artifact is an index of several images; {next}"))
}

/// Stores the report, and what was read of the image for scans to come; gives the key of the report.
fn store_result(store: &dyn Store, result: &PlatformReport) -> Result<String, ScanFailure> {
    if let Some(inventory) = &result.inventory
        && let Err(error) = store.put_inventory(inventory)
    {
        tracing::warn!("what was read of an image is not stored, and is read again for its next scan: {error}");
    }
    store.put_report(&result.report).map_err(|error| {
        ScanFailure::new(
            Reason::ReportNotStored,
            format!("the report could not be stored: {error}; make room in --store"),
        )
    })
}

fn written(report: &Report, scan: &FinishedScan, kind: ReportKind, incomplete: Severity) -> io::Result<Vec<u8>> {
    let stamp = Stamp::new(VERSION, scan.at);
    let mut out = Vec::new();
    match kind {
        ReportKind::Vulnerabilities(_) => {
            // For the gaps of the day; what blocks is the project's to say.
            let verdict = policy::decide(report, &Policy::default(), Timestamp::now());
            let judged = JudgedReport { report, verdict: &verdict };
            write_harbor_report(judged, &scan.artifact, incomplete, &stamp, &mut out)?;
        }
        ReportKind::Sbom(format, media_type) => {
            write_harbor_sbom(&report.inventory, &scan.artifact, (format, media_type), &stamp, &mut out)?;
        }
    }
    Ok(out)
}
