//! Reconciles the records of workloads without a Deployment: re-evaluates what runs when its scans or policies change, and
//! follows its start. What waits is the Pod controller's.
//!
//! Pods are not watched (a cluster has many, and only gated ones wait for the server): they are listed while a workload
//! starts, ever more rarely, and not any more once it has started.

use super::record::WorkloadRecord;
use super::{allowlist, concerns, is_excluded, publish, refused};
use crate::context::ServerContext;
use crate::decide::job::is_starting;
use crate::decide::message::WorkloadNews;
use crate::decide::prune::{self, is_crowded};
use crate::decide::refused as decide_refused;
use crate::decide::revision::workload_status;
use crate::decide::workload_ref::WorkloadRef;
use crate::decide::{record, rollout};
use crate::error::ReconcileError;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::api::ListParams;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::status::{DeploymentStatus, RolloutProgress};
use tidewaiter_crd::workload_scan::{Decision, Revision};
use tidewaiter_crd::{WorkloadKind, WorkloadScan};

/// From the admission of a Pod until the API server's cache shows it.
const ADMISSION_PAUSE: Duration = Duration::from_secs(1);

/// Reconciles one record.
pub(super) async fn reconcile(scan: Arc<WorkloadScan>, ctx: Arc<ServerContext>) -> Result<Action, ReconcileError> {
    let workload = WorkloadRef::recorded(&scan.namespace().unwrap_or_default(), &scan.spec);
    if is_followed_elsewhere(&workload, &ctx) {
        return Ok(Action::await_change());
    }
    if !concerns(&*scan, &ctx) {
        if is_excluded(&*scan, &ctx) {
            WorkloadRecord::forget_hold(&ctx, workload).await?;
        }
        return Ok(Action::await_change());
    }
    let requeue_after = update(workload, &ctx).await?;
    Ok(requeue_after.map_or_else(Action::await_change, Action::requeue))
}

/// Whether another controller has the record: that of Deployments, of CronJobs, of Jobs that wait.
fn is_followed_elsewhere(workload: &WorkloadRef, ctx: &ServerContext) -> bool {
    match workload.kind {
        WorkloadKind::Deployment => true,
        WorkloadKind::CronJob => workload.kind.is_built_in(&workload.api_version),
        _ => ctx.index.is_waiting_job(workload),
    }
}

/// Returns the pause until the requeue, while the workload has not started.
async fn update(workload: WorkloadRef, ctx: &ServerContext) -> Result<Option<Duration>, ReconcileError> {
    let mut record = WorkloadRecord::open(ctx, workload).await?;
    let had_lost = decide_refused::lost_meanwhile(&record.draft).is_some();
    record.re_evaluate_others(ctx, None, &PodSpec::default()).await?;
    refused::tell_lost(ctx, &mut record, !had_lost);
    let used = if is_crowded(&record.draft) { running(ctx, &record).await? } else { BTreeSet::new() };
    record.prune(ctx, &used);
    if let Some(followed) = refused::follow_refused(ctx, &mut record).await? {
        record.save(ctx).await?;
        if followed.changed {
            // Before the update is applied again.
            allowlist::update(ctx, &record.workload.namespace).await?;
        }
        return Ok(Some(followed.remaining));
    }
    go_back_to_what_runs(ctx, &mut record).await?;
    let current = record.draft.current.clone().unwrap_or_default();
    // What is held does not start: its Pods wait for the Pod controller.
    let revision = record.draft.revisions.get(&current).filter(|r| r.decision != Decision::Held).cloned();
    let requeue_after = match revision {
        Some(revision) => publish_running(ctx, &mut record, &current, &revision).await?,
        None => None,
    };
    // The list of the namespace follows the record by itself: nothing is released here.
    record.save(ctx).await?;
    Ok(requeue_after)
}

/// Makes the revision that runs the current one, where the current one is held and no Pod waits for it any more: a DaemonSet
/// or StatefulSet that went back to an approved image, whose Pods admission pins at once.
async fn go_back_to_what_runs(ctx: &ServerContext, record: &mut WorkloadRecord) -> Result<(), ReconcileError> {
    // An update that was refused, and is not wanted any more.
    let given_up =
        record.draft.refused.as_ref().is_some_and(|refused| decide_refused::is_over(refused, Timestamp::now()));
    let held = record.draft.current_revision().is_some_and(|revision| revision.decision == Decision::Held);
    if !(held || given_up) || !ctx.index.gated_pods_of(&record.workload).is_empty() {
        return Ok(());
    }
    let all = pods(ctx, &record.workload.namespace).await?;
    let own = all.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let own = own.filter(|pod| rollout::belongs_to(pod, &record.workload.uid));
    let by_pods = record::running_revision(&record.draft, own).map(str::to_owned);
    decide_refused::go_back(&mut record.draft, by_pods);
    Ok(())
}

/// Enqueues the workloads of Pods that started although their workload is held, until the process ends. Some time after the
/// Pods were admitted: until then none of them exists.
pub(super) async fn follow_returned(ctx: Arc<ServerContext>) {
    loop {
        ctx.queues.returned.some().await;
        tokio::time::sleep(ADMISSION_PAUSE).await;
        ctx.queues.returned.take_all().into_iter().for_each(|record| ctx.queues.workloads.add(record));
    }
}

/// The revisions that Pods of a workload run, asked for where not all revisions can remain.
async fn running(ctx: &ServerContext, record: &WorkloadRecord) -> Result<BTreeSet<String>, ReconcileError> {
    let mut pods = pods(ctx, &record.workload.namespace).await?;
    pods.retain(|pod| rollout::belongs_to(pod, &record.workload.uid));
    Ok(prune::running(&record.draft, &pods))
}

async fn publish_running(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    hash: &str,
    revision: &Revision,
) -> Result<Option<Duration>, ReconcileError> {
    let workload = record.workload.clone();
    let (evaluation, approvals) = record.evaluate(ctx, revision);
    let progress = progress(ctx, record, revision.decision).await?;
    let requeue_after =
        (progress == RolloutProgress::Running).then(|| rollout::requeue_after(&record.draft, Timestamp::now()));
    let status = workload_status(revision.decision, &evaluation, approvals.state, progress);
    let news = WorkloadNews { lost: revision.lost, ..WorkloadNews::new(&workload, hash, &evaluation, status) };
    publish::publish(ctx, record, &news).await?;
    Ok(requeue_after)
}

/// Whether a released workload has started. What is retained ran before, and what has started once needs no list.
async fn progress(
    ctx: &ServerContext,
    record: &WorkloadRecord,
    decision: Decision,
) -> Result<RolloutProgress, ReconcileError> {
    if decision != Decision::Approved || record.draft.deployment_status == DeploymentStatus::Deployed {
        return Ok(RolloutProgress::Complete);
    }
    if ctx.index.job_of_workload(&record.workload).is_some_and(|job| is_starting(&job)) {
        return Ok(RolloutProgress::Running);
    }
    Ok(rollout::of_pods(&pods(ctx, &record.workload.namespace).await?, &record.workload.uid))
}

/// The Pods of a namespace, from the API server's cache, which costs etcd nothing: a look that comes too early is repeated.
async fn pods(ctx: &ServerContext, namespace: &str) -> Result<Vec<Pod>, ReconcileError> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace);
    Ok(api.list(&ListParams::default().match_any()).await?.items)
}
