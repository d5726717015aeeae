use super::*;
use serde_json::Value;
use std::collections::BTreeMap;
use tidewaiter_crd::workload_scan::{Container, Revision};

fn deployment(image: &str, change: impl FnOnce(&mut Value)) -> Deployment {
    let mut value = json!({"metadata": {"name": "x", "annotations": {}}, "spec": {"replicas": 1, "selector": {},
        "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

fn plain(image: &str) -> Deployment {
    deployment(image, |_| {})
}

/// As the hold leaves it.
fn held(image: &str, user_pause: bool) -> Deployment {
    deployment(image, |d| {
        d["spec"]["paused"] = json!(true);
        d["metadata"]["annotations"][HELD] = json!("h");
        if user_pause {
            d["metadata"]["annotations"][USER_PAUSE] = json!("true");
        }
    })
}

fn status(decisions: &[(&str, Decision)]) -> WorkloadScanStatus {
    let revision = |(image, decision): &(&str, Decision)| {
        let pinned = Some(format!("r/{image}@sha256:{}", "1".repeat(64)));
        let container = Container { image: (*image).to_owned(), pinned, scan: None };
        let containers = BTreeMap::from([("c".to_owned(), container)]);
        (template_hash(&plain(image)), Revision { decision: *decision, containers, ..Revision::default() })
    };
    let revisions = decisions.iter().map(revision).collect();
    WorkloadScanStatus { paused_by_server: true, revisions, ..WorkloadScanStatus::default() }
}

/// One word for what an answer does.
fn word(answer: &Answer) -> &'static str {
    let does = |path: &str, op: &str| answer.patch.iter().any(|p| p["path"] == path && p["op"] == op);
    let marks = answer.patch.iter().any(|p| p["path"] == metadata_path("annotations", USER_PAUSE));
    match (&answer.denial, does("/spec/paused", "add"), does("/spec/paused", "remove"), marks) {
        (Some(_), ..) => "deny",
        (None, true, _, true) => "hold and keep the user's pause",
        (None, true, _, false) => "hold",
        (None, _, true, _) => "release",
        (None, _, _, true) => "note the user's pause",
        _ => "pass",
    }
}

#[test]
fn the_hold() {
    use Decision::{Approved, Held, Retained};
    let check = |old: Option<&Deployment>, new: &Deployment, decisions: &[(&str, Decision)], expected: &str| {
        let status = status(decisions);
        let known = Known { enforced: true, workload: Some(&status) };
        let answer = review(&Request { new, old, ours: false }, &known);
        assert_eq!(word(&answer), expected, "{answer:?}");
    };
    let paused = |image: &str| deployment(image, |d| d["spec"]["paused"] = json!(true));
    let scaled = |d: &Deployment| {
        let mut d = d.clone();
        d.spec.as_mut().unwrap().replicas = Some(5);
        d
    };
    let digest = format!("other/name@sha256:{}", "1".repeat(64));
    // Creation.
    check(None, &plain("a"), &[], "hold");
    check(None, &paused("a"), &[], "hold and keep the user's pause");
    // A new template.
    check(Some(&plain("a")), &plain("b"), &[("a", Approved)], "hold");
    check(Some(&paused("a")), &paused("b"), &[("a", Approved)], "hold and keep the user's pause");
    check(Some(&held("a", false)), &held("b", false), &[], "hold");
    check(Some(&held("a", true)), &held("b", true), &[], "hold and keep the user's pause");
    check(Some(&plain("a")), &plain("b"), &[("b", Approved)], "pass");
    check(Some(&plain("a")), &plain("b"), &[("b", Retained)], "hold");
    check(Some(&plain("a")), &plain(&digest), &[("a", Approved)], "pass");
    check(Some(&plain("a")), &plain(&digest), &[("a", Retained)], "hold");
    check(Some(&held("b", false)), &held("a", false), &[("a", Approved), ("b", Held)], "release");
    // Un-pausing.
    let resumed = deployment("a", |d| d["metadata"]["annotations"][HELD] = json!("h"));
    check(Some(&held("a", false)), &resumed, &[("a", Held)], "deny");
    check(Some(&held("a", false)), &scaled(&resumed), &[("a", Held)], "hold");
    check(Some(&held("a", false)), &plain("a"), &[("a", Held)], "hold");
    check(Some(&held("a", true)), &plain("a"), &[("a", Held)], "hold and keep the user's pause");
    check(Some(&held("a", false)), &plain("b"), &[("a", Held)], "hold");
    check(Some(&held("a", false)), &plain("b"), &[("a", Held), ("b", Approved)], "pass");
    // What has nothing to do with images.
    check(Some(&plain("a")), &scaled(&plain("a")), &[("a", Held)], "pass");
    check(Some(&held("a", false)), &scaled(&held("a", false)), &[("a", Held)], "pass");
    check(Some(&paused("a")), &plain("a"), &[("a", Approved)], "pass");
    check(Some(&paused("a")), &plain("a"), &[("a", Retained)], "pass");
    // The user's own pause during the hold.
    check(Some(&held("a", false)), &held("a", false), &[("a", Held)], "note the user's pause");
    check(Some(&held("a", true)), &held("a", true), &[("a", Held)], "pass");
}

#[test]
fn who_is_left_alone() {
    let check = |enforced: bool, ours: bool, new: &Deployment| {
        let known = Known { enforced, workload: None };
        assert_eq!(word(&review(&Request { new, old: None, ours }, &known)), "pass");
    };
    check(false, false, &plain("a"));
    check(true, true, &plain("a"));
    let owner = json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": true}]);
    check(true, false, &deployment("a", |d| d["metadata"]["ownerReferences"] = owner));
}

#[test]
fn the_patch_makes_what_it_needs() {
    let bare = deployment("a", |d| d["metadata"] = json!({"name": "x"}));
    let answer = review(&Request { new: &bare, old: None, ours: false }, &Known { enforced: true, workload: None });
    assert_eq!(answer.patch[0], json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    assert!(answer.warnings[0].contains("held: image scan running"), "{answer:?}");
}
