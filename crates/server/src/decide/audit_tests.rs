//! Which changes of a record are decisions, and what an entry says.

use super::*;
use crate::decide::fixtures::{digest, image_scan, now, pinned, record, revision, workload};
use AuditedDecision::{ApprovalLost, Approved, AwaitingApproval, Blocked, Held, Refused, Retained};
use serde_json::{Value, json};
use tidewaiter_core::image::Platform;
use tidewaiter_core::status::WorkloadStatus;
use tidewaiter_crd::workload_scan::RefusedUpdate;

/// A record whose current revision `h` is decided so, with these statuses.
fn of(decision: Decision, statuses: (ImageStatus, DeploymentStatus)) -> WorkloadScanStatus {
    let mut record = record(&[("h", revision(decision, &[("c", "x:1", None)]))]);
    record.current = Some("h".to_owned());
    (record.image_status, record.deployment_status) = statuses;
    record
}

const NEW: (ImageStatus, DeploymentStatus) = (ImageStatus::NotScanned, DeploymentStatus::Created);
const SCANNING: (ImageStatus, DeploymentStatus) = (ImageStatus::Scanning, DeploymentStatus::Created);
const BAD: (ImageStatus, DeploymentStatus) = (ImageStatus::VulnerabilitiesFound, DeploymentStatus::Blocked);
const FAILED: (ImageStatus, DeploymentStatus) = (ImageStatus::ScanFailed, DeploymentStatus::Blocked);
const GOOD: (ImageStatus, DeploymentStatus) = (ImageStatus::NoVulnerabilities, DeploymentStatus::PendingApproval);
const RUNS: (ImageStatus, DeploymentStatus) = (ImageStatus::Approved, DeploymentStatus::RollingOut);

fn only(before: Option<&WorkloadScanStatus>, after: &WorkloadScanStatus) -> Option<AuditedDecision> {
    changes(before, after).into_iter().map(|(_, decision)| decision).next()
}

#[test]
fn a_change_of_a_decision_is_logged_once() {
    let check = |before: Option<WorkloadScanStatus>, after: WorkloadScanStatus, expected: Option<AuditedDecision>| {
        assert_eq!(only(before.as_ref(), &after), expected, "{before:?} {after:?}");
        assert_eq!(only(Some(&after), &after), None, "the same again: {after:?}");
    };
    check(None, of(Decision::Held, NEW), Some(Held));
    check(None, of(Decision::Retained, NEW), Some(Retained));
    check(None, of(Decision::Approved, RUNS), Some(Approved));
    check(Some(of(Decision::Held, NEW)), of(Decision::Held, SCANNING), None);
    check(Some(of(Decision::Held, SCANNING)), of(Decision::Held, BAD), Some(Blocked));
    check(Some(of(Decision::Held, SCANNING)), of(Decision::Held, FAILED), Some(Blocked));
    check(Some(of(Decision::Held, SCANNING)), of(Decision::Held, GOOD), Some(AwaitingApproval));
    check(Some(of(Decision::Held, GOOD)), of(Decision::Held, BAD), Some(Blocked));
    check(Some(of(Decision::Held, BAD)), of(Decision::Approved, RUNS), Some(Approved));
    check(Some(of(Decision::Held, SCANNING)), of(Decision::Approved, RUNS), Some(Approved));
    // A rollout goes on: no decision.
    let deployed = (ImageStatus::Approved, DeploymentStatus::Deployed);
    check(Some(of(Decision::Approved, RUNS)), of(Decision::Approved, deployed), None);
    check(Some(of(Decision::Held, BAD)), of(Decision::Held, SCANNING), None);
    let mut lost = of(Decision::Retained, deployed);
    lost.revisions.get_mut("h").unwrap().lost = true;
    check(Some(of(Decision::Approved, deployed)), lost.clone(), Some(ApprovalLost));
    check(Some(lost), of(Decision::Approved, deployed), Some(Approved));
    check(Some(of(Decision::Retained, deployed)), of(Decision::Held, NEW), Some(Held));
    let refused = |statuses| WorkloadScanStatus {
        refused: Some(RefusedUpdate { revision: "h".into(), running: None, at: now().into() }),
        ..of(Decision::Held, statuses)
    };
    check(None, refused(NEW), Some(Refused));
    check(Some(refused(NEW)), refused(BAD), Some(Blocked));
}

