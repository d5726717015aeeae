//! Starting a scan in its own process, with the namespace's credentials and nothing else.

use crate::context::Context;
use crate::pull_secrets;
use crate::worker::{Done, Failure, Order, Outcome};
use std::process::Stdio;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::image::Platform;
use tidewaiter_crd::ImageScan;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// A scan that takes longer is stopped.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// No outcome is larger.
const MAX_OUTCOME: u64 = 256 << 20;

/// Runs one scan.
pub(super) async fn run(scan: &ImageScan, ctx: &Context) -> Result<Done, Failure> {
    let order = Order {
        image: scan.spec.image.clone(),
        platforms: platforms(scan, ctx),
        secrets: pull_secrets::of(scan, ctx).await?,
        registries: ctx.settings.registries.clone(),
        database: ctx.databases.path().to_owned(),
        store: ctx.store.path(),
        memory: ctx.settings.scan_memory,
    };
    let order = serde_json::to_vec(&order).map_err(|e| Failure::new(Reason::Internal, e))?;
    let outcome = tokio::time::timeout(LIMIT, child(ctx, &order)).await;
    let outcome =
        outcome.map_err(|_| Failure::new(Reason::ScanTimeout, format!("the scan took longer than {LIMIT:?}")))??;
    match outcome {
        Outcome::Done(done) => Ok(done),
        Outcome::Failed(failure) => Err(failure),
    }
}

/// The nodes' platforms, and those asked for beside them: nobody can have fewer judged than what may run.
pub(super) fn platforms(scan: &ImageScan, ctx: &Context) -> Vec<Platform> {
    let mut all = ctx.index.platforms();
    all.extend(
        scan.spec.platforms.iter().filter_map(|p| p.parse().ok()).filter(|p| !all.contains(p)).collect::<Vec<_>>(),
    );
    all
}

async fn child(ctx: &Context, order: &[u8]) -> Result<Outcome, Failure> {
    let internal = |e: std::io::Error| Failure::new(Reason::Internal, format!("the scan process: {e}"));
    let mut command = Command::new(&ctx.settings.program);
    command.arg("scan-worker").env_clear().kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in tidewaiter_http::proxy::VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let mut child = command.spawn().map_err(internal)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Failure::new(Reason::Internal, "the scan process has no pipes"));
    };
    stdin.write_all(order).await.map_err(internal)?;
    drop(stdin);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(MAX_OUTCOME), stderr.take(64 << 10));
    let (read, _) = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
    read.map_err(internal)?;
    let status = child.wait().await.map_err(internal)?;
    serde_json::from_slice(&out).map_err(|_| {
        let last = String::from_utf8_lossy(&err).lines().last().unwrap_or_default().to_owned();
        let limit = ctx.settings.scan_memory >> 20;
        let text =
            format!("the scan process ended early ({status}; {last}); its memory limit is {limit} MiB (--scan-memory)");
        Failure::new(Reason::ScannerStopped, text)
    })
}
