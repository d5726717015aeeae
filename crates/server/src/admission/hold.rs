//! The hold: a Deployment is paused, a Job or CronJob suspended, until every image of its template is approved.

use super::AdmissionDecision;
use crate::decide::holdable::Holdable;
use crate::decide::marks::{add_metadata, annotation, metadata_path};
use crate::decide::pins::{ImageUse, pins};
use crate::decide::record;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use tidewaiter_crd::names::{HELD, USER_PAUSE};
use tidewaiter_crd::workload_scan::{Decision, WorkloadScanStatus};

/// Where `kubectl apply` notes the manifest that it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A request to create or change a workload.
#[derive(Debug)]
pub(crate) struct HoldRequest<'a, K> {
    /// The object as it will be stored.
    pub(crate) new: &'a K,
    /// The object as it is stored; none on creation.
    pub(crate) old: Option<&'a K>,
    /// Whether the server itself makes the request.
    pub(crate) by_server: bool,
}

/// What the server knows about a workload.
#[derive(Debug, Default)]
pub(crate) struct HoldFacts<'a> {
    /// Whether the namespace is enforced.
    pub(crate) enforced: bool,
    /// Whether what is retained may restart: no tag of it is known to name another digest by now.
    pub(crate) restarts: bool,
    /// The recorded decisions about it.
    pub(crate) workload: Option<&'a WorkloadScanStatus>,
    /// Whether it is a run of a CronJob that may run these images.
    pub(crate) is_approved_run: bool,
}

/// Decides about a request. Acts on creation, on a changed template and on un-pausing; never on scale, labels or status.
pub(crate) fn review<K: Holdable>(request: &HoldRequest<'_, K>, facts: &HoldFacts<'_>) -> AdmissionDecision {
    // An owner would set a pause back again and again: there the gate alone holds.
    if request.by_server || !facts.enforced || request.new.is_owned() || request.new.template().is_none() {
        return AdmissionDecision::allow();
    }
    let hash = request.new.revision();
    let changed = request.old.is_none_or(|old| old.revision() != hash);
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
            if old.paused()
                && !request.new.paused()
                && (annotation(old.metadata(), HELD) || decided != Some(Decision::Retained)) =>
        {
            resume(request, old, &hash)
        }
        Some(old) if asks_for_its_own_pause(request.new, old) => mark_user_pause(request.new),
        _ => AdmissionDecision::allow(),
    }
}

fn may_roll_out<K: Holdable>(new: &K, hash: &str, facts: &HoldFacts<'_>) -> bool {
    let wanted = new.images();
    let may = |workload: &WorkloadScanStatus| {
        pins(workload, hash, &wanted, ImageUse::Rollout).is_some()
            || facts.restarts && record::restarted(workload, hash, &wanted).is_some()
    };
    facts.is_approved_run || facts.workload.is_some_and(may)
}

/// Ends the server's hold in the request that sets an approved template.
fn release<K: Holdable>(request: &HoldRequest<'_, K>, facts: &HoldFacts<'_>) -> AdmissionDecision {
    let ours = facts.workload.is_some_and(|w| w.paused_by_server);
    let held = annotation(request.new.metadata(), HELD) && request.old.is_some_and(K::paused);
    if !(held && ours && request.new.paused()) {
        return AdmissionDecision::allow();
    }
    let patch = vec![K::unpause(), json!({"op": "remove", "path": metadata_path("annotations", HELD)})];
    AdmissionDecision {
        patch,
        warnings: vec!["released: every image of this template is approved".to_owned()],
        ..AdmissionDecision::allow()
    }
}

