//! The worst container decides.

use crate::{lab, rolled_out};
use tidewaiter_testkit::demo::{clean, vulnerable};

#[test]
fn two_containers_one_clean_and_one_not() {
    let lab = lab();
    let good = lab.registry.push("good", "v1", &clean().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    lab.kubectl(&["create", "deployment", "pair", &format!("--image={good}"), &format!("--image={bad}")]).ok();
    lab.until("pair", "VulnerabilitiesFound Blocked");
    let status = lab.kubectl(&["scan", "status", "deployment/pair"]).ok();
    assert!(status.contains(&format!("bad ({bad}): Vulnerabilities found: 3 critical, 5 medium")), "{status}");
    assert_eq!(lab.kubectl(&["get", "pods", "-o", "name"]).ok(), "");
    // The clean one can be scanned on its own.
    lab.kubectl(&["scan", "image", &good]).ok();
    lab.kubectl(&["set", "image", "deployment/pair", &format!("bad={good}")]).ok();
    rolled_out(&lab, "pair");
    lab.until("pair", "Approved Deployed");
}
