//! Tables of the messages of workloads.

use super::*;
use crate::decide::fixtures::{now, record, revision};
use DeploymentStatus::{Blocked, Created, Deployed, PendingApproval, RollingOut};
use ImageStatus::{Approved, NoVulnerabilities, NotScanned, ScanFailed, VulnerabilitiesFound};
use tidewaiter_crd::workload_scan::{Decision, RefusedUpdate, Revision};

fn message(kind: &str, status: (ImageStatus, DeploymentStatus), lost: bool, line: &str, reasons: &[&str]) -> String {
    let workload = WorkloadRef {
        namespace: "n".to_owned(),
        api_version: "v1".to_owned(),
        kind: kind.into(),
        name: "web".to_owned(),
        uid: "u".to_owned(),
    };
    let lines = if line.is_empty() { vec![] } else { vec![line.to_owned()] };
    let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
    let evaluation = Evaluation { lines, reasons, ..Evaluation::default() };
    let status = WorkloadStatus { image: status.0, deployment: status.1 };
    WorkloadNews { lost, ..WorkloadNews::new(&workload, "h", &evaluation, status) }.message()
}

#[test]
fn the_advice_can_be_followed() {
    let check = |kind: &str, expected: &str| {
        let text = message(kind, (VulnerabilitiesFound, Blocked), false, "c (i): 1 critical", &["A"]);
        assert!(text.contains(&format!("Push a fixed image and {expected}, or push it under the same tag")), "{text}");
    };
    check("Deployment", "set it (kubectl set image deployment/web …)");
    check("StatefulSet", "set it (kubectl set image statefulset/web …)");
    check("ReplicaSet", "set it (kubectl set image replicaset/web …) and delete the Pods that wait");
    check("Job", "create job/web again with it (if a CronJob made it: set it there, and delete job/web)");
    check("CronJob", "set it (kubectl set image cronjob/web …)");
    check("Pod", "create pod/web again with it");
    check("Cluster", "set it in cluster/web and delete the Pods that wait");
}

