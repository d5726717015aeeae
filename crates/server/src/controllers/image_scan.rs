//! Reconciles ImageScans: resolves, scans and evaluates one image of one namespace.
//!
//! ```text
//! of the current database? → re-evaluate by policy → delete when unused
//!         ↓ no
//! re-matched?              → confirm or patch the reports
//!         ↓ no
//! slot → scan in a process → reports to the store → verdict
//! ```

mod reports;

use super::concerns;
use crate::context::ServerContext;
use crate::decide::database::{DatabaseState, NextResult, judged_by, next_result};
use crate::decide::exception;
use crate::decide::image_scan::{self, FailedScan, Upkeep};
use crate::decide::policy::EffectivePolicy;
use crate::error::ReconcileError;
use crate::memory::{RegistryUser, limited_registry};
use crate::scan::protocol::{ScanFailure, ScanJob, ScanOutput};
use crate::scan::{mirrors, process, pull_secrets};
use crate::traces::ScanTrace;
use crate::{index, patches};
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use reports::Stored;
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewaiter_core::Reason;
use tidewaiter_core::image::Platform;
use tidewaiter_core::report::Report;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::ImageScanStatus;

/// Requeue while a re-match runs. Its end enqueues every scan; this is for a key that is lost in between.
const REMATCH_PAUSE: Duration = Duration::from_secs(10);

/// How long a scan runs before its status, and that of the workloads that wait for it, says `Scanning`: most are over by then,
/// and nobody would see it.
const VISIBLE_AFTER: Duration = Duration::from_secs(1);

/// Pause between two looks whether a scan is still wanted: its slot is free that soon.
const CANCELLED_PAUSE: Duration = Duration::from_secs(1);

/// Reconciles one ImageScan.
pub(super) async fn reconcile(scan: Arc<ImageScan>, ctx: Arc<ServerContext>) -> Result<Action, ReconcileError> {
    if !concerns(&*scan, &ctx) {
        return Ok(Action::await_change());
    }
    let database = match ctx.database.state() {
        DatabaseState::Ready(own) => judged_by(&own, ctx.newest_database.get(), &scan, Timestamp::now()).to_owned(),
        DatabaseState::Missing(why) => return without_database(&scan, &ctx, why).await,
    };
    // Once: a node that joins during the scan must find an image that was not scanned for it.
    let platforms = image_scan::platforms(&scan, &ctx.index.platforms());
    let current = image_scan::is_current(&scan, &platforms, &database, Timestamp::now());
    if current && re_evaluate(&scan, &ctx).await? == Stored::Found {
        ctx.lost_results.forget(&run_of(&scan));
        return keep_or_delete(&scan, &ctx).await;
    }
    if let Some(pause) = ctx.lost_results.pause(&run_of(&scan)) {
        return Ok(Action::requeue(pause));
    }
    if current {
        // At once, and again only after a pause: the store may lose the next one, too.
        ctx.lost_results.note(&run_of(&scan));
    }
    match next_result(&scan, &platforms, &ctx.database.rematch_state(), &database) {
        NextResult::Wait => return Ok(Action::requeue(REMATCH_PAUSE)),
        NextResult::Rematch(change) => {
            if let Some((results, mut reports)) = reports::rematched(&ctx, &scan, change).await {
                let old = scan.status.clone().unwrap_or_default();
                let status = image_scan::rematched(&old, results, &database, Timestamp::now());
                let status = with_verdict(&scan, &ctx, status, &mut reports);
                write(&scan, &ctx, &status).await?;
                reports::remove_replaced(&ctx, &old, &status);
                return Ok(Action::await_change());
            }
        }
        NextResult::Rescan => {}
    }
    rescan(&scan, &ctx, platforms).await
}

