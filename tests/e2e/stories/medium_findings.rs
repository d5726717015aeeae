//! Findings that the policy allows are approved automatically.

use crate::{create, lab, rolled_out};
use tidewaiter_testkit::demo::medium;

#[test]
fn medium_findings_are_approved_automatically() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &medium().build());
    create(&lab, "app", &image);
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("Vulnerabilities found: 3 medium"), "{status}");
    let path = ".items[0].status.transitions[*].imageStatus";
    let images = lab.field("workloadscans", path);
    assert!(images.ends_with("Approved") && !images.contains("ScanFailed"), "{images}");
    // A stricter policy stops nothing, and no restart; another image is held.
    lab.policy(r#"{"spec":{"blockAt":"MEDIUM"}}"#);
    lab.until("app", "VulnerabilitiesFound Deployed");
    lab.kubectl(&["rollout", "restart", "deployment/app"]).ok();
    rolled_out(&lab, "app");
    let next = lab.registry.push("app", "v2", &medium().label("version", "2").build());
    let said = lab.kubectl(&["set", "image", "deployment/app", &format!("app={next}")]).ok();
    assert!(said.contains("held"), "{said}");
    lab.until("app", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("deployment/app", ".status.readyReplicas"), "1");
    // A laxer one releases it.
    lab.policy(r#"{"spec":{"blockAt":"CRITICAL"}}"#);
    rolled_out(&lab, "app");
}
