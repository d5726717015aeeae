//! The Deployment controller: records, decides, pauses what came in unseen, releases what is approved.

use super::decide::{rejudge, revise, status};
use super::display::{self, Change};
use super::evaluate::{evaluate, request_scans};
use super::record::Record;
use super::{Error, Owner, approval};
use crate::admission::deployment::{annotation, paused};
use crate::admission::{add_metadata, images, metadata_path};
use crate::allowlist;
use crate::context::Context;
use crate::patches;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};
use k8s_openapi::api::core::v1::PodSpec;
use kube::runtime::controller::Action;
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, RolloutProgress, WorkloadStatus};
use tidewaiter_crd::names::{HELD, USER_PAUSE};
use tidewaiter_crd::workload_scan::Decision;

/// Brings one Deployment up to date.
pub(crate) async fn reconcile(deployment: Arc<Deployment>, ctx: Arc<Context>) -> Result<Action, Error> {
    let namespace = deployment.namespace().unwrap_or_default();
    let Some(spec) = deployment.spec.as_ref().filter(|_| deployment.meta().deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    if !ctx.in_scope(&namespace) {
        return Ok(Action::await_change());
    }
    match update(&deployment, spec, &ctx).await {
        Err(error) if error.is_gone() => Ok(Action::await_change()),
        other => other.map(|()| Action::await_change()),
    }
}

async fn update(deployment: &Deployment, spec: &DeploymentSpec, ctx: &Context) -> Result<(), Error> {
    let owner = owner(deployment);
    let hash = images::template_hash(&spec.template);
    let pod_spec = spec.template.spec.clone().unwrap_or_default();
    let mut record = Record::open(ctx, &owner).await?;
    let new = !record.draft.revisions.contains_key(&hash);
    let returned = record.draft.current.as_ref() != Some(&hash) && !runs(deployment, ctx, &hash);
    let revision = record.revision(&hash, &images::of(&pod_spec));
    if returned && revision.decision == Decision::Retained {
        // It ran once; to roll it out again is a new rollout.
        revision.decision = Decision::Held;
        revision.containers.values_mut().for_each(|container| container.scan = None);
    }
    record.draft.current = Some(hash.clone());
    if new || annotation(deployment.meta(), HELD) {
        note_hold(deployment, &mut record);
    }
    if new {
        record.transition(WorkloadStatus { image: ImageStatus::NotScanned, deployment: DeploymentStatus::Created });
        record.save(ctx).await?;
    }
    let changed = judge(deployment, &pod_spec, ctx, &mut record, &hash).await?;
    record.save(ctx).await?;
    if changed {
        ctx.approvals.note(&owner.namespace);
        allowlist::update(ctx, &owner.namespace).await?;
    }
    let decision = record.draft.revisions.get(&hash).map(|r| r.decision).unwrap_or_default();
    match decision {
        Decision::Held if ctx.enforced(&owner.namespace) && !is_owned(deployment) => {
            pause(deployment, ctx, &hash).await
        }
        Decision::Held => Ok(()),
        Decision::Approved | Decision::Retained => release(deployment, ctx, &mut record).await,
    }
}

/// Judges all revisions and shows the current one; true when a decision changed.
async fn judge(
    deployment: &Deployment,
    pod_spec: &PodSpec,
    ctx: &Context,
    record: &mut Record,
    hash: &str,
) -> Result<bool, Error> {
    let owner = owner(deployment);
    let mut revision = record.draft.revisions.get(hash).cloned().unwrap_or_default();
    request_scans(ctx, &owner.namespace, &mut revision, pod_spec).await?;
    let seen = evaluate(ctx, &owner.namespace, &revision, &record.draft);
    let word = approval(ctx, &owner, &seen.pins);
    let mut changed = revise(&mut revision, &seen, word, ctx.enforced(&owner.namespace));
    let (decision, lost) = (revision.decision, revision.lost);
    let status = status(decision, &seen, word, rollout(deployment));
    record.draft.revisions.insert(hash.to_owned(), revision);
    changed |= rejudge(ctx, &owner, record, Some(hash), pod_spec).await?;
    record.prune(ctx, &owner.namespace, &templates(deployment, ctx));
    if decision == Decision::Held {
        note_hold(deployment, record);
    }
    display::apply(ctx, record, &Change { owner: &owner, hash, seen: &seen, status, lost }).await?;
    Ok(changed)
}

pub(super) fn owner(deployment: &Deployment) -> Owner {
    Owner {
        namespace: deployment.namespace().unwrap_or_default(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: deployment.name_any(),
        uid: deployment.uid().unwrap_or_default(),
    }
}

fn is_owned(deployment: &Deployment) -> bool {
    deployment.owner_references().iter().any(|o| o.controller == Some(true))
}

/// Whether `kubectl rollout status` would succeed.
fn rollout(deployment: &Deployment) -> RolloutProgress {
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let Some(status) = &deployment.status else { return RolloutProgress::Running };
    let observed = status.observed_generation >= deployment.metadata.generation;
    let updated = status.updated_replicas.unwrap_or_default();
    let total = status.replicas.unwrap_or_default();
    let available = status.available_replicas.unwrap_or_default();
    let complete = observed && updated >= wanted && total <= updated && available >= updated;
    if complete { RolloutProgress::Complete } else { RolloutProgress::Running }
}

/// Whose pause it is: once a user's own is noted, it stays theirs until the hold ends.
fn note_hold(deployment: &Deployment, record: &mut Record) {
    let own = annotation(deployment.meta(), USER_PAUSE)
        || paused(deployment) && !annotation(deployment.meta(), HELD) && !record.draft.paused_by_server;
    record.draft.paused_by_server = !own;
}

/// The ReplicaSets of a Deployment.
fn replica_sets(deployment: &Deployment, ctx: &Context) -> Vec<Arc<ReplicaSet>> {
    let uid = deployment.uid();
    ctx.index.replica_sets.state_filter(|r| r.owner_references().iter().any(|o| Some(&o.uid) == uid.as_ref()))
}

fn template_of(set: &ReplicaSet) -> Option<String> {
    Some(images::template_hash(set.spec.as_ref()?.template.as_ref()?))
}

/// Hashes of the templates that a ReplicaSet still has.
fn templates(deployment: &Deployment, ctx: &Context) -> BTreeSet<String> {
    replica_sets(deployment, ctx).iter().filter_map(|set| template_of(set)).collect()
}

/// Whether Pods of a template are there.
fn runs(deployment: &Deployment, ctx: &Context, hash: &str) -> bool {
    let has_pods = |set: &ReplicaSet| set.status.as_ref().is_some_and(|s| s.replicas > 0);
    replica_sets(deployment, ctx).iter().any(|set| has_pods(set) && template_of(set).as_deref() == Some(hash))
}

/// Pauses what came in while the webhook was away.
async fn pause(deployment: &Deployment, ctx: &Context, hash: &str) -> Result<(), Error> {
    if paused(deployment) {
        return Ok(());
    }
    let mut patch = vec![test_version(deployment)];
    patch.extend(add_metadata("annotations", deployment.meta().annotations.is_some(), &[(HELD, hash)]));
    patch.push(json!({"op": "add", "path": "/spec/paused", "value": true}));
    apply(deployment, ctx, patch).await
}

/// Ends a hold: our pause goes, a user's own stays.
async fn release(deployment: &Deployment, ctx: &Context, record: &mut Record) -> Result<(), Error> {
    let mut patch = Vec::new();
    if paused(deployment) && record.draft.paused_by_server {
        patch.push(json!({"op": "remove", "path": "/spec/paused"}));
    }
    for key in [HELD, USER_PAUSE] {
        if annotation(deployment.meta(), key) {
            patch.push(json!({"op": "remove", "path": metadata_path("annotations", key)}));
        }
    }
    if !patch.is_empty() {
        patch.insert(0, test_version(deployment));
        apply(deployment, ctx, patch).await?;
    }
    record.draft.paused_by_server = false;
    record.save(ctx).await
}

/// The generation rises with every change of the spec, and with nothing else: our own conditions do not disturb.
fn test_version(deployment: &Deployment) -> Value {
    json!({"op": "test", "path": "/metadata/generation", "value": deployment.metadata.generation})
}

async fn apply(deployment: &Deployment, ctx: &Context, patch: Vec<Value>) -> Result<(), Error> {
    let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &deployment.namespace().unwrap_or_default());
    let written = patches::object(&api, &deployment.name_any(), patch).await?;
    crate::index::settled(&ctx.index.deployments, &written).await;
    Ok(())
}
