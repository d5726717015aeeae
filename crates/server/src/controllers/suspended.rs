//! Reconciles Jobs that wait, and CronJobs: records, decides, suspends CronJobs that the webhook did not see, releases the
//! approved ones. A Job that is a run of a CronJob has that one's decision.

use super::deployment::{injected, publish_injected};
use super::disown::disown;
use super::record::WorkloadRecord;
use super::{allowlist, concerns, is_excluded, publish};
use crate::context::ServerContext;
use crate::decide::holdable::Holdable;
use crate::decide::job::{JobOwner, awaited_by_runs, awaits_decision, is_active, is_finished, is_waiting, pins_of_run};
use crate::decide::marks::annotation;
use crate::decide::message::WorkloadNews;
use crate::decide::pause::{LatePause, is_paused_by_server, is_paused_by_user};
use crate::decide::revision::workload_status;
use crate::decide::rollout::is_marked;
use crate::decide::workload_ref::WorkloadRef;
use crate::decide::{record, rollout};
use crate::error::ReconcileError;
use crate::index::{self, Index};
use crate::patches;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::PodSpec;
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, RolloutProgress, WorkloadStatus};
use tidewaiter_crd::names::HELD;
use tidewaiter_crd::workload_scan::{Decision, WorkloadScanStatus};

/// Requeue of a Job whose CronJob the watch has not delivered: it is milliseconds behind.
const OWNER_PAUSE: Duration = Duration::from_millis(200);

/// A revision that Jobs are of.
struct UsedRevision {
    hash: String,
    /// Whether one of them has Pods.
    runs: bool,
    /// The spec of their Pods.
    spec: PodSpec,
}

impl UsedRevision {
    fn of(job: &Job, hash: String) -> Self {
        UsedRevision { hash, runs: is_active(job), spec: job.pod_spec().cloned().unwrap_or_default() }
    }
}

/// What differs between both kinds.
trait SuspendedKind:
    Holdable
    + Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + Debug
    + Send
    + Sync
    + 'static
{
    /// Whether one that exists is suspended. A Job that runs would lose its Pods.
    const IS_SUSPENDED_LATE: bool;

    /// Where the index has the objects.
    fn store(index: &Index) -> &Store<Self>;

    /// The revisions of which it has Jobs.
    fn used(&self, index: &Index) -> Vec<UsedRevision>;

    /// How far it is once it may run.
    fn progress(&self) -> RolloutProgress;
}

impl SuspendedKind for Job {
    const IS_SUSPENDED_LATE: bool = false;

    fn store(index: &Index) -> &Store<Self> {
        &index.jobs
    }

    fn used(&self, _: &Index) -> Vec<UsedRevision> {
        vec![UsedRevision::of(self, self.revision())]
    }

    fn progress(&self) -> RolloutProgress {
        RolloutProgress::Running
    }
}

impl SuspendedKind for CronJob {
    const IS_SUSPENDED_LATE: bool = true;

    fn store(index: &Index) -> &Store<Self> {
        &index.cron_jobs
    }

    fn used(&self, index: &Index) -> Vec<UsedRevision> {
        let namespace = self.namespace().unwrap_or_default();
        let jobs = index.jobs_of(self).into_iter().filter(|job| !is_finished(job));
        let of = |job: Arc<Job>| match index.job_owner(&job, &namespace) {
            JobOwner::CronJob(_, revision) => Some(UsedRevision::of(&job, revision)),
            JobOwner::Itself(..) | JobOwner::Unknown => None,
        };
        jobs.filter_map(of).collect()
    }

    /// It starts its runs when they are due.
    fn progress(&self) -> RolloutProgress {
        if is_marked(self) { RolloutProgress::Running } else { RolloutProgress::Complete }
    }
}