/// Scans the image in a process of its own, unless nobody wants the result any more.
async fn rescan(
    scan: &ImageScan,
    ctx: &Arc<ServerContext>,
    platforms: Vec<Platform>,
) -> Result<Action, ReconcileError> {
    let users = ctx.index.users(scan);
    let urgency = image_scan::urgency(scan, users.iter().filter_map(|user| user.status.as_ref()));
    let (namespace, registry) = (scan.namespace().unwrap_or_default(), limited_registry(&image_scan::registry(scan)));
    let mut trace = ScanTrace::begin(&namespace, &scan.spec.image);
    // First: a scan that waits for its turn does not run.
    let _slot = tokio::select! {
        slot = ctx.slots.take(&namespace, &registry, urgency) => slot,
        () = cancelled(scan, ctx) => return Ok(Action::await_change()),
    };
    ctx.runs.begin(&scan.uid().unwrap_or_default(), scan.metadata.generation.unwrap_or_default());
    ctx.metrics.scan_started();
    trace.runs();
    let began = Instant::now();
    let done = tokio::select! {
        done = run_visibly(scan, ctx, platforms.clone()) => done.inspect_err(|_| ctx.metrics.scan_cancelled())?,
        // Dropping the scan kills its process. A changed spec is enqueued already.
        () = cancelled(scan, ctx) => {
            ctx.metrics.scan_cancelled();
            return Ok(Action::await_change());
        }
    };
    if let Ok(output) = &done {
        ctx.metrics.layers(&output.layers);
    }
    let done = match done {
        Ok(output) => finished(scan, ctx, &platforms, output).await.map_err(tried),
        Err(failure) => Err(failure),
    };
    let status = done.unwrap_or_else(|failure| failed(scan, ctx, failure));
    ctx.metrics.scan_ended(&status, began.elapsed());
    trace.ended(&status);
    if let Err(error) = write(scan, ctx, &status).await {
        return unwritten(scan, ctx, &status, error);
    }
    let old = scan.status.clone().unwrap_or_default();
    // After the status names the new reports: until then its keys lead to the old ones.
    reports::remove_replaced(ctx, &old, &status);
    Ok(match image_scan::has_failed(&status) {
        true => Action::requeue(image_scan::retry_after(&status)),
        false => Action::await_change(),
    })
}

/// Waits until the ImageScan is deleted, or requests something else.
async fn cancelled(scan: &ImageScan, ctx: &ServerContext) {
    let key = ObjectRef::from_obj(scan);
    loop {
        tokio::time::sleep(CANCELLED_PAUSE).await;
        if !image_scan::is_wanted(scan, ctx.index.images.get(&key).as_deref()) {
            return;
        }
    }
}

fn failed(scan: &ImageScan, ctx: &ServerContext, failure: FailedScan) -> ImageScanStatus {
    let database = ctx.database.state().id().map(str::to_owned);
    image_scan::failed(scan, failure, database, Timestamp::now())
}

fn tried(failure: ScanFailure) -> FailedScan {
    let ScanFailure { reason, message, retry_after, .. } = failure;
    FailedScan { reason, message, retry_after, tried: true }
}

/// A result that no object names is lost, whatever the cause: its reports go, and the next scan waits as after a failure.
fn unwritten(
    scan: &ImageScan,
    ctx: &ServerContext,
    status: &ImageScanStatus,
    error: ReconcileError,
) -> Result<Action, ReconcileError> {
    reports::remove_replaced(ctx, status, &scan.status.clone().unwrap_or_default());
    if error.is_gone() || error.is_conflict() {
        return Err(error);
    }
    let pause = ctx.lost_results.note(&run_of(scan));
    let (namespace, name) = (scan.namespace().unwrap_or_default(), scan.name_any());
    tracing::error!(
        "the result of ImageScan {namespace}/{name} was not written; it is scanned again in {pause:?}: {error}"
    );
    Ok(Action::requeue(pause))
}

/// What is requested: a new request implies a fix.
fn run_of(scan: &ImageScan) -> String {
    format!("{}/{}", scan.uid().unwrap_or_default(), scan.metadata.generation.unwrap_or_default())
}

