//! The hold: a Deployment is paused until every image of its template is approved.

use super::AdmissionDecision;
use crate::decide::marks::{add_metadata, annotation, metadata_path, paused};
use crate::decide::pins::{ImageUse, pins};
use crate::decide::{images, record, rollout};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use tidewaiter_crd::names::{HELD, USER_PAUSE};
use tidewaiter_crd::workload_scan::{Decision, WorkloadScanStatus};

/// Where `kubectl apply` notes the manifest that it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A request to create or change a Deployment.
#[derive(Debug)]
pub(crate) struct DeploymentRequest<'a> {
    /// The object as it will be stored.
    pub(crate) new: &'a Deployment,
    /// The object as it is stored; none on creation.
    pub(crate) old: Option<&'a Deployment>,
    /// Whether the server itself makes the request.
    pub(crate) by_server: bool,
}

/// What the server knows about a Deployment.
#[derive(Debug, Default)]
pub(crate) struct DeploymentFacts<'a> {
    /// Whether the namespace is enforced.
    pub(crate) enforced: bool,
    /// Whether what is retained may restart: no tag of it is known to name another digest by now.
    pub(crate) restarts: bool,
    /// The recorded decisions about it.
    pub(crate) workload: Option<&'a WorkloadScanStatus>,
}

/// Decides about a request. Acts on creation, on a changed template and on un-pausing; never on scale, labels or status.
pub(crate) fn review(request: &DeploymentRequest<'_>, facts: &DeploymentFacts<'_>) -> AdmissionDecision {
    // An owner would set a pause back again and again: there the gate alone holds.
    if request.by_server || !facts.enforced || rollout::is_owned(request.new) || request.new.spec.is_none() {
        return AdmissionDecision::allow();
    }
    let hash = template_hash(request.new);
    let changed = request.old.is_none_or(|old| template_hash(old) != hash);
    let decided = facts.workload.and_then(|w| w.revisions.get(&hash)).map(|r| r.decision);
    // Before all else: going back to an approved template ends the hold in the same request.
    if may_roll_out(request.new, &hash, facts) {
        return release(request, facts);
    }
    match request.old {
        _ if changed => hold(request, &hash),
        // Also without our annotation: a user may have removed it in an earlier request.
        // Ending one's own pause of a retained revision is not a rollout.
        Some(old)
            if paused(old)
                && !paused(request.new)
                && (annotation(&old.metadata, HELD) || decided != Some(Decision::Retained)) =>
        {
            resume(request, old, &hash)
        }
        Some(old) if asks_for_its_own_pause(request.new, old) => mark_user_pause(request.new),
        _ => AdmissionDecision::allow(),
    }
}

fn may_roll_out(new: &Deployment, hash: &str, facts: &DeploymentFacts<'_>) -> bool {
    let spec = new.spec.as_ref().and_then(|s| s.template.spec.as_ref());
    let wanted = spec.map(images::of).unwrap_or_default();
    let may = |workload: &WorkloadScanStatus| {
        pins(workload, hash, &wanted, ImageUse::Rollout).is_some()
            || facts.restarts && record::restarted(workload, hash, &wanted).is_some()
    };
    facts.workload.is_some_and(may)
}

/// Ends the server's hold in the request that sets an approved template.
fn release(request: &DeploymentRequest<'_>, facts: &DeploymentFacts<'_>) -> AdmissionDecision {
    let ours = facts.workload.is_some_and(|w| w.paused_by_server);
    let held = annotation(&request.new.metadata, HELD) && request.old.is_some_and(paused);
    if !(held && ours && paused(request.new)) {
        return AdmissionDecision::allow();
    }
    let patch = vec![
        json!({"op": "remove", "path": "/spec/paused"}),
        json!({"op": "remove", "path": metadata_path("annotations", HELD)}),
    ];
    AdmissionDecision {
        patch,
        warnings: vec!["released: every image of this template is approved".to_owned()],
        ..AdmissionDecision::allow()
    }
}

/// Pauses a new template. A pause from before the hold is the user's own and outlives it.
fn hold(request: &DeploymentRequest<'_>, hash: &str) -> AdmissionDecision {
    let own_pause = match request.old {
        // A manifest that was read during a hold (by a backup) brings our annotation along: then the pause is ours, too.
        None => paused(request.new) && is_users_pause(&request.new.metadata),
        Some(old) => paused(old) && is_users_pause(&old.metadata),
    };
    let mut entries = vec![(HELD, hash)];
    if own_pause {
        entries.push((USER_PAUSE, "true"));
    }
    AdmissionDecision {
        patch: pause(request.new, &entries),
        warnings: vec![held_text(request.new)],
        ..AdmissionDecision::allow()
    }
}

