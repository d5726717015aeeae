//! The main flow: create, scan, hold, fix, approve, roll out.

use crate::{create, lab, rolled_out, until_field};
use tidewaiter_testkit::demo::{clean, vulnerable};

#[test]
fn the_six_steps() {
    let lab = lab();
    lab.approval("Manual");
    let v1 = lab.registry.push("myapp", "v1", &vulnerable().build());
    let fixed = v1.replace(":v1", ":v1-fixed");

    // 0. Nothing exists.
    assert_eq!(lab.statuses("myapp"), "NotScanned NotCreated");

    // 1. A Deployment is created: accepted, held, no Pod.
    let said = lab.kubectl(&["create", "deployment", "myapp", &format!("--image={v1}")]).ok();
    assert!(said.contains("Warning: held: image scan running"), "{said}");
    assert!(said.contains("deployment.apps/myapp created"), "{said}");
    assert_eq!(lab.field("deployment/myapp", ".spec.paused"), "true");

    // 2 and 3. Scanned automatically; the CLI follows the scan.
    let said = lab.kubectl(&["scan", "image", &v1]);
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(said.text.contains(&format!("Scan started for image {v1}")), "{}", said.text);
    let last = said.text.lines().rfind(|l| l.starts_with("Vulnerabilities found")).unwrap_or_default();
    assert_eq!(last, "Vulnerabilities found: 3 critical, 5 medium");

    // 4. Policy blocks; Event and condition say which CVEs, packages, fixed versions, and what to do.
    lab.until("myapp", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.kubectl(&["get", "pods,replicasets", "-o", "name"]).ok(), "");
    let condition =
        lab.field("deployment/myapp", r#".status.conditions[?(@.type=="tidewaiter.dev/ImageApproved")].message"#);
    for word in ["CVE-", "(critical)", "fixed in", "3 critical, 5 medium", "kubectl set image deployment/myapp"] {
        assert!(condition.contains(word), "{word}: {condition}");
    }
    let events = lab.kubectl(&["get", "events", "--field-selector", "involvedObject.name=myapp"]).ok();
    assert!(events.contains("Warning") && events.contains("Blocked") && events.contains("CVE-"), "{events}");
    let refused = lab.lead(&["scan", "approve", "deployment/myapp"]).refused();
    assert!(refused.contains("cannot be approved") && refused.contains("CVE-"), "{refused}");

    // 5. The fix is pushed, scanned, and set.
    lab.registry.push("myapp", "v1-fixed", &clean().build());
    let said = lab.kubectl(&["scan", "image", &fixed]).ok();
    assert!(said.contains("No vulnerabilities found"), "{said}");
    lab.kubectl(&["set", "image", "deployment/myapp", &format!("myapp={fixed}")]).ok();
    lab.until("myapp", "NoVulnerabilities PendingApproval");
    assert_eq!(lab.kubectl(&["get", "pods", "-o", "name"]).ok(), "");

    // 6. A person approves; the rollout succeeds, with the digest that was scanned.
    let said = lab.lead(&["scan", "approve", "deployment/myapp", "--reason=fixed"]).ok();
    assert!(said.contains("approved by system:serviceaccount:people:lead"), "{said}");
    rolled_out(&lab, "myapp");
    lab.until("myapp", "Approved Deployed");
    let running = lab.field("pods", ".items[*].spec.containers[*].image");
    assert!(running.starts_with(&format!("{fixed}@sha256:")), "{running}");
    assert_eq!(lab.field("deployment/myapp", ".spec.template.spec.containers[0].image"), fixed);
}

/// What was scanned for another Deployment a moment ago is decided at once, and said as for any other.
#[test]
fn a_known_image_has_its_condition() {
    let lab = lab();
    let bad = lab.registry.push("myapp", "v1", &vulnerable().build());
    create(&lab, "first", &bad);
    lab.until("first", "VulnerabilitiesFound Blocked");
    create(&lab, "second", &bad);
    let condition = r#".status.conditions[?(@.type=="tidewaiter.dev/ImageApproved")].reason"#;
    until_field(&lab, "deployment/second", condition, "VulnerabilitiesFound");
}

/// Every transition is recorded, in order.
#[test]
fn the_record_has_every_transition() {
    let lab = lab();
    let image = lab.registry.push("told", "v1", &vulnerable().build());
    crate::create(&lab, "told", &image);
    lab.until("told", "VulnerabilitiesFound Blocked");
    let path = ".items[0].status.transitions[*].deploymentStatus";
    let told = lab.field("workloadscans", path);
    assert!(told.starts_with("Created") && told.ends_with("Blocked"), "{told}");
    lab.kubectl(&["delete", "deployment", "told"]).ok();
    // A Deployment of the same name is another workload.
    crate::within(tidewaiter_testkit::lab::PATIENCE, "the record goes with its workload", || {
        lab.kubectl(&["get", "workloadscans", "-o", "name"]).ok().is_empty()
    });
    assert_eq!(lab.statuses("told"), "NotScanned NotCreated");
}
