//! How far a rollout is, and the patches that pause and release a workload.

use super::holdable::Holdable;
use super::images;
use super::marks::{add_metadata, annotation, metadata_path};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use std::time::Duration;
use tidewaiter_core::status::RolloutProgress;
use tidewaiter_crd::names::{HELD, USER_PAUSE};
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// First pause between two lists of a workload's Pods; later ones last a quarter of the time since its release.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause: people wait for the word `Deployed`.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Progress of a Deployment: complete when `kubectl rollout status` would succeed.
pub(crate) fn of_deployment(deployment: &Deployment) -> RolloutProgress {
    let desired = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let Some(status) = &deployment.status else { return RolloutProgress::Running };
    let observed = status.observed_generation >= deployment.metadata.generation;
    let updated = status.updated_replicas.unwrap_or_default();
    let total = status.replicas.unwrap_or_default();
    let available = status.available_replicas.unwrap_or_default();
    let complete = observed && updated >= desired && total <= updated && available >= updated;
    if complete { RolloutProgress::Complete } else { RolloutProgress::Running }
}

/// Progress of any other workload by its Pods: running while any of them has not started; without Pods it is over.
pub(crate) fn of_pods<'a>(pods: impl IntoIterator<Item = &'a Pod>, uid: &str) -> RolloutProgress {
    let waits = |pod: &Pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()).is_none_or(|phase| phase == "Pending");
    let lives = |pod: &&Pod| pod.metadata.deletion_timestamp.is_none() && belongs_to(pod, uid);
    if pods.into_iter().filter(lives).any(waits) { RolloutProgress::Running } else { RolloutProgress::Complete }
}

/// Whether a Pod is a workload's; a Pod without a controller is its own.
pub(crate) fn belongs_to(pod: &Pod, uid: &str) -> bool {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    pod.metadata.uid.as_deref() == Some(uid) || owners.any(|owner| owner.uid == uid)
}

/// Pause until the requeue that lists a workload's Pods again. Not at a fixed rate: most Pods start within seconds, some wait for days for a node.
pub(crate) fn requeue_after(record: &WorkloadScanStatus, now: Timestamp) -> Duration {
    let released = record.transitions.last().and_then(|t| t.time.timestamp());
    let since = released.map_or(Duration::ZERO, |released| now.duration_since(released).unsigned_abs());
    (since / 4).clamp(FIRST_PAUSE, LONGEST_PAUSE)
}

/// Hash of a ReplicaSet's template.
pub(crate) fn template_of(set: &ReplicaSet) -> Option<String> {
    Some(images::template_hash(set.spec.as_ref()?.template.as_ref()?))
}

/// Whether a ReplicaSet has Pods of a template.
pub(crate) fn runs(set: &ReplicaSet, template: &str) -> bool {
    set.status.as_ref().is_some_and(|s| s.replicas > 0) && template_of(set).as_deref() == Some(template)
}

/// Pauses a workload that was created or changed while the webhook was unreachable; empty when it is paused.
pub(crate) fn pause_patch<K: Holdable>(object: &K, template: &str) -> Vec<Value> {
    if object.paused() {
        return Vec::new();
    }
    let mut patch = vec![test_generation(object)];
    patch.extend(add_metadata("annotations", object.metadata().annotations.is_some(), &[(HELD, template)]));
    patch.push(json!({"op": "add", "path": K::pointer(), "value": true}));
    patch
}

/// Ends a hold: the server's pause is removed, the user's own remains; empty when there is no mark of a hold.
pub(crate) fn release_patch<K: Holdable>(object: &K, record: &WorkloadScanStatus) -> Vec<Value> {
    release(object, record.paused_by_server)
}

/// Removes the marks of a hold from an object that is not paused any more and that the server does not pause again: they
/// would claim the next pause, which is another's.
pub(crate) fn unmark_patch<K: Holdable>(object: &K) -> Vec<Value> {
    // Its owner would set copied ones again and again.
    if object.paused() || object.is_owned() { Vec::new() } else { release(object, false) }
}

/// Ends a hold by its marks, of a Job that has no record of its own and in a namespace that is not enforced any more: whoever
/// removes ours keeps the pause.
pub(crate) fn release_marked_patch<K: Holdable>(object: &K) -> Vec<Value> {
    release(object, is_marked(object))
}

/// Whether the marks of an object say that the server paused it.
pub(crate) fn is_marked<K: Holdable>(object: &K) -> bool {
    annotation(object.metadata(), HELD) && !annotation(object.metadata(), USER_PAUSE)
}

