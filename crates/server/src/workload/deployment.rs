//! The Deployment controller: records, decides, pauses what came in unseen, releases what is approved.

use super::display::{self, Change};
use super::evaluate::{Evaluation, evaluate, request_scans};
use super::record::Record;
use super::{Error, Owner, approval};
use crate::admission::deployment::{annotation, paused};
use crate::admission::{add_metadata, images, metadata_path};
use crate::allowlist;
use crate::context::Context;
use crate::patches;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use kube::runtime::controller::Action;
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidewaiter_core::status::{Approval, DeploymentStatus, ImageStatus, Rollout, WorkloadStatus, derive};
use tidewaiter_crd::names::{HELD, USER_PAUSE};
use tidewaiter_crd::workload_scan::Decision;

/// Revisions of single Pods (with injected containers) that are kept.
const POD_REVISIONS: usize = 20;

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
    record.revision(&hash, &images::of(&pod_spec));
    record.draft.current = Some(hash.clone());
    if new {
        note_hold(deployment, &mut record);
        record.transition(WorkloadStatus { image: ImageStatus::NotScanned, deployment: DeploymentStatus::Created });
        record.save(ctx).await?;
    }
    let mut revision = record.draft.revisions.get(&hash).cloned().unwrap_or_default();
    request_scans(ctx, &owner.namespace, &mut revision, &pod_spec).await?;
    let seen = evaluate(ctx, &owner.namespace, &revision, &record.draft);
    let word = approval(ctx, &owner, &seen.pins);
    let enforced = ctx.enforced(&owner.namespace);
    let before = revision.decision;
    revision.decision = decide(before, &seen, word, enforced);
    if revision.decision != Decision::Held {
        for (name, container) in &mut revision.containers {
            container.pinned = seen.pins.get(name).cloned().or(container.pinned.take());
        }
    }
    let lost = before == Decision::Approved && revision.decision == Decision::Retained;
    let (decision, status) = (revision.decision, status(revision.decision, &seen, word, rollout(deployment)));
    record.draft.revisions.insert(hash.clone(), revision);
    prune(deployment, ctx, &mut record, &hash);
    if decision == Decision::Held {
        note_hold(deployment, &mut record);
    }
    let change = Change { owner: &owner, hash: &hash, seen: &seen, status, lost };
    display::apply(ctx, &mut record, &change).await?;
    record.save(ctx).await?;
    if decision != before {
        ctx.approvals.note(&owner.namespace);
        allowlist::update(ctx, &owner.namespace).await?;
    }
    match decision {
        Decision::Held if enforced && !is_owned(deployment) => pause(deployment, ctx, &hash).await,
        Decision::Held => Ok(()),
        Decision::Approved | Decision::Retained => release(deployment, ctx, &mut record).await,
    }
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

/// What the images of a revision may do from now on. Audit lets everything run that a user rolled out.
fn decide(before: Decision, seen: &Evaluation, word: Approval, enforced: bool) -> Decision {
    let judged = seen.facts.iter().all(|f| f.scan != ImageStatus::NotScanned);
    let approved = derive(&seen.facts, word, Rollout::Running).image == ImageStatus::Approved;
    match before {
        Decision::Held if approved => Decision::Approved,
        Decision::Held if !enforced => Decision::Retained,
        Decision::Retained if judged && approved => Decision::Approved,
        Decision::Approved if seen.facts.iter().any(|f| !f.allowed) => Decision::Retained,
        other => other,
    }
}

/// Both statuses, for display.
fn status(decision: Decision, seen: &Evaluation, word: Approval, rollout: Rollout) -> WorkloadStatus {
    let deployment = match rollout {
        Rollout::Running => DeploymentStatus::RollingOut,
        Rollout::Complete => DeploymentStatus::Deployed,
    };
    match decision {
        Decision::Held => derive(&seen.facts, word, rollout),
        Decision::Approved => WorkloadStatus { image: ImageStatus::Approved, deployment },
        // Nobody's approval: what the scans say, worst first.
        Decision::Retained => {
            WorkloadStatus { image: derive(&seen.facts, Approval::Awaited, rollout).image, deployment }
        }
    }
}

/// Whether `kubectl rollout status` would succeed.
fn rollout(deployment: &Deployment) -> Rollout {
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let Some(status) = &deployment.status else { return Rollout::Running };
    let observed = status.observed_generation >= deployment.metadata.generation;
    let updated = status.updated_replicas.unwrap_or_default();
    let total = status.replicas.unwrap_or_default();
    let available = status.available_replicas.unwrap_or_default();
    let complete = observed && updated >= wanted && total <= updated && available >= updated;
    if complete { Rollout::Complete } else { Rollout::Running }
}

/// Whose pause it is: once a user's own is noted, it stays theirs until the hold ends.
fn note_hold(deployment: &Deployment, record: &mut Record) {
    let own = annotation(deployment.meta(), USER_PAUSE)
        || paused(deployment) && !annotation(deployment.meta(), HELD) && !record.draft.paused_by_server;
    record.draft.paused_by_server = !own;
}

/// Keeps the revisions that a ReplicaSet still has, and the current one.
fn prune(deployment: &Deployment, ctx: &Context, record: &mut Record, current: &str) {
    let uid = deployment.uid();
    let of_this =
        |r: &k8s_openapi::api::apps::v1::ReplicaSet| r.owner_references().iter().any(|o| Some(&o.uid) == uid.as_ref());
    let sets = ctx.index.replica_sets.state_filter(of_this);
    let templates = sets.iter().filter_map(|r| r.spec.as_ref()?.template.as_ref());
    let mut kept: BTreeSet<String> = templates.map(images::template_hash).collect();
    kept.insert(current.to_owned());
    let pods = record.draft.revisions.keys().filter(|hash| hash.starts_with("pods-")).take(POD_REVISIONS);
    kept.extend(pods.cloned().collect::<Vec<_>>());
    record.draft.revisions.retain(|hash, _| kept.contains(hash));
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
