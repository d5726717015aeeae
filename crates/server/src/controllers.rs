//! The controllers: each takes keys from its queue and reconciles the object that the index shows.
//!
//! ```text
//! image_scan   ImageScan     scans, re-matches, re-evaluates, deletes
//! deployment   Deployment    records and decides; pauses and releases
//! suspended    Job, CronJob  records and decides; suspends and releases
//! pod          gated Pod     records and decides what no Deployment owns; pins and releases
//! workload     WorkloadScan  re-evaluates what no Deployment owns; follows its start
//! allowlist    Namespace     writes the ImageAllowlist
//! database     the file      re-matches after a replacement
//! policy_reports             writes what other tools show, where that is wanted
//! ```
//!
//! Decisions are in `decide`; here is what they need to be read, and what follows from them to be written. Every controller
//! is `reconcile(object, context)`; they share [`error_policy`], because API servers fail alike for all of them.

pub(crate) mod allowlist;
mod approvals;
mod audit;
pub(crate) mod database;
mod deployment;
pub(crate) mod disown;
mod exceptions;
pub(crate) mod garbage_collection;
mod image_scan;
pub(crate) mod listed;
mod pod;
pub(crate) mod policy_reports;
mod publish;
pub(crate) mod record;
mod refused;
mod requests;
mod suspended;
mod workload;

use crate::context::ServerContext;
use crate::error::ReconcileError;
use crate::queues::Queue;
use futures::stream::{self, StreamExt as _};
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Requeue after a conflict: the watch delivers the other write within milliseconds.
const AFTER_CONFLICT: Duration = Duration::from_millis(50);
/// Requeue after any other error: the API server is asked again soon, and not hammered while it is down.
const AFTER_ERROR: Duration = Duration::from_secs(2);
/// Requeue after a mistake of a user's: it stays until they change the object, and must cost next to nothing until then.
const AFTER_MISTAKE: Duration = Duration::from_secs(300);
/// Objects of one kind that are reconciled concurrently: more only wait for the API server's own limits.
const CONCURRENCY: u16 = 16;
/// ImageScans are reconciled without bound: most reconciliations only compare, and scans are bounded by their slots, where an
/// urgent one overtakes others that wait.
const UNBOUNDED: u16 = 0;

/// Starts all controllers; they end when what is returned is dropped.
#[must_use]
pub(crate) fn start(ctx: &Arc<ServerContext>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let all = &mut tasks;
    let (index, queues) = (&ctx.index, &ctx.queues);
    run(all, ctx, &index.deployments, &queues.deployments, CONCURRENCY, |d, c| Box::pin(deployment::reconcile(d, c)));
    run(all, ctx, &index.jobs, &queues.jobs, CONCURRENCY, |j, c| Box::pin(suspended::reconcile_job(j, c)));
    run(all, ctx, &index.cron_jobs, &queues.cron_jobs, CONCURRENCY, |j, c| {
        Box::pin(suspended::reconcile_cron_job(j, c))
    });
    run(all, ctx, &index.workloads, &queues.workloads, CONCURRENCY, |w, c| Box::pin(workload::reconcile(w, c)));
    run(all, ctx, &index.gated, &queues.pods, CONCURRENCY, |p, c| Box::pin(pod::reconcile(p, c)));
    run(all, ctx, &index.namespaces, &queues.namespaces, CONCURRENCY, |n, c| Box::pin(allowlist::reconcile(n, c)));
    run(all, ctx, &index.images, &queues.images, UNBOUNDED, |i, c| Box::pin(image_scan::reconcile(i, c)));
    ctx.alerts.start(&mut tasks);
    tasks.spawn(requests::follow_unheld(Arc::clone(ctx)));
    tasks.spawn(workload::follow_returned(Arc::clone(ctx)));
    tasks.spawn(refused::follow_updates(Arc::clone(ctx)));
    tasks.spawn(approvals::follow_ends(Arc::clone(ctx)));
    tasks.spawn(database::follow(Arc::clone(ctx)));
    tasks.spawn(policy_reports::follow(Arc::clone(ctx)));
    tasks
}

fn run<K, F>(
    tasks: &mut JoinSet<()>,
    ctx: &Arc<ServerContext>,
    store: &Store<K>,
    queue: &Queue<ObjectRef<K>>,
    concurrency: u16,
    reconcile: fn(Arc<K>, Arc<ServerContext>) -> F,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash,
    F: Future<Output = Result<Action, ReconcileError>> + Unpin + Send + 'static,
{
    let keys = stream::unfold(queue.clone(), |queue| async move { Some((queue.next().await?, queue)) });
    let keys = Box::pin(keys.map(Ok::<_, Infallible>));
    let config = Config::default().concurrency(concurrency);
    let work = applier(reconcile, error_policy, Arc::clone(ctx), store.clone(), keys, config);
    tasks.spawn(async move {
        let mut work = Box::pin(work);
        while work.next().await.is_some() {}
        tracing::error!("the controller of {} ended", K::kind(&()));
    });
}

/// What happens after an error. An object that is being deleted needs nothing: the watch says when it is gone.
fn error_policy<K: Resource<DynamicType = ()>>(
    object: Arc<K>,
    error: &ReconcileError,
    _: Arc<ServerContext>,
) -> Action {
    if error.is_gone() {
        return Action::await_change();
    }
    if error.is_conflict() {
        return Action::requeue(AFTER_CONFLICT);
    }
    let namespace = object.namespace().unwrap_or_default();
    tracing::warn!("{} {namespace}/{}: {error}", K::kind(&()), object.name_any());
    Action::requeue(if matches!(error, ReconcileError::RecordTaken(_)) { AFTER_MISTAKE } else { AFTER_ERROR })
}

/// Whether an object is to be reconciled: in a namespace in scope, and not being deleted.
fn concerns<K: Resource>(object: &K, ctx: &ServerContext) -> bool {
    object.meta().deletion_timestamp.is_none() && ctx.in_scope(&object.namespace().unwrap_or_default())
}

/// Whether an object is in a namespace out of scope, and not being deleted: one that was excluded since must not keep what is
/// held.
fn is_excluded<K: Resource>(object: &K, ctx: &ServerContext) -> bool {
    object.meta().deletion_timestamp.is_none() && !ctx.in_scope(&object.namespace().unwrap_or_default())
}
