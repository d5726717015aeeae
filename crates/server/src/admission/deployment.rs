//! The hold: Deployments are paused while an image of their template is not approved.

use super::revisions::{self, Use};
use super::{Answer, add_metadata, images, metadata_path};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use tidewaiter_crd::names::{HELD, USER_PAUSE};
use tidewaiter_crd::workload_scan::{Decision, WorkloadScanStatus};

/// A request to create or change a Deployment.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The object as it would be stored.
    pub(crate) new: &'a Deployment,
    /// The object as it is; none on creation.
    pub(crate) old: Option<&'a Deployment>,
    /// Whether the server itself asks.
    pub(crate) ours: bool,
}

/// What is known when it comes in.
#[derive(Debug, Default)]
pub(crate) struct Known<'a> {
    /// Whether the namespace is enforced.
    pub(crate) enforced: bool,
    /// What was decided about this workload.
    pub(crate) workload: Option<&'a WorkloadScanStatus>,
}

/// Decides. Acts on creation, on a changed template and on un-pausing; never on scale, labels or status.
pub(crate) fn review(request: &Request<'_>, known: &Known<'_>) -> Answer {
    let owned = request.new.metadata.owner_references.iter().flatten().any(|o| o.controller == Some(true));
    // An operator that owns a Deployment would set it back for ever: there the gate alone holds.
    if request.ours || !known.enforced || owned || request.new.spec.is_none() {
        return Answer::pass();
    }
    let hash = template_hash(request.new);
    let changed = request.old.is_none_or(|old| template_hash(old) != hash);
    let decided = known.workload.and_then(|w| w.revisions.get(&hash)).map(|r| r.decision);
    if may_roll_out(request.new, &hash, known) {
        return release(request, known);
    }
    match request.old {
        _ if changed => hold(request, &hash),
        // To end one's own pause of what runs is no rollout.
        Some(old)
            if paused(old)
                && !paused(request.new)
                && (annotation(&old.metadata, HELD) || decided != Some(Decision::Retained)) =>
        {
            resume(request, old, &hash)
        }
        Some(old) if asks_for_its_own_pause(request.new, old) => mark_user_pause(request.new),
        _ => Answer::pass(),
    }
}

fn may_roll_out(new: &Deployment, hash: &str, known: &Known<'_>) -> bool {
    let spec = new.spec.as_ref().and_then(|s| s.template.spec.as_ref());
    let wanted = spec.map(images::of).unwrap_or_default();
    known.workload.is_some_and(|workload| revisions::pins(workload, hash, &wanted, Use::Rollout).is_some())
}

/// An approved template ends a hold of ours in the same request.
fn release(request: &Request<'_>, known: &Known<'_>) -> Answer {
    let ours = known.workload.is_some_and(|w| w.paused_by_server);
    let held = annotation(&request.new.metadata, HELD) && request.old.is_some_and(paused);
    if !(held && ours && paused(request.new)) {
        return Answer::pass();
    }
    let patch = vec![
        json!({"op": "remove", "path": "/spec/paused"}),
        json!({"op": "remove", "path": metadata_path("annotations", HELD)}),
    ];
    Answer { patch, warnings: vec!["released: every image of this template is approved".to_owned()], ..Answer::pass() }
}

/// Pauses a new template. A pause that was there before the hold is the user's own and outlives it.
fn hold(request: &Request<'_>, hash: &str) -> Answer {
    let own_pause = match request.old {
        None => paused(request.new),
        Some(old) => paused(old) && (!annotation(&old.metadata, HELD) || annotation(&old.metadata, USER_PAUSE)),
    };
    let mut entries = vec![(HELD, hash)];
    if own_pause {
        entries.push((USER_PAUSE, "true"));
    }
    Answer { patch: pause(request.new, &entries), warnings: vec![held_text(request.new)], ..Answer::pass() }
}

/// Un-pausing a held Deployment: refused where it is all that is asked, else undone with a warning.
fn resume(request: &Request<'_>, old: &Deployment, hash: &str) -> Answer {
    let without_pause = |d: &Deployment| {
        let mut spec = d.spec.clone().unwrap_or_default();
        spec.paused = None;
        spec
    };
    // Who replaces the whole object drops our annotation too; who patches keeps it.
    if without_pause(old) == without_pause(request.new) && annotation(&request.new.metadata, HELD) {
        let name = name(request.new);
        return Answer::deny(format!(
            "deployment/{name} is held until its images are approved. See why: kubectl scan status deployment/{name}. \
             It is released by itself once policy allows the images, or by: kubectl scan approve deployment/{name}"
        ));
    }
    let mut entries = vec![(HELD, hash)];
    if annotation(&old.metadata, USER_PAUSE) {
        entries.push((USER_PAUSE, "true"));
    }
    let warning = format!("kept paused: {}", held_text(request.new));
    Answer { patch: pause(request.new, &entries), warnings: vec![warning], ..Answer::pass() }
}

/// A user pauses what is paused already by asking for nothing else, or by applying `paused: true` as a field of theirs.
fn asks_for_its_own_pause(new: &Deployment, old: &Deployment) -> bool {
    let held = annotation(&old.metadata, HELD) && !annotation(&new.metadata, USER_PAUSE);
    held && paused(old) && paused(new) && (unchanged(new, old) || applies_pause(&new.metadata))
}

fn unchanged(new: &Deployment, old: &Deployment) -> bool {
    let meaning = |d: &Deployment| (d.spec.clone(), d.metadata.labels.clone(), d.metadata.annotations.clone());
    meaning(new) == meaning(old)
}

fn applies_pause(metadata: &ObjectMeta) -> bool {
    let applied = metadata.managed_fields.iter().flatten().filter(|m| m.operation.as_deref() == Some("Apply"));
    applied.filter_map(|m| m.fields_v1.as_ref()).any(|fields| fields.0.pointer("/f:spec/f:paused").is_some())
}

fn mark_user_pause(new: &Deployment) -> Answer {
    let patch = add_metadata("annotations", new.metadata.annotations.is_some(), &[(USER_PAUSE, "true")]);
    Answer {
        patch,
        warnings: vec!["your own pause is noted: it stays when the hold ends".to_owned()],
        ..Answer::pass()
    }
}

fn pause(new: &Deployment, entries: &[(&str, &str)]) -> Vec<serde_json::Value> {
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

pub(crate) fn paused(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().and_then(|s| s.paused).unwrap_or_default()
}

pub(crate) fn annotation(metadata: &ObjectMeta, key: &str) -> bool {
    metadata.annotations.iter().flatten().any(|(k, _)| k == key)
}

fn template_hash(deployment: &Deployment) -> String {
    deployment.spec.as_ref().map(|s| images::template_hash(&s.template)).unwrap_or_default()
}

#[cfg(test)]
#[path = "deployment_tests.rs"]
mod tests;
