//! Reconciles Deployments: records, decides, pauses those that the webhook did not see, releases the approved ones.

use super::record::WorkloadRecord;
use super::{allowlist, concerns, is_excluded, publish};
use crate::context::ServerContext;
use crate::decide::marks::annotation;
use crate::decide::message::WorkloadNews;
use crate::decide::pause::{LatePause, is_paused_by_server, is_paused_by_user};
use crate::decide::revision::workload_status;
use crate::decide::workload_ref::WorkloadRef;
use crate::decide::{images, record, rollout};
use crate::error::ReconcileError;
use crate::{index, patches};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::PodSpec;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, RolloutProgress, WorkloadStatus};
use tidewaiter_crd::names::HELD;
use tidewaiter_crd::workload_scan::{Decision, Revision};

/// Reconciles one Deployment.
pub(super) async fn reconcile(deployment: Arc<Deployment>, ctx: Arc<ServerContext>) -> Result<Action, ReconcileError> {
    if let Some(spec) = deployment.spec.as_ref().filter(|_| concerns(&*deployment, &ctx)) {
        update(&deployment, spec, &ctx).await?;
    } else if is_excluded(&*deployment, &ctx) {
        patch(&deployment, &ctx, rollout::release_marked_patch(&*deployment)).await?;
        WorkloadRecord::forget_hold(&ctx, WorkloadRef::deployment(&deployment)).await?;
    }
    Ok(Action::await_change())
}

async fn update(deployment: &Deployment, spec: &DeploymentSpec, ctx: &ServerContext) -> Result<(), ReconcileError> {
    let hash = images::template_hash(&spec.template);
    let pod_spec = spec.template.spec.clone().unwrap_or_default();
    let mut record = WorkloadRecord::open(ctx, WorkloadRef::deployment(deployment)).await?;
    let new = !record.draft.revisions.contains_key(&hash);
    let progress = progress(deployment, &record, &hash);
    let runs = ctx.index.replica_sets_of(deployment).iter().any(|set| rollout::runs(set, &hash));
    let namespace = record.workload.namespace.clone();
    // Audit scans what each rollout names: nothing needs to be let through there.
    let restarts = ctx.enforced(&namespace) && !ctx.index.tags_moved(&namespace, &record.draft);
    record::roll_out(&mut record.draft, &hash, &images::of(&pod_spec), runs, restarts, Timestamp::now());
    if new || annotation(&deployment.metadata, HELD) {
        // Whether it is paused late is known once it is decided about.
        note_pause(deployment, &mut record, LatePause::Never);
    }
    if new {
        let created = WorkloadStatus { image: ImageStatus::NotScanned, deployment: DeploymentStatus::Created };
        record::transition(&mut record.draft, created, Timestamp::now());
    }
    let changed = evaluate(deployment, &pod_spec, ctx, &mut record, (&hash, progress)).await?;
    let decision = record.draft.revisions.get(&hash).map(|r| r.decision).unwrap_or_default();
    let release = match decision {
        Decision::Held => Vec::new(),
        Decision::Approved | Decision::Retained => rollout::release_patch(deployment, &record.draft),
    };
    // Until the release, the mark of the hold says whose pause it is.
    if decision != Decision::Held && annotation(&deployment.metadata, HELD) {
        record.draft.paused_by_server = false;
    }
    // Before any patch: whose pause it is can be read from the Deployment only now.
    record.save(ctx).await?;
    if changed && !release.is_empty() {
        // Before the release: the Pods that it makes are checked against the list, which else follows the record by itself.
        allowlist::update(ctx, &namespace).await?;
    }
    match decision {
        Decision::Held if late_pause(deployment, ctx) == LatePause::Due => {
            patch(deployment, ctx, rollout::pause_patch(deployment, &hash)).await
        }
        Decision::Held => patch(deployment, ctx, rollout::unmark_patch(deployment)).await,
        Decision::Approved | Decision::Retained => {
            patch(deployment, ctx, release).await?;
            record.draft.paused_by_server = false;
            record.save(ctx).await
        }
    }
}