/// Reconciles one CronJob.
pub(super) async fn reconcile_cron_job(
    cron_job: Arc<CronJob>,
    ctx: Arc<ServerContext>,
) -> Result<Action, ReconcileError> {
    if concerns(&*cron_job, &ctx) {
        update(&*cron_job, &ctx).await?;
    } else if is_excluded(&*cron_job, &ctx) {
        end_hold(&*cron_job, &ctx).await?;
    }
    Ok(Action::await_change())
}

/// Reconciles one Job. One that runs has Pods, which are decided about; a finished one needs nothing.
pub(super) async fn reconcile_job(job: Arc<Job>, ctx: Arc<ServerContext>) -> Result<Action, ReconcileError> {
    let namespace = job.namespace().unwrap_or_default();
    if job.metadata.deletion_timestamp.is_some() || is_finished(&job) {
        return Ok(Action::await_change());
    }
    // Also out of scope: a namespace that was excluded since must not keep suspended Jobs.
    if !ctx.enforced(&namespace) {
        end_hold(&*job, &ctx).await?;
        return Ok(Action::await_change());
    }
    match ctx.index.job_owner(&job, &namespace) {
        JobOwner::Unknown if is_waiting(&job) => Ok(Action::requeue(OWNER_PAUSE)),
        JobOwner::CronJob(cron_job, revision) if is_waiting(&job) => {
            let known = ctx.index.record(&cron_job);
            let status = known.as_ref().and_then(|known| known.status.as_ref());
            if status.is_some_and(|status| pins_of_run(status, &revision, &job).is_some()) {
                patch(&*job, &ctx, rollout::release_marked_patch(&*job)).await?;
            }
            // The change of the record enqueues the Job.
            Ok(Action::await_change())
        }
        JobOwner::Itself(workload, _) => {
            let known = ctx.index.record(&workload);
            if awaits_decision(&job, known.as_ref().and_then(|known| known.status.as_ref())) {
                update(&*job, &ctx).await?;
            }
            Ok(Action::await_change())
        }
        JobOwner::CronJob(..) | JobOwner::Unknown => Ok(Action::await_change()),
    }
}

/// Ends a hold in a namespace that is not enforced any more.
async fn end_hold<K: SuspendedKind>(object: &K, ctx: &ServerContext) -> Result<(), ReconcileError> {
    patch(object, ctx, rollout::release_marked_patch(object)).await?;
    WorkloadRecord::forget_hold(ctx, WorkloadRef::held(object, &object.namespace().unwrap_or_default())).await
}

async fn update<K: SuspendedKind>(object: &K, ctx: &ServerContext) -> Result<(), ReconcileError> {
    let namespace = object.namespace().unwrap_or_default();
    let hash = object.revision();
    let mut record = WorkloadRecord::open(ctx, WorkloadRef::held(object, &namespace)).await?;
    let new = !record.draft.revisions.contains_key(&hash);
    let used = object.used(&ctx.index);
    // An old run that is still active does not make its template the present one.
    let runs = record.draft.current.is_none() && used.iter().any(|used| used.runs && used.hash == hash);
    // Audit scans what each change names: nothing needs to be let through there.
    let restarts = ctx.enforced(&namespace) && !ctx.index.tags_moved(&namespace, &record.draft);
    record::roll_out(&mut record.draft, &hash, &object.images(), runs, restarts, Timestamp::now());
    if new || annotation(object.metadata(), HELD) {
        // Whether it is paused late is known once it is decided about.
        note_pause(object, &mut record.draft, LatePause::Never);
    }
    if new {
        let created = WorkloadStatus { image: ImageStatus::NotScanned, deployment: DeploymentStatus::Created };
        record::transition(&mut record.draft, created, Timestamp::now());
        // Saved before anything is scanned: whose pause it is can be read from the object only now.
        record.save(ctx).await?;
    }
    let waited_changed = re_evaluate_waited(ctx, &mut record, &hash, &used).await?;
    let changed = evaluate(object, ctx, &mut record, &hash).await? || waited_changed;
    record.prune(ctx, &used.into_iter().map(|used| used.hash).collect::<BTreeSet<_>>());
    record.save(ctx).await?;
    if changed {
        // Before the release: the Pods that it makes are checked against the list.
        allowlist::update(ctx, &namespace).await?;
    }
    follow_decision(object, ctx, &mut record, &hash).await
}

