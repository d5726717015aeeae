//! Reconciles gated Pods: waits for the decision about their images, pins and releases them.

use super::record::WorkloadRecord;
use super::{allowlist, publish};
use crate::context::ServerContext;
use crate::decide::images;
use crate::decide::message::WorkloadNews;
use crate::decide::pod::{has_injected_images, is_gated, is_superseded, release_patch};
use crate::decide::pod_owner::PodOwner;
use crate::decide::record::{awaited, takes_over};
use crate::decide::workload_ref::WorkloadRef;
use crate::error::ReconcileError;
use crate::{index, patches};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::status::{RolloutProgress, derive};
use tidewaiter_crd::WorkloadKind;

/// Requeue of a Pod whose ReplicaSet or Job the watch has not delivered: it is milliseconds behind.
const OWNER_PAUSE: Duration = Duration::from_millis(200);

/// Requeue of a Pod while another one of its workload shows the workload's state.
const TAKE_OVER_PAUSE: Duration = Duration::from_secs(60);

/// Reconciles one gated Pod.
pub(super) async fn reconcile(pod: Arc<Pod>, ctx: Arc<ServerContext>) -> Result<Action, ReconcileError> {
    let namespace = pod.namespace().unwrap_or_default();
    let Some(spec) = pod.spec.as_ref().filter(|_| pod.metadata.deletion_timestamp.is_none() && is_gated(&pod)) else {
        return Ok(Action::await_change());
    };
    // Also out of scope: a namespace that was excluded since must not keep gated Pods.
    if !ctx.enforced(&namespace) {
        return release(&pod, &BTreeMap::new(), &ctx).await;
    }
    match ctx.index.allowed_pins(&pod, &namespace) {
        Some(pins) => release(&pod, &pins, &ctx).await,
        None => await_decision(&pod, spec, &namespace, &ctx).await,
    }
}

/// Brings about the decision that the Pod waits for.
async fn await_decision(
    pod: &Pod,
    spec: &PodSpec,
    namespace: &str,
    ctx: &ServerContext,
) -> Result<Action, ReconcileError> {
    let wanted = images::of(spec);
    match ctx.index.pod_owner(pod, namespace) {
        PodOwner::Unknown => Ok(Action::requeue(OWNER_PAUSE)),
        PodOwner::Template { workload, template } => {
            // The workload's controller decides about the template. What something injected into this Pod is decided here;
            // the workload's controller shows it.
            let known = ctx.index.record(&workload);
            let revision = known.as_ref().and_then(|w| w.status.as_ref()?.revisions.get(&template));
            if revision.is_none_or(|revision| has_injected_images(revision, &wanted)) {
                decide(workload, &wanted, spec, ctx).await?;
            }
            // The change of the record enqueues the Pod.
            Ok(Action::await_change())
        }
        PodOwner::Other(workload) if is_superseded_here(pod, &workload, ctx) => remove(pod, ctx).await,
        PodOwner::Other(workload) => decide(workload, &wanted, spec, ctx).await,
    }
}

fn is_superseded_here(pod: &Pod, workload: &WorkloadRef, ctx: &ServerContext) -> bool {
    let built_in = workload.kind == WorkloadKind::StatefulSet && workload.kind.is_built_in(&workload.api_version);
    let set = ctx.index.stateful_sets.get(&ObjectRef::new(&workload.name).within(&workload.namespace));
    let set = set.filter(|set| built_in && set.metadata.uid.as_ref() == Some(&workload.uid));
    set.is_some_and(|set| is_superseded(pod, &set))
}

/// Deletes a Pod that never ran, so that its StatefulSet puts the wanted revision in its place (ADR 0016).
async fn remove(pod: &Pod, ctx: &ServerContext) -> Result<Action, ReconcileError> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &pod.namespace().unwrap_or_default());
    // Not one that was released meanwhile.
    let preconditions = Preconditions { uid: pod.uid(), resource_version: pod.metadata.resource_version.clone() };
    let delete = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    api.delete(&pod.name_any(), &delete).await?;
    Ok(Action::await_change())
}

/// Decides about a Pod's images, which is the state of its workload, too, unless that is a Deployment or CronJob or another of
/// its Pods shows its state.
async fn decide(
    workload: WorkloadRef,
    wanted: &BTreeMap<String, String>,
    spec: &PodSpec,
    ctx: &ServerContext,
) -> Result<Action, ReconcileError> {
    let hash = images::images_hash(wanted);
    let mut record = WorkloadRecord::open(ctx, workload.clone()).await?;
    record.add_revision(&hash, wanted);
    let evaluated = record.re_evaluate(ctx, &hash, spec, true).await?;
    let awaited = awaited(&ctx.index.gated_pods_of(&workload));
    let is_state = !workload.is_shown_by_template() && takes_over(&record.draft, &hash, &awaited);
    if is_state {
        record.draft.current = Some(hash.clone());
        // Released is not started: the workload controller follows that.
        let status = derive(&evaluated.evaluation.facts, evaluated.approvals.state, RolloutProgress::Running);
        let evaluation = &evaluated.evaluation;
        let news = WorkloadNews::new(&workload, &hash, evaluation, status);
        publish::publish(ctx, &mut record, &news).await?;
    }
    // First: the list follows from the saved records.
    record.save(ctx).await?;
    if evaluated.changed {
        allowlist::update(ctx, &workload.namespace).await?;
    }
    // The change of the record enqueues the Pod; that the other one, whose state is shown, was deleted changes no record.
    Ok(if is_state { Action::await_change() } else { Action::requeue(TAKE_OVER_PAUSE) })
}

async fn release(pod: &Pod, pins: &BTreeMap<String, String>, ctx: &ServerContext) -> Result<Action, ReconcileError> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &pod.namespace().unwrap_or_default());
    let written = patches::object(&api, &pod.name_any(), release_patch(pod, pins)).await?;
    // Else a change of its workload's record meanwhile would release it once more.
    index::left(&ctx.index.gated, &written).await;
    Ok(Action::await_change())
}
