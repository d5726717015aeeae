//! The server's side of a scan: gives the job, one platform after the other, to processes of their own, in the scanner's
//! container or started here, answers what they ask, and checks what they say.

use super::bridge::{self, WorkerProgram};
use super::check;
use super::platforms::{self, PlatformScans};
use super::protocol::{
    LIMIT, MAX_LOG, MAX_OUTPUT, ResolvedImages, ScanFailure, ScanJob, ScanOutput, ScanResult, WorkerLine,
};
use crate::settings::WorkerHost;
use crate::store::Store;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewaiter_core::Reason;
use tidewaiter_core::image::Digest;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// How long a scanner that does not answer is waited for: both containers start at the same time, and one that was killed is
/// back within a second or two.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How often platforms are scanned that turn out to be of different bytes, or of different databases.
const ATTEMPTS: u32 = 2;

/// Runs one scan. Dropped, the process is killed.
///
/// # Errors
/// When the image cannot be scanned, or a process fails.
pub(crate) async fn scan(
    workers: &WorkerHost,
    store: &Arc<dyn Store>,
    job: &ScanJob,
) -> Result<ScanOutput, ScanFailure> {
    let timed_out = |_| ScanFailure::new(Reason::ScanTimeout, format!("the scan took longer than {LIMIT:?}"));
    tokio::time::timeout(LIMIT, scan_platforms(workers, store, job)).await.map_err(timed_out)?
}

/// Each platform with a process of its own (`platforms`), one after the other: a scan has the memory of one.
async fn scan_platforms(
    workers: &WorkerHost,
    store: &Arc<dyn Store>,
    job: &ScanJob,
) -> Result<ScanOutput, ScanFailure> {
    for _ in 0..ATTEMPTS {
        let mut scans = PlatformScans::default();
        for platform in &job.platforms {
            let one = ScanJob { platforms: vec![platform.clone()], ..job.clone() };
            scans.add(scan_platform(workers, store, &one).await)?;
        }
        if let Some(output) = scans.finish()? {
            return Ok(output);
        }
    }
    Err(platforms::changing())
}

/// One platform. A process that ended early may have met a layer in the cache that is more than it can bear, and that would be
/// there the next time: it is tried once without.
async fn scan_platform(workers: &WorkerHost, store: &Arc<dyn Store>, job: &ScanJob) -> Result<ScanOutput, ScanFailure> {
    let stopped = match scan_one(workers, store, job).await {
        Err(failure) if failure.reason == Reason::ScannerStopped && job.layers_of.is_some() => failure,
        done => return done,
    };
    match scan_one(workers, store, &ScanJob { layers_of: None, ..job.clone() }).await {
        // The scanner itself was killed.
        Err(failure) if failure.reason == Reason::ScannerUnreachable => Err(stopped),
        done => done,
    }
}

async fn scan_one(workers: &WorkerHost, store: &Arc<dyn Store>, job: &ScanJob) -> Result<ScanOutput, ScanFailure> {
    match workers {
        WorkerHost::Scanner(socket) => converse(connect(socket).await?, store, job).await,
        WorkerHost::Here(program) => {
            let program = WorkerProgram { path: program.clone(), layer_cache: None };
            run_here(&program, store, job).await
        }
    }
}

/// With a child of this process, in the same way.
async fn run_here(program: &WorkerProgram, store: &Arc<dyn Store>, job: &ScanJob) -> Result<ScanOutput, ScanFailure> {
    let (ours, theirs) = UnixStream::pair().map_err(internal)?;
    let mut result = std::pin::pin!(converse(ours, store, job));
    tokio::select! {
        done = &mut result => done,
        ended = bridge::run(program, theirs) => {
            ended.map_err(internal)?;
            result.await
        }
    }
}

async fn connect(socket: &Path) -> Result<UnixStream, ScanFailure> {
    let began = Instant::now();
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) if began.elapsed() > PATIENCE => return Err(away(socket, &error)),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn away(socket: &Path, error: &io::Error) -> ScanFailure {
    let next = "see the log of the container `scanner`; the scan is tried again by itself";
    let text = format!("the scanner at {} does not answer: {error}; {next}", socket.display());
    ScanFailure::new(Reason::ScannerUnreachable, text)
}

