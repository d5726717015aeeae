//! Jobs are suspended until their images are approved: no deadline runs, and no Pod is made.

use crate::{lab, until_field, within};
use std::thread::sleep;
use std::time::Duration;
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// A Job; `more` are further fields of its spec.
fn manifest(name: &str, image: &str, more: &str) -> String {
    format!(
        r#"{{"apiVersion":"batch/v1","kind":"Job","metadata":{{"name":"{name}"}},"spec":{{{more}"template":{{"metadata":
        {{"labels":{{"app":"{name}"}}}},"spec":{{"restartPolicy":"Never","containers":[{{"name":"c","image":"{image}"}}]}}}}}}}}"#
    )
}

fn suspended(lab: &Lab, name: &str) -> bool {
    lab.field(&format!("job/{name}"), ".spec.suspend") == "true"
}

/// Waits for a line of `kubectl scan status`.
#[track_caller]
fn until_status(lab: &Lab, name: &str, words: &str) {
    within(PATIENCE, &format!("job/{name} is {words}"), || {
        let said = lab.kubectl(&["scan", "status", &format!("job/{name}")]).text;
        words.split(' ').all(|word| said.contains(word))
    });
}

#[test]
fn a_clean_job_runs() {
    let lab = lab();
    let image = lab.registry.push("job", "v1", &clean().build());
    let said = lab.apply(&manifest("good", &image, "")).ok();
    assert!(said.contains("follow it with: kubectl scan status job/good"), "{said}");
    lab.kubectl(&["scan", "wait", "job/good", "--timeout=60s"]).ok();
    until_field(&lab, "job/good", ".status.active", "1");
    assert!(!suspended(&lab, "good"));
    assert_eq!(lab.field("job/good", r".metadata.annotations.tidewaiter\.dev/held-for"), "");
    assert!(crate::pod_images(&lab, "good").iter().all(|image| image.contains("@sha256:")));
    // The field is nobody's that applies manifests.
    let own = manifest("good", &image, r#""suspend":true,"#);
    lab.cluster.with_input(&["apply", "--server-side", "--field-manager=kubectl", "-f", "-"], &own).ok();
}

#[test]
fn a_blocked_job_fails_no_deadline_and_runs_once_it_is_fixed() {
    let lab = lab();
    let image = lab.registry.push("job", "v1", &vulnerable().build());
    lab.apply(&manifest("bad", &image, r#""activeDeadlineSeconds":1,"backoffLimit":0,"#)).ok();
    until_status(&lab, "bad", "VulnerabilitiesFound Blocked");
    lab.kubectl(&["scan", "wait", "job/bad", "--timeout=60s"]).refused();
    // Users do not end the hold, and the same manifest changes nothing.
    for patch in [r#"{"spec":{"suspend":false}}"#, r#"{"spec":{"suspend":null}}"#] {
        let refused = lab.kubectl(&["patch", "job/bad", "--type=merge", "-p", patch]).refused();
        assert!(refused.contains("job/bad is held until its images are approved"), "{refused}");
    }
    lab.apply(&manifest("bad", &image, r#""activeDeadlineSeconds":1,"backoffLimit":0,"#)).ok();
    // Longer than the deadline.
    sleep(Duration::from_secs(3));
    assert!(suspended(&lab, "bad") && crate::pod_images(&lab, "bad").is_empty());
    assert!(!lab.field("job/bad", ".status.conditions").contains("Failed"));
    let events = lab.kubectl(&["events", "--for=job/bad"]).ok();
    assert!(events.contains("blocked by policy"), "{events}");
    lab.registry.push("job", "v1", &clean().build());
    lab.kubectl(&["scan", "image", &image]).ok();
    within(PATIENCE, "the Job has run", || !lab.field("job/bad", ".status.startTime").is_empty());
    assert!(!suspended(&lab, "bad"));
}

#[test]
fn a_users_own_suspension_stays() {
    let lab = lab();
    let image = lab.registry.push("job", "v1", &clean().build());
    lab.apply(&manifest("own", &image, r#""suspend":true,"#)).ok();
    until_status(&lab, "own", "Approved its user suspended it");
    assert!(suspended(&lab, "own"));
    until_field(&lab, "job/own", r".metadata.annotations.tidewaiter\.dev/user-pause", "");
    lab.kubectl(&["patch", "job/own", "-p", r#"{"spec":{"suspend":false}}"#]).ok();
    until_field(&lab, "job/own", ".status.active", "1");
}

/// The gate is the second layer: a Job that the webhook does not see has Pods that wait, or are refused.
#[test]
fn a_job_that_was_created_while_the_server_was_away() {
    let mut lab = lab();
    let bad = lab.registry.push("job", "bad", &vulnerable().build());
    let good = lab.registry.push("job", "good", &clean().build());
    lab.kill_server();
    for (name, image) in [("bad", &bad), ("good", &good)] {
        lab.apply(&manifest(name, image, "")).ok();
    }
    sleep(Duration::from_secs(2));
    lab.start_server();
    until_status(&lab, "bad", "VulnerabilitiesFound Blocked");
    within(Duration::from_secs(90), "the Pod starts", || lab.field("job/good", ".status.ready") == "1");
    assert!(!suspended(&lab, "bad") && lab.field("job/bad", ".status.ready") != "1");
    // The server never suspended it: a suspension that somebody sets now is theirs, and outlives the approval.
    lab.kubectl(&["patch", "job/bad", "-p", r#"{"spec":{"suspend":true}}"#]).ok();
    lab.registry.push("job", "bad", &distinct("fixed"));
    lab.kubectl(&["scan", "image", &bad]).ok();
    until_status(&lab, "bad", "Approved its user suspended it");
    assert!(suspended(&lab, "bad"));
}

#[test]
fn a_person_approves_a_job() {
    let lab = lab();
    lab.approval("Manual");
    let image = lab.registry.push("job", "v1", &clean().build());
    lab.apply(&manifest("manual", &image, "")).ok();
    until_status(&lab, "manual", "PendingApproval kubectl scan approve job/manual");
    assert!(suspended(&lab, "manual"));
    lab.lead(&["scan", "approve", "job/manual"]).ok();
    until_field(&lab, "job/manual", ".status.active", "1");
}