/// How far the rollout of a template is. What was deployed once stays so: Pods come and go, and none of that is a rollout.
fn progress(deployment: &Deployment, record: &WorkloadRecord, hash: &str) -> RolloutProgress {
    let draft = &record.draft;
    if draft.deployment_status == DeploymentStatus::Deployed && draft.current.as_deref() == Some(hash) {
        return RolloutProgress::Complete;
    }
    rollout::of_deployment(deployment)
}

/// Re-evaluates all revisions and publishes the current one; true when a decision changed.
async fn evaluate(
    deployment: &Deployment,
    pod_spec: &PodSpec,
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    (hash, progress): (&str, RolloutProgress),
) -> Result<bool, ReconcileError> {
    let workload = record.workload.clone();
    let current = record.re_evaluate(ctx, hash, pod_spec, ctx.enforced(&workload.namespace)).await?;
    let others_changed = record.re_evaluate_others(ctx, Some(hash), pod_spec).await?;
    let sets = ctx.index.replica_sets_of(deployment);
    let templates: BTreeSet<String> = sets.iter().filter_map(|set| rollout::template_of(set)).collect();
    record.prune(ctx, &templates);
    let (decision, lost) = record.draft.revisions.get(hash).map(|r| (r.decision, r.lost)).unwrap_or_default();
    if decision == Decision::Held {
        note_pause(deployment, record, late_pause(deployment, ctx));
    }
    if decision != Decision::Held
        && let Some((hash, revision)) = injected(ctx, record)
    {
        publish_injected(ctx, record, &hash, &revision, progress).await?;
    } else {
        let status = workload_status(decision, &current.evaluation, current.approvals.state, progress);
        let evaluation = &current.evaluation;
        let mut news = WorkloadNews { lost, ..WorkloadNews::new(&workload, hash, evaluation, status) };
        news.has_earlier = record::has_earlier(&record.draft, hash);
        news.paused_by_user = decision != Decision::Held && is_paused_by_user(deployment, &record.draft);
        publish::publish(ctx, record, &news).await?;
    }
    Ok(current.changed || others_changed)
}

/// The held revision, with its hash, of gated Pods that something injected other images into.
pub(super) fn injected(ctx: &ServerContext, record: &WorkloadRecord) -> Option<(String, Revision)> {
    let awaited = record::awaited(&ctx.index.gated_pods_of_templates(&record.workload));
    let mut known = awaited.into_iter().filter_map(|hash| Some((record.draft.revisions.get(&hash)?.clone(), hash)));
    known.find(|(revision, _)| revision.decision == Decision::Held).map(|(revision, hash)| (hash, revision))
}

/// Publishes why Pods with injected images wait: that is the state of the workload then, whatever was decided about its
/// template.
pub(super) async fn publish_injected(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    hash: &str,
    revision: &Revision,
    progress: RolloutProgress,
) -> Result<(), ReconcileError> {
    let workload = record.workload.clone();
    let (evaluation, approvals) = record.evaluate(ctx, revision);
    let status = workload_status(Decision::Held, &evaluation, approvals.state, progress);
    let news = WorkloadNews { injected: true, ..WorkloadNews::new(&workload, hash, &evaluation, status) };
    publish::publish(ctx, record, &news).await
}

fn late_pause(deployment: &Deployment, ctx: &ServerContext) -> LatePause {
    LatePause::of(deployment, true, ctx.enforced(&deployment.namespace().unwrap_or_default()))
}

fn note_pause(deployment: &Deployment, record: &mut WorkloadRecord, late: LatePause) {
    record.draft.paused_by_server = is_paused_by_server(deployment, &record.draft, late);
}

/// Applies a patch, unless it is empty.
async fn patch(deployment: &Deployment, ctx: &ServerContext, patch: Vec<Value>) -> Result<(), ReconcileError> {
    if patch.is_empty() {
        return Ok(());
    }
    let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &deployment.namespace().unwrap_or_default());
    let written = patches::object(&api, &deployment.name_any(), patch).await?;
    index::settled(&ctx.index.deployments, &written).await;
    Ok(())
}