/// Runs a scan. The status says so only once it takes long enough to be seen.
async fn run_visibly(
    scan: &ImageScan,
    ctx: &ServerContext,
    platforms: Vec<Platform>,
) -> Result<Result<ScanOutput, FailedScan>, ReconcileError> {
    let mut running = pin!(run(scan, ctx, platforms));
    tokio::select! {
        done = &mut running => return Ok(done),
        () = tokio::time::sleep(VISIBLE_AFTER) => {}
    }
    write(scan, ctx, &image_scan::scanning(scan)).await?;
    Ok(running.await)
}

async fn run(scan: &ImageScan, ctx: &ServerContext, platforms: Vec<Platform>) -> Result<ScanOutput, FailedScan> {
    let secrets = pull_secrets::of_scan(&ctx.client, &ctx.index.service_accounts, scan).await.map_err(tried)?;
    let provided = ctx.credential_providers.logins(&scan.spec.image).await;
    let registry = image_scan::registry(scan);
    let mut job = ScanJob {
        image: scan.spec.image.clone(),
        platforms,
        secrets,
        provided: provided.logins.clone(),
        registries: mirrors::settings_for(&ctx.settings.registries, &registry).await.map_err(tried)?,
        held: None,
        database: ctx.database.path().to_owned(),
        memory: ctx.settings.scan_memory,
        trusted: ctx.settings.trusted_scans.clone(),
        layers_of: ctx.index.uid_of(&scan.namespace().unwrap_or_default()).and_then(|uid| uid.try_into().ok()),
    };
    let user = job.registry_user(&scan.namespace().unwrap_or_default());
    job.held = ctx.registry_holds.pause(&user);
    let has_mirrors = job.registries.hosts.has_mirrors(&registry);
    if let Some(pause) = job.held.filter(|_| !has_mirrors) {
        return Err(image_scan::held_registry(&user.registry, pause));
    }
    let began = Instant::now();
    let done = process::scan(&ctx.settings.worker_host(), &ctx.store, &job).await;
    if job.held.is_some() {
        // Nothing was learned of the registry: its mirrors alone were asked. Where they lack the image, it waits.
        return done.map_err(|failure| FailedScan { tried: failure.reason != Reason::RateLimited, ..tried(failure) });
    }
    // A result may be a mirror's, which says nothing of the registry.
    if done.is_err() || !has_mirrors {
        note_limit(ctx, &user, began, &done);
    }
    done.map_err(|failure| tried(provided.explain(failure)))
}

/// Holds the registry for all who share its limit. What read a layer says so of its own image alone: somebody made that.
fn note_limit(ctx: &ServerContext, user: &RegistryUser, began: Instant, done: &Result<ScanOutput, ScanFailure>) {
    let holds = &ctx.registry_holds;
    match done {
        Ok(output) => {
            holds.note_login(user, output.logged_in);
            holds.forget(&user.limited(output.logged_in), began);
        }
        Err(failure) if failure.reason == Reason::RateLimited && failure.before_layers => {
            holds.note_login(user, failure.logged_in);
            let limited = user.limited(failure.logged_in);
            let pause = holds.note(&limited, failure.retry_after).as_secs();
            let whom = limited.namespace.as_deref().unwrap_or("all namespaces without a login");
            tracing::warn!("{} limits requests: it is not asked for {whom} for {pause} s", user.registry);
        }
        Err(_) => {}
    }
}

async fn finished(
    scan: &ImageScan,
    ctx: &Arc<ServerContext>,
    platforms: &[Platform],
    output: ScanOutput,
) -> Result<ImageScanStatus, ScanFailure> {
    let (results, mut reports) = reports::put(ctx, output.results).await?;
    let digest = output.digest.to_string();
    let status = image_scan::finished(scan, platforms, digest, results, output.database, Timestamp::now());
    Ok(with_verdict(scan, ctx, status, &mut reports))
}