/// Pauses a new template. A pause from before the hold, or of the request itself, is the user's own and outlives it.
fn hold<K: Holdable>(request: &HoldRequest<'_, K>, hash: &str) -> AdmissionDecision {
    let own_pause = match request.old.filter(|old| old.paused()) {
        Some(old) => is_users_pause(old.metadata()) || asks_for_its_own_pause(request.new, old),
        // A manifest that was read during a hold (by a backup) brings our annotation along: then the pause is ours, too. So it
        // is when admission reviews the request once more.
        None => request.new.paused() && is_users_pause(request.new.metadata()),
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

/// Answers the un-pausing of a held workload: refuses it where nothing else is asked, else undoes it with a warning, so
/// that applying a whole manifest does not fail.
fn resume<K: Holdable>(request: &HoldRequest<'_, K>, old: &K, hash: &str) -> AdmissionDecision {
    // Replacing the whole object drops the annotation too; a patch of the pause alone keeps it.
    if old.differs_in_pause_alone(request.new) && annotation(request.new.metadata(), HELD) {
        let name = request.new.label();
        return AdmissionDecision::deny(format!(
            "{name} is held until its images are approved. See why: kubectl scan status {name}. \
             It is released automatically once policy allows the images, or by: kubectl scan approve {name}"
        ));
    }
    let mut entries = vec![(HELD, hash)];
    if annotation(old.metadata(), USER_PAUSE) {
        entries.push((USER_PAUSE, "true"));
    }
    let warning = format!("kept {}: {}", K::STOPPED, held_text(request.new));
    AdmissionDecision { patch: pause(request.new, &entries), warnings: vec![warning], ..AdmissionDecision::allow() }
}

/// Whether the pause of a workload is its user's, by its annotations.
fn is_users_pause(metadata: &ObjectMeta) -> bool {
    !annotation(metadata, HELD) || annotation(metadata, USER_PAUSE)
}

/// Whether a user pauses what is paused already: their manifest says `paused: true`. A request that changes nothing says
/// nothing: every second `apply` of a manifest is one.
fn asks_for_its_own_pause<K: Holdable>(new: &K, old: &K) -> bool {
    let held = annotation(old.metadata(), HELD) && !annotation(new.metadata(), USER_PAUSE);
    held && old.paused() && new.paused() && (comes_to_apply_pause(new, old) || last_applied_pause(new))
}

/// Whether a manifest names the field that did not before. One that named it all along may say `paused: false`: of its value
/// nothing is left in the object, which the hold paused.
fn comes_to_apply_pause<K: Holdable>(new: &K, old: &K) -> bool {
    applies_pause(new) && !applies_pause(old)
}

/// Server-side apply: somebody manages the field. What admission sets is nobody's.
fn applies_pause<K: Holdable>(object: &K) -> bool {
    let managers = object.metadata().managed_fields.iter().flatten();
    let applied = managers.filter(|m| m.operation.as_deref() == Some("Apply"));
    let field = format!("/f:spec/f:{}", K::FIELD);
    applied.filter_map(|m| m.fields_v1.as_ref()).any(|fields| fields.0.pointer(&field).is_some())
}

/// Client-side apply: the manifest stands in an annotation, and the request does not repeat what did not change.
fn last_applied_pause<K: Holdable>(object: &K) -> bool {
    let manifest = object.metadata().annotations.iter().flatten().find(|(key, _)| *key == LAST_APPLIED);
    let manifest = manifest.and_then(|(_, text)| serde_json::from_str::<Value>(text).ok());
    manifest.is_some_and(|manifest| manifest.pointer(&K::pointer()) == Some(&Value::Bool(true)))
}

fn mark_user_pause<K: Holdable>(new: &K) -> AdmissionDecision {
    let patch = add_metadata("annotations", new.metadata().annotations.is_some(), &[(USER_PAUSE, "true")]);
    AdmissionDecision {
        patch,
        warnings: vec!["your own pause is noted: it remains when the hold ends".to_owned()],
        ..AdmissionDecision::allow()
    }
}

fn pause<K: Holdable>(new: &K, entries: &[(&str, &str)]) -> Vec<Value> {
    let mut patch = add_metadata("annotations", new.metadata().annotations.is_some(), entries);
    patch.push(json!({"op": "add", "path": K::pointer(), "value": true}));
    patch
}

fn held_text<K: Holdable>(new: &K) -> String {
    format!("held: image scan running; follow it with: kubectl scan status {}", new.label())
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