#[test]
fn of_another_revision_only_the_decision_counts() {
    let pair = |other: Decision| {
        let mut record = of(Decision::Approved, RUNS);
        record.revisions.insert("other".into(), revision(other, &[("c", "x:0", None)]));
        record
    };
    let check = |before: Decision, after: Decision, expected: &[(&str, AuditedDecision)]| {
        let expected: Vec<_> = expected.iter().map(|(hash, decision)| ((*hash).to_owned(), *decision)).collect();
        assert_eq!(changes(Some(&pair(before)), &pair(after)), expected);
    };
    check(Decision::Held, Decision::Held, &[]);
    check(Decision::Held, Decision::Approved, &[("other", Approved)]);
    check(Decision::Approved, Decision::Retained, &[("other", Retained)]);
}

#[test]
fn a_scan_that_fails_again_is_logged_once() {
    let mut record = of(Decision::Held, NEW);
    record.revisions.get_mut("h").unwrap().added = Some(now().into());
    let mut logged = Vec::new();
    let scans = [SCANNING, FAILED, SCANNING, FAILED, SCANNING, FAILED, SCANNING, BAD, SCANNING, BAD, SCANNING, FAILED];
    for (image, deployment) in scans {
        let before = record.clone();
        crate::decide::record::transition(&mut record, WorkloadStatus { image, deployment }, now());
        logged.extend(only(Some(&before), &record).map(|decision| (decision, image)));
    }
    use ImageStatus::{ScanFailed, VulnerabilitiesFound};
    assert_eq!(logged, [(Blocked, ScanFailed), (Blocked, VulnerabilitiesFound), (Blocked, ScanFailed)]);
}

/// A template that fails as the one before it did is another decision.
#[test]
fn what_was_logged_of_another_revision_does_not_count() {
    let later = now().checked_add(jiff::ToSpan::seconds(5)).unwrap();
    let mut record = of(Decision::Held, NEW);
    record.revisions.get_mut("h").unwrap().added = Some(now().into());
    let fail = |record: &mut WorkloadScanStatus, (image, deployment), at| {
        crate::decide::record::transition(record, WorkloadStatus { image, deployment }, at);
    };
    fail(&mut record, SCANNING, now());
    fail(&mut record, FAILED, now());
    record.revisions.insert("next".into(), revision(Decision::Held, &[("c", "x:2", None)]));
    record.revisions.get_mut("next").unwrap().added = Some(later.into());
    record.current = Some("next".into());
    fail(&mut record, SCANNING, later);
    let before = record.clone();
    fail(&mut record, FAILED, later);
    assert_eq!(changes(Some(&before), &record), [("next".to_owned(), Blocked)]);
}

#[test]
fn an_entry_says_what_why_by_whom_and_until_when() {
    let status = json!({"imageStatus": "VulnerabilitiesFound", "observedGeneration": 1, "digest": digest(1),
        "verdict": "Pass", "database": "db", "exceptions": ["accepted"]});
    let scans = KnownScans::new([image_scan("x:1", status)], vec![Platform::new("linux", "amd64")]);
    let exception = |name: &str| {
        let spec = json!({"vulnerabilities": ["CVE-1"], "reason": "no input from outside", "expires": "2026-09-01",
            "requestedBy": "ann", "approvedBy": "bob"});
        ScanException::new(name, serde_json::from_value(spec).unwrap())
    };
    let given: GivenApproval = serde_json::from_value(json!({"name": "approval", "by": "carl"})).unwrap();
    let (used, unused) = (exception("accepted"), exception("other"));
    let workload = workload();
    let pin = pinned("x:1", 1);
    let check = |decision: Decision, audited: AuditedDecision, pin: Option<&str>, by: Value| {
        let facts = AuditFacts {
            workload: &workload,
            scans: &scans,
            policies: vec!["default".to_owned()],
            approval: ApprovalMode::Manual,
            exceptions: vec![&used, &unused],
        };
        let mut revision = revision(decision, &[("c", "x:1", pin)]);
        revision.approved_by = if by.is_null() { vec![] } else { vec![given.clone()] };
        let entry = entry(("h".to_owned(), audited), &revision, &facts, now());
        let mut expected = json!({"time": "2026-01-02T00:00:00Z", "decision": audited, "namespace": "n",
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u", "revision": "h",
            "images": [{"container": "c", "image": "x:1", "pinned": pinned("x:1", 1), "verdict": "Pass",
                "database": "db", "exceptions": ["accepted"]}],
            "policies": ["default"], "approval": "Manual",
            "exceptions": [{"name": "accepted", "vulnerabilities": ["CVE-1"], "reason": "no input from outside",
                "requestedBy": "ann", "approvedBy": "bob", "expires": "2026-09-01"}]});
        if !by.is_null() {
            expected["approvedBy"] = by;
        }
        assert_eq!(serde_json::to_value(entry).unwrap(), expected);
    };
    let by = json!([{"name": "approval", "by": "carl"}]);
    check(Decision::Approved, Approved, Some(&pin), by);
    check(Decision::Held, AwaitingApproval, None, Value::Null);
}