fn release<K: Holdable>(object: &K, by_server: bool) -> Vec<Value> {
    let mut patch = Vec::new();
    if object.paused() && by_server {
        patch.push(K::unpause());
    }
    for key in [HELD, USER_PAUSE] {
        if annotation(object.metadata(), key) {
            patch.push(json!({"op": "remove", "path": metadata_path("annotations", key)}));
        }
    }
    // The test goes first, and alone it would be a patch that changes nothing.
    if !patch.is_empty() {
        patch.insert(0, test_generation(object));
    }
    patch
}

/// The generation changes with the spec alone: conditions that are written meanwhile cause no conflict.
fn test_generation<K: Holdable>(object: &K) -> Value {
    json!({"op": "test", "path": "/metadata/generation", "value": object.metadata().generation})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{deployment, now};
    use k8s_openapi::api::batch::v1::Job;
    use serde_json::from_value;
    use tidewaiter_core::status::{DeploymentStatus, ImageStatus};
    use tidewaiter_crd::workload_scan::Transition;

    #[test]
    fn a_rollout_is_complete_when_kubectl_would_say_so() {
        let check = |replicas: Value, status: Value, expected: RolloutProgress| {
            let object = json!({"metadata": {"generation": 2}, "spec": {"replicas": replicas, "selector": {}, "template": {}},
                "status": status});
            assert_eq!(of_deployment(&from_value(object).unwrap()), expected, "{replicas} {status}");
        };
        let status = |observed: i64, updated: i32, total: i32, available: i32| {
            json!({"observedGeneration": observed, "updatedReplicas": updated, "replicas": total,
                "availableReplicas": available})
        };
        check(json!(2), status(2, 2, 2, 2), RolloutProgress::Complete);
        check(json!(null), status(2, 1, 1, 1), RolloutProgress::Complete);
        check(json!(0), status(2, 0, 0, 0), RolloutProgress::Complete);
        check(json!(0), json!({"observedGeneration": 2}), RolloutProgress::Complete);
        // Not observed yet; not all updated; old ones left; not available.
        check(json!(2), status(1, 2, 2, 2), RolloutProgress::Running);
        check(json!(2), status(2, 1, 1, 1), RolloutProgress::Running);
        check(json!(2), status(2, 2, 3, 3), RolloutProgress::Running);
        check(json!(2), status(2, 2, 2, 1), RolloutProgress::Running);
        check(json!(2), json!(null), RolloutProgress::Running);
    }

    #[test]
    fn a_workload_has_started_when_no_pod_of_it_is_pending() {
        let check = |pods: &[(&str, Value)], expected: RolloutProgress| {
            let pod = |(uid, status): &(&str, Value)| -> Pod {
                let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": uid}]);
                from_value(json!({"metadata": {"ownerReferences": owner}, "status": status})).unwrap()
            };
            let pods: Vec<Pod> = pods.iter().map(pod).collect();
            assert_eq!(of_pods(&pods, "a"), expected, "{pods:?}");
        };
        let phase = |phase: &str| json!({"phase": phase});
        check(&[("a", phase("Pending"))], RolloutProgress::Running);
        check(&[("a", phase("Running")), ("a", phase("Pending"))], RolloutProgress::Running);
        check(&[("a", json!({}))], RolloutProgress::Running);
        check(&[("a", phase("Running")), ("b", phase("Pending"))], RolloutProgress::Complete);
        check(&[("a", phase("Succeeded")), ("a", phase("Failed"))], RolloutProgress::Complete);
        check(&[], RolloutProgress::Complete);
    }

    #[test]
    fn a_pod_that_is_deleted_or_its_own_workload() {
        let check = |metadata: Value, expected: RolloutProgress| {
            let pod: Pod = from_value(json!({"metadata": metadata, "status": {"phase": "Pending"}})).unwrap();
            assert_eq!(of_pods([&pod], "a"), expected, "{metadata}");
        };
        check(json!({"uid": "a"}), RolloutProgress::Running);
        check(json!({"uid": "b"}), RolloutProgress::Complete);
        check(json!({"uid": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}), RolloutProgress::Complete);
    }

    #[test]
    fn pods_are_listed_ever_more_rarely() {
        let check = |released: Option<&str>, seconds: u64| {
            let transition = |time: &str| Transition {
                time: time.to_owned().into(),
                image_status: ImageStatus::Approved,
                deployment_status: DeploymentStatus::RollingOut,
            };
            let transitions = released.map(transition).into_iter().collect();
            let record = WorkloadScanStatus { transitions, ..WorkloadScanStatus::default() };
            assert_eq!(requeue_after(&record, now()), Duration::from_secs(seconds), "{released:?}");
        };
        check(None, 1);
        check(Some("no time"), 1);
        check(Some("2026-01-02T00:00:00Z"), 1);
        check(Some("2026-01-01T23:59:56Z"), 1);
        check(Some("2026-01-01T23:59:20Z"), 10);
        check(Some("2026-01-01T12:00:00Z"), 60);
    }

    fn paths(patch: &[Value]) -> Vec<String> {
        patch.iter().map(|op| format!("{} {}", op["op"].as_str().unwrap(), op["path"].as_str().unwrap())).collect()
    }

    const TEST: &str = "test /metadata/generation";
    const UNPAUSE: &str = "remove /spec/paused";
    const UNMARK: &str = "remove /metadata/annotations/tidewaiter.dev~1held-for";
    const UNMARK_USER: &str = "remove /metadata/annotations/tidewaiter.dev~1user-pause";

    #[test]
    fn a_release_removes_only_what_the_server_set() {
        let check = |paused: bool, marks: &[&str], by_server: bool, expected: &[&str]| {
            let record = WorkloadScanStatus { paused_by_server: by_server, ..WorkloadScanStatus::default() };
            assert_eq!(paths(&release_patch(&deployment(paused, marks), &record)), expected, "{paused} {marks:?}");
        };
        check(false, &[], true, &[]);
        check(true, &[], false, &[]);
        check(true, &[HELD], true, &[TEST, UNPAUSE, UNMARK]);
        check(true, &[HELD, USER_PAUSE], false, &[TEST, UNMARK, UNMARK_USER]);
        check(false, &[HELD], true, &[TEST, UNMARK]);
        check(true, &[], true, &[TEST, UNPAUSE]);
    }

    #[test]
    fn marks_of_an_ended_hold_are_removed() {
        let check = |paused: bool, marks: &[&str], expected: &[&str]| {
            assert_eq!(paths(&unmark_patch(&deployment(paused, marks))), expected, "{paused} {marks:?}");
        };
        check(false, &[], &[]);
        check(false, &[HELD], &[TEST, UNMARK]);
        check(false, &[HELD, USER_PAUSE], &[TEST, UNMARK, UNMARK_USER]);
        check(true, &[HELD], &[]);
    }

    #[test]
    fn a_run_of_a_cron_job_is_released_by_its_marks() {
        let check = |suspend: bool, marks: &[&str], expected: &[&str]| {
            let marks: serde_json::Map<String, Value> = marks.iter().map(|m| ((*m).to_owned(), json!("x"))).collect();
            let job: Job = from_value(json!({"metadata": {"generation": 1, "annotations": marks},
                "spec": {"suspend": suspend, "template": {}}}))
            .unwrap();
            assert_eq!(paths(&release_marked_patch(&job)), expected, "{suspend} {marks:?}");
        };
        let unsuspend = "replace /spec/suspend";
        check(true, &[HELD], &[TEST, unsuspend, UNMARK]);
        check(true, &[HELD, USER_PAUSE], &[TEST, UNMARK, UNMARK_USER]);
        check(true, &[], &[]);
        check(false, &[HELD], &[TEST, UNMARK]);
    }

    #[test]
    fn a_deployment_out_of_scope_is_released_by_its_marks() {
        let check = |paused: bool, marks: &[&str], expected: &[&str]| {
            assert_eq!(paths(&release_marked_patch(&deployment(paused, marks))), expected, "{paused} {marks:?}");
        };
        check(true, &[HELD], &[TEST, UNPAUSE, UNMARK]);
        check(true, &[HELD, USER_PAUSE], &[TEST, UNMARK, UNMARK_USER]);
        check(true, &[], &[]);
        check(false, &[], &[]);
    }

    #[test]
    fn a_running_deployment_is_paused_once() {
        let mark = "add /metadata/annotations/tidewaiter.dev~1held-for";
        assert_eq!(paths(&pause_patch(&deployment(false, &[]), "h")), [TEST, mark, "add /spec/paused"]);
        assert_eq!(paths(&pause_patch(&deployment(true, &[]), "h")), [""; 0]);
    }

    #[test]
    fn a_replica_set_runs_its_template() {
        let set = |replicas: i32, image: &str| -> ReplicaSet {
            let spec = json!({"containers": [{"name": "c", "image": image}]});
            from_value(json!({"metadata": {}, "spec": {"selector": {}, "template": {"spec": spec}},
                "status": {"replicas": replicas}}))
            .unwrap()
        };
        let hash = template_of(&set(1, "a")).unwrap();
        let check =
            |replicas: i32, image: &str, expected: bool| assert_eq!(runs(&set(replicas, image), &hash), expected);
        check(1, "a", true);
        check(0, "a", false);
        check(1, "b", false);
    }
}
