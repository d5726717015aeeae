//! Uninstalling: every workload continues to run.

use crate::{WITH_GATE, create, kubernetes, lab, pod, registrations, rolled_out, until_field, within};
use tidewaiter_testkit::demo::vulnerable;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Has a Deployment, a paused one and a bare Pod blocked; returns their image.
fn held(lab: &Lab) -> String {
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(lab, "app", &bad);
    lab.apply(&pod("bare", &bad)).ok();
    lab.until("app", "VulnerabilitiesFound Blocked");
    let own =
        lab.kubectl(&["create", "deployment", "own", &format!("--image={bad}"), "--dry-run=client", "-o", "json"]).ok();
    lab.apply(&own.replacen(r#""replicas": 1,"#, r#""replicas": 1, "paused": true,"#, 1)).ok();
    lab.until("own", "VulnerabilitiesFound Blocked");
    bad
}

#[test]
fn uninstall_leaves_nothing_held() {
    let mut lab = lab();
    held(&lab);
    if kubernetes() >= WITH_GATE {
        assert_eq!(lab.admin(&["get", "mutatingadmissionpolicybindings", "-o", "name"]).ok().lines().count(), 3);
    }
    lab.kill_server();
    let said = lab.uninstall().ok();
    assert!(said.contains("done"), "{said}");
    rolled_out(&lab, "app");
    until_field(&lab, "pod/bare", ".status.phase", "Running");
    // A user's own pause remains.
    assert_eq!(lab.field("deployment/own", ".spec.paused"), "true");
    assert_eq!(lab.admin(&["get", &registrations(), "-o", "name"]).ok(), "");
    assert!(!lab.admin(&["get", "crd", "-o", "name"]).ok().contains("tidewaiter.dev"));
    // Conditions and annotations are removed, too.
    assert!(!lab.kubectl(&["get", "deployment", "own", "-o", "json"]).ok().contains("tidewaiter.dev"));
    let sets = lab.kubectl(&["get", "replicasets", "-o", "json"]).ok();
    assert!(sets.contains("ReplicaSet") && !sets.contains("tidewaiter.dev"), "{sets}");
    // So is the installation itself.
    let roles = lab.admin(&["get", "clusterroles,clusterrolebindings", "-o", "name"]).ok();
    assert!(!roles.contains("tidewaiter"), "{roles}");
    within(PATIENCE, "the namespace goes", || lab.admin(&["get", "namespace", "tidewaiter-system"]).code != 0);
    // A second run finds nothing to do.
    lab.uninstall().ok();
}

/// The obvious order: the manifests first. Nothing is refused afterwards, and uninstalling then releases what is held.
#[test]
fn deleting_the_manifests_first() {
    let mut lab = lab();
    let bad = held(&lab);
    let root = lab.root().to_owned();
    // It deletes the definitions before the default policy, and fails there.
    let said = lab.shell(&root, "kubectl delete -f deploy/ --wait=false").text;
    assert!(said.contains(r#"clusterrole.rbac.authorization.k8s.io "tidewaiter" deleted"#), "{said}");
    // Its rights and its token went with them; on a real cluster, so does its Pod.
    lab.kill_server();
    within(PATIENCE, "the registrations go", || lab.admin(&["get", &registrations(), "-o", "name"]).ok().is_empty());
    // The API server enforces a deleted binding for a second or so.
    within(PATIENCE, "Pods pass", || crate::would_start(&lab, &bad));
    lab.apply(&pod("new", &bad)).ok();
    until_field(&lab, "pod/new", ".status.phase", "Running");
    within(PATIENCE, "the definitions go", || {
        !lab.admin(&["get", "crd", "-o", "name"]).ok().contains("tidewaiter.dev")
    });
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "true");
    lab.uninstall().ok();
    rolled_out(&lab, "app");
    until_field(&lab, "pod/bare", ".status.phase", "Running");
    assert_eq!(lab.field("deployment/own", ".spec.paused"), "true");
    let all = lab.kubectl(&["get", "deployments", "-o", "json"]).ok();
    assert!(!all.contains("tidewaiter.dev"), "{all}");
}