/// Re-evaluates the revisions that are not current any more and that runs wait for; true when a decision changed.
async fn re_evaluate_waited(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    current: &str,
    used: &[UsedRevision],
) -> Result<bool, ReconcileError> {
    let enforced = ctx.enforced(&record.workload.namespace);
    let waited = awaited_by_runs(&record.draft, current, used.iter().map(|used| used.hash.as_str()));
    let mut changed = false;
    for hash in waited {
        // Its own pull secrets, which the current template may not name.
        let spec = used.iter().find(|used| used.hash == hash).map(|used| used.spec.clone()).unwrap_or_default();
        changed |= record.re_evaluate(ctx, &hash, &spec, enforced).await?.changed;
    }
    Ok(changed)
}

/// Suspends or releases the object, as was decided.
async fn follow_decision<K: SuspendedKind>(
    object: &K,
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    hash: &str,
) -> Result<(), ReconcileError> {
    let decision = record.draft.revisions.get(hash).map(|r| r.decision).unwrap_or_default();
    match decision {
        Decision::Held if late_pause(object, ctx) == LatePause::Due => {
            patch(object, ctx, rollout::pause_patch(object, hash)).await
        }
        Decision::Held => patch(object, ctx, rollout::unmark_patch(object)).await,
        Decision::Approved | Decision::Retained => {
            patch(object, ctx, rollout::release_patch(object, &record.draft)).await?;
            record.draft.paused_by_server = false;
            record.save(ctx).await
        }
    }
}

/// Re-evaluates all revisions and publishes the current one; true when a decision changed.
async fn evaluate<K: SuspendedKind>(
    object: &K,
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    hash: &str,
) -> Result<bool, ReconcileError> {
    let workload = record.workload.clone();
    let spec = object.pod_spec().cloned().unwrap_or_default();
    let current = record.re_evaluate(ctx, hash, &spec, ctx.enforced(&workload.namespace)).await?;
    let others_changed = record.re_evaluate_others(ctx, Some(hash), &spec).await?;
    let (decision, lost) = record.draft.revisions.get(hash).map(|r| (r.decision, r.lost)).unwrap_or_default();
    if decision == Decision::Held {
        note_pause(object, &mut record.draft, late_pause(object, ctx));
    }
    let progress = object.progress();
    if decision != Decision::Held
        && let Some((hash, revision)) = injected(ctx, record)
    {
        publish_injected(ctx, record, &hash, &revision, progress).await?;
    } else {
        let status = workload_status(decision, &current.evaluation, current.approvals.state, progress);
        let mut news = WorkloadNews { lost, ..WorkloadNews::new(&workload, hash, &current.evaluation, status) };
        news.paused_by_user = decision != Decision::Held && is_paused_by_user(object, &record.draft);
        publish::publish(ctx, record, &news).await?;
    }
    Ok(current.changed || others_changed)
}

fn late_pause<K: SuspendedKind>(object: &K, ctx: &ServerContext) -> LatePause {
    LatePause::of(object, K::IS_SUSPENDED_LATE, ctx.enforced(&object.namespace().unwrap_or_default()))
}

fn note_pause<K: Holdable>(object: &K, draft: &mut WorkloadScanStatus, late: LatePause) {
    draft.paused_by_server = is_paused_by_server(object, draft, late);
}

/// Applies a patch, unless it is empty.
async fn patch<K: SuspendedKind>(object: &K, ctx: &ServerContext, patch: Vec<Value>) -> Result<(), ReconcileError> {
    if patch.is_empty() {
        return Ok(());
    }
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    let written = patches::object(&api, &object.name_any(), patch).await?;
    let written = disown(&api, written).await?;
    index::settled(K::store(&ctx.index), &written).await;
    Ok(())
}
