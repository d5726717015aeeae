//! Namespaces are created and deleted.

use crate::{as_before_1_36, create, lab, places, pod, rolled_out, until_field, within};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

#[test]
fn a_namespace_is_deleted_with_everything_in_it() {
    let lab = lab();
    let good = lab.registry.push("good", "v1", &clean().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    lab.new_namespace("going");
    create(&lab, "good", &good);
    create(&lab, "bad", &bad);
    lab.apply(&pod("bare", &bad)).ok();
    rolled_out(&lab, "good");
    lab.until("bad", "VulnerabilitiesFound Blocked");
    within(PATIENCE, "there is a list", || !lab.field("imageallowlist/images", ".spec.digests").is_empty());
    lab.admin(&["delete", "namespace", "going", "--timeout=60s"]).ok();
    lab.work_in("default");
    assert!(lab.admin(&["get", "namespace", "going"]).refused().contains("NotFound"));
    // A new namespace of the same name inherits nothing.
    lab.admin(&["create", "namespace", "going"]).ok();
    let again = lab.admin(&["create", "deployment", "bad", "-n", "going", &format!("--image={bad}")]).ok();
    assert!(again.contains("held"), "{again}");
}

#[test]
fn a_namespace_created_while_the_server_is_down() {
    let mut lab = lab();
    let good = lab.registry.push("good", "v1", &clean().build());
    lab.kill_server();
    as_before_1_36(&lab);
    lab.new_namespace("new");
    within(PATIENCE, "the namespace is ready", || lab.kubectl(&["get", "serviceaccount", "default"]).code == 0);
    let refused = lab.apply(&pod("bare", &good)).refused();
    // Without its list every Pod is refused; the API server chooses which policy's message it returns.
    let texts = ["not approved here and tidewaiter", "no params found"];
    assert!(texts.iter().any(|text| refused.contains(text)), "{refused}");
    create(&lab, "app", &good);
    within(PATIENCE, "the ReplicaSet's Pods are refused", || {
        lab.field("replicasets", ".items[0].status.conditions[?(@.type==\"ReplicaFailure\")].status") == "True"
    });
    lab.start_server();
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    lab.apply(&pod("bare", &good)).ok();
    until_field(&lab, "pod/bare", ".status.phase", "Running");
}

/// Excluded namespaces are not touched.
#[test]
fn an_excluded_namespace() {
    let mut lab = Lab::new(places());
    lab.start_server_with(&["--exclude-namespace", "kube-system", "--exclude-namespace", "apart"]);
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    lab.new_namespace("apart");
    let said = create(&lab, "bad", &bad);
    assert!(!said.contains("held"), "{said}");
    rolled_out(&lab, "bad");
    assert_eq!(pod_names(&lab).len(), 1);
    assert_eq!(lab.kubectl(&["get", "workloadscans,imagescans", "-o", "name"]).ok(), "");
    let status = lab.lead(&["scan", "approve", "deployment/bad"]).refused();
    assert!(status.contains("excluded"), "{status}");
}

fn pod_names(lab: &Lab) -> Vec<String> {
    lab.kubectl(&["get", "pods", "-o", "name"]).ok().lines().map(str::to_owned).collect()
}
