//! A team requires more than the cluster does, in its own namespace, and can take nothing away.

use crate::{create, lab, rolled_out, within};
use tidewaiter_testkit::demo::{medium, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// A ScanPolicy of the namespace, written by who may.
fn own(lab: &Lab, spec: &str) -> String {
    let object = format!(
        r#"{{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ScanPolicy","metadata":{{"name":"own","namespace":"default"}},"spec":{spec}}}"#
    );
    let file = lab.cluster.dir().join("own.json");
    std::fs::write(&file, object).unwrap();
    lab.lead(&["apply", "-f", &file.display().to_string()]).ok()
}

#[test]
fn a_team_is_stricter_than_the_cluster() {
    let lab = lab();
    let mild = lab.registry.push("mild", "v1", &medium().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    lab.policy(r#"{"spec":{"mode":"Warn"}}"#);
    within(PATIENCE, "the cluster only warns", || {
        lab.kubectl(&["run", "probe", &format!("--image={bad}"), "--dry-run=server"]).code == 0
    });
    // Developers read it, and change nothing.
    own(&lab, r#"{"mode":"Enforce","blockAt":"MEDIUM"}"#);
    assert!(lab.kubectl(&["get", "scanpolicies"]).ok().contains("Enforce"));
    lab.kubectl(&["delete", "scanpolicy", "own"]).refused();
    within(PATIENCE, "the namespace is enforced", || {
        let dry = ["create", "deployment", "probe", &format!("--image={mild}"), "--dry-run=server"];
        lab.kubectl(&dry).text.contains("held")
    });
    create(&lab, "mild", &mild);
    lab.until("mild", "VulnerabilitiesFound Blocked");
    // What it says more leniently than the cluster counts for nothing.
    lab.policy(r#"{"spec":{"mode":"Enforce","blockAt":"CRITICAL"}}"#);
    own(&lab, r#"{"mode":"Audit","unrated":"Allow","incomplete":"Allow"}"#);
    rolled_out(&lab, "mild");
    create(&lab, "bad", &bad);
    lab.until("bad", "VulnerabilitiesFound Blocked");
}
