use super::*;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
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

/// A Deployment whose manifest was applied in one way; `paused` says whether the manifest names its pause.
fn deployment_with(mut deployment: Deployment, by: fn(&mut Deployment, bool), paused: bool) -> Deployment {
    by(&mut deployment, paused);
    deployment
}

fn by_server_side_apply(deployment: &mut Deployment, paused: bool) {
    let fields = if paused { json!({"f:spec": {"f:paused": {}}}) } else { json!({"f:spec": {"f:replicas": {}}}) };
    let entry = json!([{"manager": "helm", "operation": "Apply", "fieldsV1": fields}]);
    deployment.metadata.managed_fields = serde_json::from_value(entry).unwrap();
}

fn by_client_side_apply(deployment: &mut Deployment, paused: bool) {
    let manifest = if paused { json!({"spec": {"paused": true}}) } else { json!({"spec": {}}) };
    let annotations = deployment.metadata.annotations.get_or_insert_default();
    annotations.insert(LAST_APPLIED.to_owned(), manifest.to_string());
}

fn status(decisions: &[(&str, Decision)]) -> WorkloadScanStatus {
    let revision = |(image, decision): &(&str, Decision)| {
        let pinned = Some(format!("r/{image}@sha256:{}", "1".repeat(64)));
        let container = Container { image: (*image).to_owned(), pinned, scan: None };
        let containers = BTreeMap::from([("c".to_owned(), container)]);
        (plain(image).revision(), Revision { decision: *decision, containers, ..Revision::default() })
    };
    let revisions = decisions.iter().map(revision).collect();
    WorkloadScanStatus { paused_by_server: true, revisions, ..WorkloadScanStatus::default() }
}