/// Re-evaluates the stored reports by the policy as it is now.
async fn re_evaluate(scan: &ImageScan, ctx: &Arc<ServerContext>) -> Result<Stored, ReconcileError> {
    let Some(old) = scan.status.as_ref().filter(|s| s.digest.is_some()) else { return Ok(Stored::Found) };
    let Some(mut reports) = reports::get(ctx, old).await else { return Ok(Stored::Lost) };
    let new = with_verdict(scan, ctx, old.clone(), &mut reports);
    if new != *old {
        write(scan, ctx, &new).await?;
    }
    Ok(Stored::Found)
}

fn with_verdict(
    scan: &ImageScan,
    ctx: &ServerContext,
    status: ImageScanStatus,
    reports: &mut [Report],
) -> ImageScanStatus {
    let (namespace, now) = (scan.namespace().unwrap_or_default(), Timestamp::now());
    let policy = ctx.policy(&namespace);
    bring_up_to_date(ctx, (&namespace, &policy), &status, reports, now);
    image_scan::with_verdict(status, reports, &policy.criteria, now)
}

/// Makes the reports of a status those of this moment: by the database as it is, and without what exceptions accept.
fn bring_up_to_date(
    ctx: &ServerContext,
    (namespace, policy): (&str, &EffectivePolicy),
    status: &ImageScanStatus,
    reports: &mut [Report],
    now: Timestamp,
) {
    let database = ctx.database.state();
    let exceptions = ctx.index.exceptions_in(namespace);
    for report in reports {
        database.confirm(report, status.database.as_deref());
        exception::apply(report, exceptions.iter().map(|e| &**e), policy.max_exception_days, now);
    }
}

/// The report of a platform as it is judged now, from the store; `None` when it is not there.
pub(super) fn current_report(
    ctx: &ServerContext,
    of: (&str, &EffectivePolicy),
    (status, key): (&ImageScanStatus, &str),
    now: Timestamp,
) -> Option<Report> {
    let mut report = ctx.store.report(key)?;
    bring_up_to_date(ctx, of, status, std::slice::from_mut(&mut report), now);
    Some(report)
}

async fn without_database(scan: &ImageScan, ctx: &ServerContext, why: String) -> Result<Action, ReconcileError> {
    if let Some(status) = image_scan::without_database(scan, why) {
        write(scan, ctx, &status).await?;
    }
    Ok(Action::await_change())
}

/// Deletes an ImageScan that no workload uses any more, together with its reports.
async fn keep_or_delete(scan: &ImageScan, ctx: &ServerContext) -> Result<Action, ReconcileError> {
    let used = ctx.index.is_used(scan);
    match image_scan::upkeep(scan, used, Timestamp::now()) {
        Upkeep::Requeue(pause) => Ok(Action::requeue(pause)),
        Upkeep::Delete => {
            let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), &scan.namespace().unwrap_or_default());
            api.delete(&scan.name_any(), &kube::api::DeleteParams::default()).await?;
            let old = scan.status.clone().unwrap_or_default();
            reports::remove_replaced(ctx, &old, &ImageScanStatus::default());
            Ok(Action::await_change())
        }
    }
}

/// Replaces the status.
async fn write(scan: &ImageScan, ctx: &ServerContext, status: &ImageScanStatus) -> Result<(), ReconcileError> {
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), &scan.namespace().unwrap_or_default());
    // Not a merge, which would keep fields of the former status.
    let op = if scan.status.is_some() { "replace" } else { "add" };
    let mut status = status.clone();
    status.conditions = scan.status.as_ref().map(|s| s.conditions.clone()).unwrap_or_default();
    status.set_condition(Timestamp::now());
    let patch = vec![
        // Another object of this name may have another image.
        json!({"op": "test", "path": "/metadata/uid", "value": scan.uid()}),
        json!({"op": op, "path": "/status", "value": status}),
    ];
    let written = patches::status(&api, &scan.name_any(), patch).await?;
    index::settled(&ctx.index.images, &written).await;
    Ok(())
}