fn internal(error: io::Error) -> ScanFailure {
    ScanFailure::new(Reason::Internal, format!("the scan process: {error}"))
}

/// Gives the job, answers, and returns the checked result.
async fn converse(stream: UnixStream, store: &Arc<dyn Store>, job: &ScanJob) -> Result<ScanOutput, ScanFailure> {
    let (from, to) = stream.into_split();
    let mut lines = BufReader::new(from.take(MAX_OUTPUT + MAX_LOG));
    let mut worker = Conversation { to, store, known: Vec::new(), resolved: None };
    worker.write(job).await?;
    while let Some(line) = next_line(&mut lines).await {
        // What is no line of the protocol is nothing: the last line says how the process ended.
        match serde_json::from_slice(&line) {
            Ok(WorkerLine::Resolved(resolved)) => worker.resolve(job, resolved)?,
            Ok(WorkerLine::Next) => worker.answer().await?,
            Ok(WorkerLine::Finished(result)) => return worker.finish(job, result),
            Ok(WorkerLine::Ended { status, last }) => return Err(stopped(&status, &last, job.memory)),
            Err(_) => {}
        }
    }
    Err(stopped("the connection was closed", "", job.memory))
}

/// One line; `None` at the end, also where the other side closed the connection before it had read everything.
async fn next_line(lines: &mut (impl AsyncBufRead + Unpin)) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    matches!(lines.read_until(b'\n', &mut line).await, Ok(1..)).then_some(line)
}

struct Conversation<'a, W> {
    to: W,
    store: &'a Arc<dyn Store>,
    resolved: Option<ResolvedImages>,
    /// Of which images the inventory was known, in their order.
    known: Vec<bool>,
}

impl<W: AsyncWrite + Unpin> Conversation<'_, W> {
    async fn write(&mut self, document: &impl serde::Serialize) -> Result<(), ScanFailure> {
        let mut line = serde_json::to_vec(document).map_err(|e| ScanFailure::new(Reason::Internal, e))?;
        line.push(b'\n');
        // A process that ended without reading: its last line explains more than the pipe.
        let _ = self.to.write_all(&line).await;
        Ok(())
    }

    /// Once, before anything else: later the process has read layers.
    fn resolve(&mut self, job: &ScanJob, resolved: ResolvedImages) -> Result<(), ScanFailure> {
        if self.resolved.is_some() {
            return Err(check::unasked("it resolves the image twice"));
        }
        check::resolved(job, &resolved)?;
        self.resolved = Some(resolved);
        Ok(())
    }

    /// Sends the inventory of the next image, if it is known.
    async fn answer(&mut self) -> Result<(), ScanFailure> {
        let images = self.resolved.as_ref().map(|resolved| &resolved.images);
        let Some((_, digest)) = images.and_then(|images| images.get(self.known.len())) else {
            return Err(check::unasked("it asks for images that it did not resolve"));
        };
        let (store, digest): (_, Digest) = (Arc::clone(self.store), digest.clone());
        let found = tokio::task::spawn_blocking(move || store.inventory(&digest)).await.ok().flatten();
        self.known.push(found.is_some());
        self.write(&found).await
    }

    fn finish(&self, job: &ScanJob, result: ScanResult) -> Result<ScanOutput, ScanFailure> {
        match (result, &self.resolved) {
            (ScanResult::Failed(failure), resolved) => {
                Err(ScanFailure { before_layers: resolved.is_none(), ..failure })
            }
            (ScanResult::Done(output), Some(resolved)) => {
                let logged_in = resolved.logged_in;
                check::output(job, resolved, &self.known, &output).map(|()| ScanOutput { logged_in, ..output })
            }
            (ScanResult::Done(_), None) => Err(check::unasked("it did not say what the image resolves to")),
        }
    }
}

/// A process that ended without a result. Most often it reached its memory limit, which ends it without a word.
fn stopped(status: &str, last: &str, memory: u64) -> ScanFailure {
    let limit = memory >> 20;
    let text =
        format!("the scan process ended early ({status}; {last}); its memory limit is {limit} MiB (--scan-memory)");
    ScanFailure::new(Reason::ScannerStopped, text)
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
