//! Which updates of DaemonSets and StatefulSets are refused, and what is said.

use super::*;
use crate::decide::fixtures::{now, pinned, record, revision};
use UpdateReview::{Applies, Passes, Refused};
use serde_json::{Value, from_value, json};
use tidewaiter_crd::workload_scan::{Decision, RefusedUpdate};

fn set(image: &str, strategy: &Value) -> DaemonSet {
    from_value(json!({"metadata": {"name": "agent"}, "spec": {"selector": {}, "updateStrategy": strategy,
        "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}))
    .unwrap()
}

fn known(decisions: &[(&str, Decision)]) -> WorkloadScanStatus {
    let one = |((image, decision), figure): (&(&str, Decision), u8)| {
        let pin = pinned(image, figure);
        let images = BTreeMap::from([("c".to_owned(), (*image).to_owned())]);
        (images::images_hash(&images), revision(*decision, &[("c", image, Some(&pin))]))
    };
    let all: Vec<_> = decisions.iter().zip(1..).map(one).collect();
    record(&all.iter().map(|(hash, revision)| (hash.as_str(), revision.clone())).collect::<Vec<_>>())
}

#[test]
fn no_node_loses_its_agent() {
    use Decision::{Approved, Held, Retained};
    let check = |old: &str, new: &str, decisions: &[(&str, Decision)], expected: UpdateReview| {
        let (old, new) = (set(old, &json!({})), set(new, &json!({})));
        assert_eq!(review(&new, &old, Some(&known(decisions))), expected, "{decisions:?}");
    };
    check("a", "b", &[("a", Approved)], Refused);
    check("a", "b", &[("a", Retained)], Refused);
    check("a", "b", &[("a", Approved), ("b", Held)], Refused);
    check("a", "b", &[("a", Approved), ("b", Approved)], Applies);
    // It lost its approval, and does not run: a new rollout.
    check("a", "b", &[("a", Approved), ("b", Retained)], Refused);
    check("a", &pinned("b", 2), &[("a", Approved), ("b", Retained)], Refused);
    check("a", &pinned("b", 2), &[("a", Approved), ("b", Approved)], Applies);
    // What runs under another name.
    check("a", &pinned("a", 1), &[("a", Retained)], Applies);
    check("a", &pinned("a", 1), &[("a", Approved)], Applies);
    // A first version that waits: its fix has nothing to take away.
    check("a", "b", &[("a", Held)], Passes);
    check("a", "b", &[], Passes);
    check("a", "a", &[("a", Approved)], Passes);
    check("a", "a", &[("a", Held)], Passes);
    assert_eq!(review(&set("b", &json!({})), &set("a", &json!({})), None), Passes);
}

#[test]
fn the_old_manifest_ends_the_wait_for_another_one() {
    let check = |path: &str, value: &str, is_refused: bool, expected: UpdateReview| {
        let mut record = known(&[("a", Decision::Approved)]);
        let refused = RefusedUpdate { revision: "h".to_owned(), running: None, at: now().into() };
        record.refused = is_refused.then_some(refused);
        let old = json!({"metadata": {"name": "agent", "annotations": {"x": "1"}, "generation": 1}, "spec": {"selector": {},
            "template": {"metadata": {"annotations": {}}, "spec": {"containers": [{"name": "c", "image": "a", "env": []}]}}}});
        let mut new = old.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        new.pointer_mut(parent).unwrap()[key] = serde_json::from_str(value).unwrap();
        let (new, old): (DaemonSet, DaemonSet) = (from_value(new).unwrap(), from_value(old).unwrap());
        assert_eq!(review(&new, &old, Some(&record)), expected, "{path} {is_refused}");
    };
    check("/metadata/name", r#""agent""#, true, Applies);
    check("/metadata/managedFields", r#"[{"manager": "kubectl"}]"#, true, Applies);
    check("/metadata/generation", "2", true, Applies);
    check("/metadata/name", r#""agent""#, false, Passes);
    // Others change what they will; the update still waits.
    check("/metadata/annotations/x", r#""2""#, true, Passes);
    check("/metadata/labels", r#"{"x": "1"}"#, true, Passes);
    check("/spec/minReadySeconds", "5", true, Passes);
    check("/spec/template/metadata/annotations", r#"{"kubectl.kubernetes.io/restartedAt": "now"}"#, true, Passes);
    check("/spec/template/spec/containers/0/env", r#"[{"name": "HASH", "value": "1"}]"#, true, Passes);
}

#[test]
fn what_kubectl_notes_about_itself_is_no_change() {
    let metadata = |annotations: Value| from_value::<ObjectMeta>(json!({"annotations": annotations})).unwrap();
    let check = |one: Value, other: Value, expected: bool| {
        assert_eq!(written(&metadata(one.clone())) == written(&metadata(other)), expected, "{one}");
    };
    check(json!({LAST_APPLIED: "{}"}), json!(null), true);
    check(json!({LAST_APPLIED: "{}", "x": "1"}), json!({"x": "1"}), true);
    check(json!({"x": "1"}), json!({"x": "2"}), false);
}

#[test]
fn the_wait_is_for_the_images_that_are_new() {
    let check = |wanted: &[(&str, &str)], before: &[(&str, &str)], expected: &str| {
        let of = |images: &[(&str, &str)]| images.iter().map(|(n, i)| ((*n).to_owned(), (*i).to_owned())).collect();
        assert_eq!(new_images(&of(wanted), &of(before)), expected);
    };
    check(&[("c", "b")], &[("c", "a")], " --image b");
    check(&[("c", "b"), ("d", "x")], &[("c", "a"), ("d", "x")], " --image b");
    check(&[("c", "b"), ("d", "b"), ("e", "e")], &[("c", "a")], " --image b --image e");
    // They change places.
    check(&[("c", "b"), ("d", "a")], &[("c", "a"), ("d", "b")], "");
}

#[test]
fn where_the_old_pod_stays_the_new_one_waits() {
    let check = |strategy: Value, expected: UpdateReview| {
        let record = known(&[("a", Decision::Approved)]);
        assert_eq!(review(&set("b", &strategy), &set("a", &strategy), Some(&record)), expected, "{strategy}");
    };
    let rolling = |surge: Value, unavailable: Value| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
    check(rolling(json!(0), json!(1)), Refused);
    check(rolling(json!(1), json!(0)), Passes);
    check(rolling(json!("10%"), json!("0%")), Passes);
    check(rolling(json!("0%"), json!("10%")), Refused);
    // Whoever deletes a Pod to have the new one would wait for it.
    check(json!({"type": "OnDelete"}), Refused);
}

#[test]
fn no_member_is_missing() {
    let set = |image: &str| -> StatefulSet {
        from_value(json!({"metadata": {"name": "db"}, "spec": {"selector": {}, "serviceName": "db",
            "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}))
        .unwrap()
    };
    let check = |decisions: &[(&str, Decision)], expected: UpdateReview| {
        let record = known(decisions);
        let review = review(&set("b"), &set("a"), Some(&record));
        assert_eq!(review, expected, "{decisions:?}");
        let denial = answer(review, (&set("b"), &set("a")), Some(&record), false).denial;
        let text = "statefulset/db is unchanged, so that no member is missing: its images are being scanned";
        assert_eq!(denial.is_some_and(|denial| denial.starts_with(text)), expected == Refused);
    };
    check(&[("a", Decision::Approved)], Refused);
    check(&[("a", Decision::Held)], Passes);
    check(&[("a", Decision::Approved), ("b", Decision::Approved)], Applies);
}

#[test]
fn the_refusal_says_what_to_do() {
    let check = |status: DeploymentStatus, image: &str, dry_run: bool, expected: &str| {
        let images = BTreeMap::from([("c".to_owned(), "b".to_owned())]);
        let refused = Some(RefusedUpdate { revision: images::images_hash(&images), running: None, at: now().into() });
        let record = WorkloadScanStatus { refused, deployment_status: status, ..WorkloadScanStatus::default() };
        let answer = answer(Refused, (&set(image, &json!({})), &set("a", &json!({}))), Some(&record), dry_run);
        let text = answer.denial.clone().or(answer.warnings.first().cloned()).unwrap();
        assert!(text.contains(expected) && answer.denial.is_none() == dry_run, "{answer:?}");
    };
    check(
        DeploymentStatus::Created,
        "b",
        false,
        "apply it again once this returns: kubectl scan wait daemonset/agent --image b",
    );
    check(DeploymentStatus::Blocked, "b", false, "see why: kubectl scan status daemonset/agent");
    check(DeploymentStatus::PendingApproval, "b", false, "kubectl scan approve daemonset/agent");
    // The state of another update says nothing about this one.
    check(DeploymentStatus::Blocked, "c", false, "are being scanned");
    check(DeploymentStatus::Created, "b", true, "refused outside of a dry run: daemonset/agent is unchanged");
}
