//! The ImageScan controller: resolves, scans and judges one image string of one namespace.

mod judge;
mod moved;
mod run;
pub(crate) mod slots;
pub(crate) mod sweep;

use crate::context::Context;
use crate::database::State;
use crate::worker::Failure;
use crate::{index, patches};
use jiff::Timestamp;
use judge::Again;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::status::ImageStatus;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::ImageScanStatus;

/// A failed scan is tried again after this long, doubled by each failure in a row: the registry may be back, the image
/// pushed.
const RETRY: Duration = Duration::from_secs(30);
/// Doublings at most: half an hour.
const DOUBLINGS: u32 = 6;
/// A finished scan that no workload uses is forgotten after this long.
const KEEP_SECONDS: i64 = 24 * 3600;

/// Brings one ImageScan up to date.
pub(crate) async fn reconcile(scan: Arc<ImageScan>, ctx: Arc<Context>) -> Result<Action, kube::Error> {
    let namespace = scan.namespace().unwrap_or_default();
    if !ctx.in_scope(&namespace) {
        return Ok(Action::await_change());
    }
    let database = match ctx.databases.state() {
        State::Ready(id) => id,
        State::Missing(why) => return wait_for_database(&scan, &ctx, why).await,
    };
    if is_done(&scan, &ctx, &database) && judge::again(&scan, &ctx).await? == Again::Judged {
        return expire(&scan, &ctx).await;
    }
    if let Some(action) = moved::bring_up(&scan, &ctx, &database).await? {
        return Ok(action);
    }
    let _slot = ctx.slots.take(&scan, &ctx).await;
    write(&scan, &ctx, &scanning(&scan)).await?;
    ctx.metrics.scan_started();
    let outcome = run::run(&scan, &ctx).await;
    let status = match outcome {
        Ok(done) => judge::status(&scan, &ctx, done).await,
        Err(failure) => failed(&scan, &ctx, failure),
    };
    ctx.metrics.scan_ended(&status);
    write(&scan, &ctx, &status).await?;
    judge::forget(&scan, &ctx);
    Ok(if failed_without_result(&status) { Action::requeue(pause(&status)) } else { Action::await_change() })
}

fn failed_without_result(status: &ImageScanStatus) -> bool {
    status.image_status == ImageStatus::ScanFailed && status.digest.is_none()
}

fn pause(status: &ImageScanStatus) -> Duration {
    RETRY * 2_u32.pow(status.failures.unwrap_or_default().saturating_sub(1).min(DOUBLINGS))
}

/// Whether its result is of this generation, this database and these nodes.
fn is_done(scan: &ImageScan, ctx: &Context, database: &str) -> bool {
    let Some(status) = &scan.status else { return false };
    // What failed without a result is tried again at every look; the requeue spaces the looks.
    let failed = failed_without_result(status);
    let generation = scan.metadata.generation.unwrap_or_default();
    let platforms = run::platforms(scan, ctx);
    let judged = platforms.iter().all(|p| status.node_platforms.contains(&p.to_string()));
    let recent = failed && age(status) < pause(status).as_secs().cast_signed();
    status.is_final(generation) && status.database.as_deref() == Some(database) && (judged && !failed || recent)
}

fn age(status: &ImageScanStatus) -> i64 {
    let finished = status.finished.as_ref().and_then(|t| t.parse::<Timestamp>().ok());
    finished.map_or(i64::MAX, |t| Timestamp::now().as_second() - t.as_second())
}

/// While a scan runs, what was found before counts for those alone who asked for it.
fn scanning(scan: &ImageScan) -> ImageScanStatus {
    ImageScanStatus {
        image_status: ImageStatus::Scanning,
        reason: None,
        message: "the scan runs".to_owned(),
        ..scan.status.clone().unwrap_or_default()
    }
}

fn failed(scan: &ImageScan, ctx: &Context, failure: Failure) -> ImageScanStatus {
    let database = match ctx.databases.state() {
        State::Ready(id) => Some(id),
        State::Missing(_) => None,
    };
    let generation = scan.metadata.generation.unwrap_or_default();
    let before = scan.status.as_ref().filter(|s| s.observed_generation == generation).and_then(|s| s.failures);
    ImageScanStatus {
        image_status: ImageStatus::ScanFailed,
        observed_generation: generation,
        failures: Some(before.unwrap_or_default().saturating_add(1)),
        reason: Some(failure.reason),
        message: failure.message,
        database,
        finished: Some(Timestamp::now().to_string()),
        ..ImageScanStatus::default()
    }
}

async fn wait_for_database(scan: &ImageScan, ctx: &Context, why: String) -> Result<Action, kube::Error> {
    // A result that is there stays; nothing new is scanned.
    if scan
        .status
        .as_ref()
        .is_some_and(|s| s.is_final(scan.metadata.generation.unwrap_or_default()) && s.digest.is_some())
    {
        return Ok(Action::await_change());
    }
    let status = ImageScanStatus { reason: Some(Reason::NoDatabase), message: why, ..ImageScanStatus::default() };
    let told = scan.status.as_ref().is_some_and(|s| s.reason == status.reason && s.message == status.message);
    if !told {
        write(scan, ctx, &status).await?;
    }
    Ok(Action::await_change())
}

/// Deletes what nothing uses any more.
async fn expire(scan: &ImageScan, ctx: &Context) -> Result<Action, kube::Error> {
    if let Some(failed) = scan.status.as_ref().filter(|s| failed_without_result(s)) {
        return Ok(Action::requeue(pause(failed)));
    }
    let namespace = scan.namespace().unwrap_or_default();
    let used = !ctx.index.users(scan).is_empty();
    let left = KEEP_SECONDS - scan.status.as_ref().map(age).unwrap_or_default();
    if used || left > 0 {
        return Ok(Action::requeue(Duration::from_secs(left.max(3600).cast_unsigned())));
    }
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), &namespace);
    api.delete(&scan.name_any(), &kube::api::DeleteParams::default()).await?;
    scan.status.iter().flat_map(|s| &s.platforms).for_each(|p| ctx.store.remove_report(&p.report_key));
    Ok(Action::await_change())
}

/// Replaces the status.
async fn write(scan: &ImageScan, ctx: &Context, status: &ImageScanStatus) -> Result<(), kube::Error> {
    let namespace = scan.namespace().unwrap_or_default();
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), &namespace);
    // A merge would keep fields of the former status: `replace` leaves none.
    let op = if scan.status.is_some() { "replace" } else { "add" };
    let mut status = status.clone();
    status.conditions = scan.status.as_ref().map(|s| s.conditions.clone()).unwrap_or_default();
    status.set_condition(&Timestamp::now().to_string());
    let patch = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": scan.uid()}),
        json!({"op": op, "path": "/status", "value": status}),
    ];
    let written = patches::status(&api, &scan.name_any(), patch).await?;
    index::settled(&ctx.index.images, &written).await;
    Ok(())
}