/// What a decision does, in a word.
fn word(decision: &AdmissionDecision) -> &'static str {
    let does = |op: &str| {
        let fields = ["/spec/paused", "/spec/suspend"];
        decision.patch.iter().any(|p| fields.iter().any(|field| p["path"] == *field) && p["op"] == op)
    };
    let marks = decision.patch.iter().any(|p| p["path"] == metadata_path("annotations", USER_PAUSE));
    match (&decision.denial, does("add"), does("remove") || does("replace"), marks) {
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
    let check_restart =
        |restarts: bool, old: Option<&Deployment>, new: &Deployment, decisions: &[(&str, Decision)], expected: &str| {
            let mut status = status(decisions);
            status.current = old.map(Holdable::revision);
            let facts = HoldFacts { enforced: true, restarts, workload: Some(&status), is_approved_run: false };
            let decision = review(&HoldRequest { new, old, by_server: false }, &facts);
            assert_eq!(word(&decision), expected, "{decision:?}");
        };
    let check = |old: Option<&Deployment>, new: &Deployment, decisions: &[(&str, Decision)], expected: &str| {
        check_restart(true, old, new, decisions, expected);
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
    // What a backup read during a hold is created again.
    check(None, &held("a", false), &[], "hold");
    check(None, &held("a", true), &[], "hold and keep the user's pause");
    // A new template.
    check(Some(&plain("a")), &plain("b"), &[("a", Approved)], "hold");
    check(Some(&paused("a")), &paused("b"), &[("a", Approved)], "hold and keep the user's pause");
    check(Some(&held("a", false)), &held("b", false), &[], "hold");
    // The template and the pause in one request.
    check(Some(&plain("a")), &paused("b"), &[("a", Approved)], "hold and keep the user's pause");
    check(Some(&plain("a")), &held("b", false), &[("a", Approved)], "hold");
    let applied = deployment_with(held("b", false), by_server_side_apply, true);
    check(Some(&held("a", false)), &applied, &[], "hold and keep the user's pause");
    // A manifest with `paused: false` manages the field, too: what others change afterwards is no pause of its user.
    let managed = |image: &str| deployment_with(held(image, false), by_server_side_apply, true);
    check(Some(&managed("a")), &managed("b"), &[], "hold");
    check(Some(&managed("a")), &scaled(&managed("a")), &[("a", Held)], "pass");
    check(Some(&held("a", true)), &held("b", true), &[], "hold and keep the user's pause");
    check(Some(&plain("a")), &plain("b"), &[("b", Approved)], "pass");
    check(Some(&plain("a")), &plain("b"), &[("b", Retained)], "hold");
    check(Some(&plain("a")), &plain(&digest), &[("a", Approved)], "pass");
    check(Some(&plain("a")), &plain(&digest), &[("a", Retained)], "hold");
    check(Some(&held("b", false)), &held("a", false), &[("a", Approved), ("b", Held)], "release");
    // A restart of what runs, for a changed variable.
    let restarted =
        |image: &str| deployment(image, |d| d["spec"]["template"]["metadata"] = json!({"annotations": {"at": "2"}}));
    check(Some(&plain("a")), &restarted("a"), &[("a", Retained)], "pass");
    check_restart(false, Some(&plain("a")), &restarted("a"), &[("a", Retained)], "hold");
    check(Some(&plain("a")), &restarted("b"), &[("a", Retained)], "hold");
    check(Some(&plain("a")), &restarted("a"), &[("a", Approved)], "hold");
    // Un-pausing.
    let resumed = deployment("a", |d| d["metadata"]["annotations"][HELD] = json!("h"));
    check(Some(&held("a", false)), &resumed, &[("a", Held)], "deny");
    check(Some(&held("a", false)), &scaled(&resumed), &[("a", Held)], "hold");
    check(Some(&held("a", false)), &plain("a"), &[("a", Held)], "hold");
    check(Some(&held("a", true)), &plain("a"), &[("a", Held)], "hold and keep the user's pause");
    check(Some(&held("a", false)), &plain("b"), &[("a", Held)], "hold");
    check(Some(&held("a", false)), &plain("b"), &[("a", Held), ("b", Approved)], "pass");
    // Requests that do not concern images.
    check(Some(&plain("a")), &scaled(&plain("a")), &[("a", Held)], "pass");
    check(Some(&held("a", false)), &scaled(&held("a", false)), &[("a", Held)], "pass");
    check(Some(&paused("a")), &plain("a"), &[("a", Approved)], "pass");
    check(Some(&paused("a")), &plain("a"), &[("a", Retained)], "pass");
    // The same manifest again.
    check(Some(&held("a", false)), &held("a", false), &[("a", Held)], "pass");
    // The user's own pause during the hold.
    for by in [by_server_side_apply, by_client_side_apply] {
        let with = |user_pause: bool, says: bool| deployment_with(held("a", user_pause), by, says);
        check(Some(&held("a", false)), &with(false, true), &[("a", Held)], "note the user's pause");
        check(Some(&held("a", false)), &with(false, false), &[("a", Held)], "pass");
        check(Some(&held("a", true)), &with(true, true), &[("a", Held)], "pass");
    }
}

#[test]
fn what_is_never_held() {
    let check = |enforced: bool, by_server: bool, new: &Deployment| {
        let facts = HoldFacts { enforced, restarts: true, ..HoldFacts::default() };
        assert_eq!(word(&review(&HoldRequest { new, old: None, by_server }, &facts)), "pass");
    };
    check(false, false, &plain("a"));
    check(true, true, &plain("a"));
    let owner = json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": true}]);
    check(true, false, &deployment("a", |d| d["metadata"]["ownerReferences"] = owner));
}

#[test]
fn the_patch_adds_the_map_that_it_needs() {
    let bare = deployment("a", |d| d["metadata"] = json!({"name": "x"}));
    let decision = review(
        &HoldRequest { new: &bare, old: None, by_server: false },
        &HoldFacts { enforced: true, restarts: true, ..HoldFacts::default() },
    );
    assert_eq!(decision.patch[0], json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    assert!(decision.warnings[0].contains("held: image scan running"), "{decision:?}");
}

fn job(image: &str, suspend: bool, marks: &[&str]) -> Job {
    let marks: serde_json::Map<String, Value> = marks.iter().map(|mark| ((*mark).to_owned(), json!("h"))).collect();
    serde_json::from_value(json!({"metadata": {"name": "x", "annotations": marks}, "spec": {"suspend": suspend,
        "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}))
    .unwrap()
}

fn cron_job(image: &str, suspend: bool, marks: &[&str]) -> CronJob {
    let marks: serde_json::Map<String, Value> = marks.iter().map(|mark| ((*mark).to_owned(), json!("h"))).collect();
    serde_json::from_value(json!({"metadata": {"name": "x", "annotations": marks}, "spec": {"suspend": suspend,
        "schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}}}))
    .unwrap()
}

/// A request about an object whose image `approved` is approved.
fn word_of<K: Holdable>(old: Option<&K>, new: &K, approved: &K, is_approved_run: bool) -> &'static str {
    let pinned = |(name, image): (String, String)| {
        let pinned = Some(format!("r/{image}@sha256:{}", "1".repeat(64)));
        (name, Container { image, pinned, scan: None })
    };
    let containers = approved.images().into_iter().map(pinned).collect();
    let revision = Revision { decision: Decision::Approved, containers, ..Revision::default() };
    let revisions = BTreeMap::from([(approved.revision(), revision)]);
    let status = WorkloadScanStatus { paused_by_server: true, revisions, ..WorkloadScanStatus::default() };
    let workload = old.is_some().then_some(&status);
    let facts = HoldFacts { enforced: true, restarts: true, workload, is_approved_run };
    word(&review(&HoldRequest { new, old, by_server: false }, &facts))
}

#[test]
fn a_suspended_job() {
    let check = |old: Option<&Job>, new: &Job, is_approved_run: bool, expected: &str| {
        assert_eq!(word_of(old, new, &job("good", false, &[]), is_approved_run), expected, "{old:?} {new:?}");
    };
    check(None, &job("a", false, &[]), false, "hold");
    check(None, &job("a", true, &[]), false, "hold and keep the user's pause");
    check(None, &job("a", true, &[HELD]), false, "hold");
    check(None, &job("a", false, &[]), true, "pass");
    let held = job("a", true, &[HELD]);
    check(Some(&held), &job("a", false, &[HELD]), false, "deny");
    check(Some(&held), &job("a", false, &[]), false, "hold");
    check(Some(&held), &held, false, "pass");
    check(Some(&held), &job("a", false, &[HELD]), true, "pass");
    check(Some(&job("good", true, &[])), &job("good", false, &[]), false, "pass");
    // Without a record, as a namespace is enforced that was not.
    check(Some(&job("a", true, &[])), &job("a", false, &[]), false, "hold");
    let denial = review(
        &HoldRequest { new: &job("a", false, &[HELD]), old: Some(&held), by_server: false },
        &HoldFacts { enforced: true, ..HoldFacts::default() },
    );
    assert!(denial.denial.unwrap().starts_with("job/x is held until its images are approved. See why: "));
}

#[test]
fn a_suspended_cron_job() {
    let check = |old: Option<&CronJob>, new: &CronJob, expected: &str| {
        assert_eq!(word_of(old, new, &cron_job("good", false, &[]), false), expected, "{old:?} {new:?}");
    };
    check(None, &cron_job("a", false, &[]), "hold");
    check(None, &cron_job("a", true, &[]), "hold and keep the user's pause");
    let (good, held) = (cron_job("good", false, &[]), cron_job("a", true, &[HELD]));
    check(Some(&good), &cron_job("a", false, &[]), "hold");
    check(Some(&cron_job("good", true, &[])), &cron_job("a", true, &[]), "hold and keep the user's pause");
    check(Some(&held), &cron_job("good", true, &[HELD]), "release");
    check(Some(&held), &cron_job("a", false, &[HELD]), "deny");
    check(Some(&good), &cron_job("good", true, &[]), "pass");
    check(Some(&cron_job("good", true, &[])), &good, "pass");
}