#[test]
fn who_else_keeps_a_workload_from_running_is_named() {
    let evaluation = Evaluation { lines: vec!["proxy (p): 1 critical".to_owned()], ..Evaluation::default() };
    let workload = WorkloadRef {
        namespace: "n".to_owned(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".into(),
        name: "web".to_owned(),
        uid: "u".to_owned(),
    };
    let status = |image, deployment| WorkloadStatus { image, deployment };
    let news = |status| WorkloadNews::new(&workload, "h", &evaluation, status);
    let injected = WorkloadNews { injected: true, ..news(status(VulnerabilitiesFound, Blocked)) };
    assert!(injected.message().contains("image and set it in what injects it"));
    let earlier = WorkloadNews { has_earlier: true, ..news(status(VulnerabilitiesFound, Blocked)) };
    assert!(earlier.message().ends_with("Back to what ran: kubectl scan rollback deployment/web"));
    let paused = WorkloadNews { paused_by_user: true, ..news(status(Approved, RollingOut)) };
    assert!(paused.message().ends_with("by: kubectl rollout resume deployment/web"), "{}", paused.message());
}

#[test]
fn an_update_that_was_refused_is_to_be_applied_again() {
    let check = |image, deployment, expected: &str| {
        let evaluation = Evaluation { lines: vec!["c (i): line".to_owned()], ..Evaluation::default() };
        let workload = WorkloadRef {
            namespace: "n".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "DaemonSet".into(),
            name: "agent".to_owned(),
            uid: "u".to_owned(),
        };
        let status = WorkloadStatus { image, deployment };
        let news = WorkloadNews { refused: true, ..WorkloadNews::new(&workload, "h", &evaluation, status) };
        assert!(news.message().contains(expected), "{}", news.message());
    };
    check(
        NotScanned,
        Created,
        "what runs goes on: held until its images are scanned: c (i): line. Apply it again once",
    );
    check(VulnerabilitiesFound, Blocked, "what runs goes on: blocked by policy: c (i): line");
    check(Approved, RollingOut, "every image is approved: c (i): line. The update that was refused may be applied now");
}

#[test]
fn the_message_of_an_approval_that_ends_or_overrides() {
    let by: tidewaiter_crd::workload_scan::GivenApproval = serde_json::from_value(serde_json::json!({"name": "a",
        "by": "ann", "reason": "INC-42", "breakGlass": true, "expires": "2026-01-02T01:00:00Z"}))
    .unwrap();
    let check = |evaluation: Evaluation, lost: bool, event: &str, expected: &str| {
        let workload = WorkloadRef::of_kind("apps/v1", "Deployment");
        let image = if lost { VulnerabilitiesFound } else { Approved };
        let status = WorkloadStatus { image, deployment: Deployed };
        let news = WorkloadNews { lost, ..WorkloadNews::new(&workload, "h", &evaluation, status) };
        assert_eq!((news.message().as_str(), news.event().as_str(), news.is_bad()), (expected, event, true));
    };
    let clean = Evaluation::default;
    let found = || Evaluation { lines: vec!["c (i): 1 critical".into()], reasons: vec!["A".into()], ..clean() };
    let overridden = |evaluation: Evaluation| Evaluation { break_glass: Some(by.clone()), ..evaluation };
    let ended = |evaluation: Evaluation| Evaluation { ended: Some("ann".to_owned()), ..evaluation };
    let until = "policy is overridden until 2026-01-02T01:00:00Z by ann, who says: INC-42. Then it runs on, and a rollout of \
                 another image is held";
    check(overridden(clean()), false, "BreakGlass", until);
    check(overridden(found()), false, "BreakGlass", &format!("{until}: c (i): 1 critical. A"));
    let over = "the approval by ann has ended. It continues to run; a rollout of another image is held";
    check(ended(clean()), true, "Deployed", over);
    check(ended(found()), true, "Deployed", &format!("{over}: c (i): 1 critical. A"));
}

#[test]
fn the_message_of_what_is_held() {
    let check = |kind: &str, status, line: &str, reasons: &[&str], expected: &str| {
        assert_eq!(message(kind, status, false, line, reasons), expected);
    };
    let deployment = "Deployment";
    check(
        deployment,
        (NotScanned, Created),
        "c (i): waits for its scan",
        &[],
        "held until its images are scanned: c (i): waits for its scan",
    );
    check(
        deployment,
        (ScanFailed, Blocked),
        "c (i): no such tag",
        &[],
        "held: c (i): no such tag. It is scanned again automatically once that is solved; to rescan now: \
         kubectl scan deployment web",
    );
    check(
        "StatefulSet",
        (ScanFailed, Blocked),
        "c (i): no such tag",
        &[],
        "held: c (i): no such tag. It is scanned again automatically once that is solved; to rescan now: \
         kubectl scan image IMAGE",
    );
    check(
        deployment,
        (VulnerabilitiesFound, Blocked),
        "c (i): 1 critical",
        &["A"],
        "blocked by policy: c (i): 1 critical. A. Push a fixed image and set it (kubectl set image deployment/web …), \
         or push it under the same tag and: kubectl scan deployment web",
    );
}

#[test]
fn the_message_of_what_policy_allows() {
    let check = |kind: &str, status, line: &str, reasons: &[&str], expected: &str| {
        assert_eq!(message(kind, status, false, line, reasons), expected);
    };
    let deployment = "Deployment";
    check(
        deployment,
        (NoVulnerabilities, PendingApproval),
        "",
        &[],
        "No vulnerabilities found. Policy allows it; a person must approve: kubectl scan approve deployment/web",
    );
    check(
        "Pod",
        (VulnerabilitiesFound, PendingApproval),
        "c (i): 1 low",
        &[],
        "c (i): 1 low. Policy allows it; a person must approve: kubectl scan approve pod/web",
    );
    check(deployment, (Approved, RollingOut), "", &[], "every image is approved");
    check(deployment, (Approved, Deployed), "c (i): 1 low", &[], "every image is approved: c (i): 1 low");
    check(deployment, (NotScanned, Deployed), "", &[], "runs as before: its images are not scanned yet");
    check(
        deployment,
        (VulnerabilitiesFound, Deployed),
        "c (i): 1 high",
        &[],
        "runs as before; a rollout of another image is held: c (i): 1 high",
    );
}

#[test]
fn some_reasons_are_named_and_the_rest_counted() {
    let check = |reasons: &[&str], expected: &str| {
        let text = message("Deployment", (VulnerabilitiesFound, Deployed), true, "c (i): 1 critical", reasons);
        assert_eq!(
            text,
            format!(
                "a new finding in a running image: c (i): 1 critical. It continues to run; a \
            rollout of another image is held: {expected}"
            )
        );
    };
    check(&["A"], "A");
    check(&["A", "B", "C"], "A; B; C");
    check(&["A", "B", "C", "D", "E"], "A; B; C and 2 more");
}

/// What receivers of alerts choose by.
#[test]
fn states_and_severities_of_news() {
    let workload = WorkloadRef {
        namespace: "n".to_owned(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".into(),
        name: "web".to_owned(),
        uid: "u".to_owned(),
    };
    let check = |image, deployment, change: fn(&mut Evaluation), lost: bool, expected: (AlertState, bool, bool)| {
        let mut evaluation = Evaluation { severity: Some(Severity::High), ..Evaluation::default() };
        change(&mut evaluation);
        let status = WorkloadStatus { image, deployment };
        let news = WorkloadNews { lost, ..WorkloadNews::new(&workload, "h", &evaluation, status) };
        let found = (news.alert_state(), news.severity().is_some(), news.is_over(&WorkloadScanStatus::default()));
        assert_eq!(found, expected, "{image} {deployment} {lost}");
    };
    let same: fn(&mut Evaluation) = |_| {};
    check(NotScanned, Created, same, false, (AlertState::Created, true, false));
    check(VulnerabilitiesFound, Blocked, same, false, (AlertState::Blocked, true, false));
    // A scan that failed hides what else there may be.
    check(ScanFailed, Blocked, same, false, (AlertState::Blocked, false, false));
    check(NoVulnerabilities, PendingApproval, same, false, (AlertState::PendingApproval, true, false));
    check(Approved, RollingOut, same, false, (AlertState::RollingOut, true, true));
    check(Approved, Deployed, same, false, (AlertState::Deployed, true, true));
    // It runs as before: nobody approved it, and it is not held any more.
    check(VulnerabilitiesFound, Deployed, same, false, (AlertState::Deployed, true, true));
    check(NoVulnerabilities, Deployed, same, false, (AlertState::Deployed, true, true));
    check(ScanFailed, Deployed, same, false, (AlertState::Deployed, false, true));
    check(VulnerabilitiesFound, Deployed, same, true, (AlertState::ApprovalLost, true, false));
    let ended: fn(&mut Evaluation) = |evaluation| evaluation.ended = Some("p".to_owned());
    check(NoVulnerabilities, Deployed, ended, true, (AlertState::ApprovalLost, false, false));
    let broken: fn(&mut Evaluation) = |evaluation| {
        let given = serde_json::json!({"name": "a", "by": "p", "uid": "u", "reason": "r"});
        evaluation.break_glass = Some(serde_json::from_value(given).unwrap());
    };
    check(Approved, Deployed, broken, false, (AlertState::BreakGlass, false, false));
}

/// What runs has lost its approval while an update that was refused is approved: the incident is not over.
#[test]
fn an_approved_update_ends_nothing_while_what_runs_is_lost() {
    let check = |lost: bool, is_refused: bool, expected: bool| {
        let running = Revision { lost, ..revision(Decision::Approved, &[]) };
        let mut record = record(&[("a", running)]);
        let refused = || RefusedUpdate { revision: "b".to_owned(), running: Some("a".to_owned()), at: now().into() };
        record.refused = is_refused.then(refused);
        let (workload, evaluation) = (WorkloadRef::of_kind("apps/v1", "DaemonSet"), Evaluation::default());
        let status = WorkloadStatus { image: Approved, deployment: RollingOut };
        let news = WorkloadNews { refused: is_refused, ..WorkloadNews::new(&workload, "b", &evaluation, status) };
        assert_eq!(news.is_over(&record), expected, "{lost} {is_refused}");
    };
    check(true, true, false);
    check(false, true, true);
    // It was applied: what ran before does not run any more.
    check(true, false, true);
}
