//! Audit mode: everything runs, and everything is reported.

use crate::{create, lab, pod, rolled_out, until_field, within};
use tidewaiter_testkit::demo::vulnerable;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

#[test]
fn audit_reports_and_holds_nothing() {
    let lab = lab();
    lab.policy(r#"{"spec":{"mode":"Audit"}}"#);
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    // The API server enforces a changed binding with a delay.
    within(PATIENCE, "Pods pass", || {
        lab.kubectl(&["run", "probe", &format!("--image={bad}"), "--dry-run=server"]).code == 0
    });
    let said = create(&lab, "app", &bad);
    assert!(!said.contains("held"), "{said}");
    rolled_out(&lab, "app");
    let bare = lab.registry.push("bare", "v1", &vulnerable().label("for", "bare").build());
    lab.apply(&pod("bare", &bare)).ok();
    until_field(&lab, "pod/bare", ".status.phase", "Running");
    lab.until("app", "VulnerabilitiesFound Deployed");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("3 critical, 5 medium"), "{status}");
    within(PATIENCE, "both images are scanned", || {
        let rows = lab.kubectl(&["get", "imagescans"]).ok();
        rows.contains(&bad) && rows.contains(&bare) && rows.matches("VulnerabilitiesFound").count() == 2
    });
    // Enforced again: what runs continues, what is new is held.
    lab.policy(r#"{"spec":{"mode":"Enforce"}}"#);
    within(PATIENCE, "Deployments are held", || {
        lab.kubectl(&["create", "deployment", "probe", &format!("--image={bad}"), "--dry-run=server"])
            .text
            .contains("held")
    });
    lab.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    rolled_out(&lab, "app");
    lab.kubectl(&["rollout", "restart", "deployment/app"]).ok();
    rolled_out(&lab, "app");
    let said = lab.kubectl(&["set", "image", "deployment/app", &format!("bad={bare}")]).ok();
    assert!(said.contains("held"), "{said}");
    lab.until("app", "VulnerabilitiesFound Blocked");
}

#[test]
fn warn_says_what_would_be_held() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    lab.policy(r#"{"spec":{"mode":"Warn"}}"#);
    let said = within_warning(&lab, &bad, "it is not scanned yet");
    assert!(said.contains("Warning: mode Enforce would hold container"), "{said}");
    create(&lab, "app", &bad);
    rolled_out(&lab, "app");
    lab.until("app", "VulnerabilitiesFound Deployed");
    // Once it is scanned, the warning says what was found.
    within_warning(&lab, &bad, "3 critical, 5 medium");
    let said = lab.apply(&pod("bare", &bad)).ok();
    assert!(said.contains("3 critical, 5 medium"), "{said}");
    until_field(&lab, "pod/bare", ".status.phase", "Running");
    // What changes no template is no reason to warn.
    let said = lab.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    assert!(!said.contains("Warning"), "{said}");
}

/// Waits until creating a Deployment with the image is answered with these words; policies and scans are seen with a delay.
fn within_warning(lab: &Lab, image: &str, words: &str) -> String {
    let mut said = String::new();
    let args = ["create", "deployment", "probe", &format!("--image={image}"), "--dry-run=server"];
    within(PATIENCE, words, || {
        said = lab.kubectl(&args).text;
        said.contains(words)
    });
    said
}

/// Whoever reaches the webhooks can send reviews. One makes the server look at the namespace, and scans nothing that it names.
#[test]
fn a_forged_review_scans_nothing() {
    let lab = lab();
    lab.policy(r#"{"spec":{"mode":"Audit"}}"#);
    let real = lab.registry.push("real", "v1", &vulnerable().build());
    within(PATIENCE, "Pods pass", || {
        lab.kubectl(&["run", "probe", &format!("--image={real}"), "--dry-run=server"]).code == 0
    });
    let forged = format!("{}/forged:v1", lab.registry.host());
    let pod_of_review =
        pod("forged", &forged).replace(r#""spec":{"#, r#""spec":{"imagePullSecrets":[{"name":"stolen"}],"#);
    let review = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","kind":{{"group":"","version":"v1","kind":"Pod"}},"resource":{{"group":"","version":"v1","resource":"pods"}},"name":"forged","namespace":"default","operation":"CREATE","userInfo":{{}},"object":{pod_of_review}}}}}"#
    );
    let said = lab.forge("/pods", &review);
    assert!(said.contains(r#""allowed":true"#), "{said}");
    // In the same look the server finds a Pod that exists.
    lab.apply(&pod("real", &real)).ok();
    within(PATIENCE, "what runs is scanned", || lab.kubectl(&["get", "imagescans"]).ok().contains(&real));
    let all = lab.kubectl(&["get", "imagescans", "-o", "yaml"]).ok();
    assert!(!all.contains("forged") && !all.contains("stolen"), "{all}");
}