/// Answers the un-pausing of a held Deployment: refuses it where nothing else is asked, else undoes it with a warning, so
/// that applying a whole manifest does not fail.
fn resume(request: &DeploymentRequest<'_>, old: &Deployment, hash: &str) -> AdmissionDecision {
    // Replacing the whole object drops the annotation too; a patch of the pause alone keeps it.
    if without_pause(old) == without_pause(request.new) && annotation(&request.new.metadata, HELD) {
        let name = name(request.new);
        return AdmissionDecision::deny(format!(
            "deployment/{name} is held until its images are approved. See why: kubectl scan status deployment/{name}. \
             It is released automatically once policy allows the images, or by: kubectl scan approve deployment/{name}"
        ));
    }
    let mut entries = vec![(HELD, hash)];
    if annotation(&old.metadata, USER_PAUSE) {
        entries.push((USER_PAUSE, "true"));
    }
    let warning = format!("kept paused: {}", held_text(request.new));
    AdmissionDecision { patch: pause(request.new, &entries), warnings: vec![warning], ..AdmissionDecision::allow() }
}

fn without_pause(deployment: &Deployment) -> DeploymentSpec {
    DeploymentSpec { paused: None, ..deployment.spec.clone().unwrap_or_default() }
}

/// Whether the pause of a Deployment is its user's, by its annotations.
fn is_users_pause(metadata: &ObjectMeta) -> bool {
    !annotation(metadata, HELD) || annotation(metadata, USER_PAUSE)
}

/// Whether a user pauses what is paused already: their manifest says `paused: true`. A request that changes nothing says
/// nothing: every second `apply` of a manifest is one.
fn asks_for_its_own_pause(new: &Deployment, old: &Deployment) -> bool {
    let held = annotation(&old.metadata, HELD) && !annotation(&new.metadata, USER_PAUSE);
    held && paused(old) && paused(new) && (applies_pause(&new.metadata) || last_applied_pause(&new.metadata))
}

/// Server-side apply: somebody manages the field. What admission sets is nobody's.
fn applies_pause(metadata: &ObjectMeta) -> bool {
    let applied = metadata.managed_fields.iter().flatten().filter(|m| m.operation.as_deref() == Some("Apply"));
    applied.filter_map(|m| m.fields_v1.as_ref()).any(|fields| fields.0.pointer("/f:spec/f:paused").is_some())
}

/// Client-side apply: the manifest stands in an annotation, and the request does not repeat what did not change.
fn last_applied_pause(metadata: &ObjectMeta) -> bool {
    let manifest = metadata.annotations.iter().flatten().find(|(key, _)| *key == LAST_APPLIED);
    let manifest = manifest.and_then(|(_, text)| serde_json::from_str::<Value>(text).ok());
    manifest.is_some_and(|manifest| manifest.pointer("/spec/paused") == Some(&Value::Bool(true)))
}

fn mark_user_pause(new: &Deployment) -> AdmissionDecision {
    let patch = add_metadata("annotations", new.metadata.annotations.is_some(), &[(USER_PAUSE, "true")]);
    AdmissionDecision {
        patch,
        warnings: vec!["your own pause is noted: it remains when the hold ends".to_owned()],
        ..AdmissionDecision::allow()
    }
}

fn pause(new: &Deployment, entries: &[(&str, &str)]) -> Vec<Value> {
    let mut patch = add_metadata("annotations", new.metadata.annotations.is_some(), entries);
    patch.push(json!({"op": "add", "path": "/spec/paused", "value": true}));
    patch
}

fn held_text(new: &Deployment) -> String {
    format!("held: image scan running; follow it with: kubectl scan status deployment/{}", name(new))
}

fn name(deployment: &Deployment) -> &str {
    deployment.metadata.name.as_deref().unwrap_or("NAME")
}

fn template_hash(deployment: &Deployment) -> String {
    deployment.spec.as_ref().map(|s| images::template_hash(&s.template)).unwrap_or_default()
}

#[cfg(test)]
#[path = "deployment_tests.rs"]
mod tests;
