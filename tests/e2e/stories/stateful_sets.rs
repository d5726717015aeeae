//! StatefulSets and DaemonSets: a held update is reverted or fixed without anybody deleting Pods.

use crate::{lab, until_field, within};
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

fn manifest(kind: &str, image: &str) -> String {
    // Else an update would be refused until it is approved.
    let surge = r#""updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1,"maxUnavailable":0}},"#;
    let own = if kind == "StatefulSet" { r#""serviceName":"db","replicas":2,"# } else { surge };
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"{kind}","metadata":{{"name":"db"}},"spec":{{{own}"selector":{{"matchLabels":
        {{"app":"db"}}}},"template":{{"metadata":{{"labels":{{"app":"db"}}}},"spec":{{"containers":[{{"name":"db","image":
        "{image}"}}]}}}}}}}}"#
    )
}

#[track_caller]
fn until_status(lab: &Lab, workload: &str, words: &str) {
    within(PATIENCE, &format!("{workload} is {words}"), || {
        let said = lab.kubectl(&["scan", "status", workload]).text;
        words.split(' ').all(|word| said.contains(word))
            && said.lines().nth(2).is_some_and(|l| l.ends_with(words.rsplit(' ').next().unwrap_or_default()))
    });
}

/// An update whose images are not approved is refused, and goes through once they are.
#[test]
fn no_member_is_missing_during_an_update() {
    let lab = lab();
    let good = lab.registry.push("db", "v1", &clean().build());
    let bad = lab.registry.push("db", "v2", &vulnerable().build());
    let set = "statefulset/db";
    lab.apply(&manifest("StatefulSet", &good)).ok();
    until_field(&lab, set, ".status.readyReplicas", "2");
    until_status(&lab, set, "Approved Deployed");
    let pods = lab.field("pods", ".items[*].metadata.uid");
    let said = lab.apply(&manifest("StatefulSet", &bad)).refused();
    assert!(said.contains("statefulset/db is unchanged, so that no member is missing"), "{said}");
    until_status(&lab, set, "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("pods", ".items[*].metadata.uid"), pods);
    // Scaling is no update.
    lab.kubectl(&["scale", set, "--replicas=3"]).ok();
    until_field(&lab, set, ".status.readyReplicas", "3");
    // The fix under the same tag.
    lab.apply(&manifest("StatefulSet", &bad)).refused();
    lab.registry.push("db", "v2", &distinct("fixed"));
    lab.kubectl(&["scan", "image", &bad]).ok();
    within(PATIENCE, "the update goes through", || lab.apply(&manifest("StatefulSet", &bad)).code == 0);
    lab.kubectl(&["rollout", "status", set, "--timeout=60s"]).ok();
    until_status(&lab, set, "Approved Deployed");
}

/// With the server away an update is accepted, and one member waits.
#[test]
fn a_blocked_update_is_reverted_and_fixed() {
    let mut lab = lab();
    let good = lab.registry.push("db", "v1", &clean().build());
    let bad = lab.registry.push("db", "v2", &vulnerable().build());
    let fixed = lab.registry.push("db", "v3", &distinct("fixed"));
    let set = "statefulset/db";
    lab.apply(&manifest("StatefulSet", &good)).ok();
    until_field(&lab, set, ".status.readyReplicas", "2");
    until_status(&lab, set, "Approved Deployed");
    // The revert.
    update_unseen(&mut lab, set, &bad);
    until_status(&lab, set, "VulnerabilitiesFound Blocked");
    lab.kubectl(&["rollout", "undo", set]).ok();
    lab.kubectl(&["rollout", "status", set, "--timeout=60s"]).ok();
    until_field(&lab, set, ".status.readyReplicas", "2");
    until_status(&lab, set, "Approved Deployed");
    // The fix.
    update_unseen(&mut lab, set, &bad);
    until_status(&lab, set, "VulnerabilitiesFound Blocked");
    lab.kubectl(&["set", "image", set, &format!("db={fixed}")]).ok();
    lab.kubectl(&["rollout", "status", set, "--timeout=60s"]).ok();
    until_status(&lab, set, "Approved Deployed");
}

/// Sets an image while the server is away; its controller makes the new Pod once the server is back.
fn update_unseen(lab: &mut Lab, set: &str, image: &str) {
    lab.kill_server();
    lab.kubectl(&["set", "image", set, &format!("db={image}")]).ok();
    until_field(lab, set, ".status.readyReplicas", "1");
    lab.start_server();
    // Its controller was refused the Pod, and comes back after ever longer pauses; any change brings it back at once.
    lab.kubectl(&["annotate", set, "--overwrite", &format!("at={image}")]).ok();
}

/// A first version that is blocked: its revision is the current one for Kubernetes, although it never ran.
#[test]
fn a_blocked_first_version_is_fixed() {
    let lab = lab();
    let bad = lab.registry.push("db", "v1", &vulnerable().build());
    let good = lab.registry.push("db", "v2", &clean().build());
    lab.apply(&manifest("StatefulSet", &bad)).ok();
    until_status(&lab, "statefulset/db", "VulnerabilitiesFound Blocked");
    lab.apply(&manifest("StatefulSet", &good)).ok();
    lab.kubectl(&["rollout", "status", "statefulset/db", "--timeout=60s"]).ok();
    until_status(&lab, "statefulset/db", "Approved Deployed");
}

#[test]
fn a_daemon_set_that_went_back_is_not_blocked_any_more() {
    let lab = lab();
    let good = lab.registry.push("db", "v1", &clean().build());
    let bad = lab.registry.push("db", "v2", &vulnerable().build());
    let set = "daemonset/db";
    lab.apply(&manifest("DaemonSet", &good)).ok();
    until_field(&lab, set, ".status.numberReady", "1");
    until_status(&lab, set, "Approved Deployed");
    lab.kubectl(&["set", "image", set, &format!("db={bad}")]).ok();
    until_status(&lab, set, "VulnerabilitiesFound Blocked");
    lab.kubectl(&["rollout", "undo", set]).ok();
    lab.kubectl(&["rollout", "status", set, "--timeout=60s"]).ok();
    until_status(&lab, set, "Approved Deployed");
}
