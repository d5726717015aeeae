//! Pods without a Deployment are gated one by one.

use crate::{lab, pod, until_field, within};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::PATIENCE;

#[test]
fn a_bare_pod_and_a_directly_created_replica_set() {
    let lab = lab();
    let good = lab.registry.push("good", "v1", &clean().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());

    lab.apply(&pod("bad", &bad)).ok();
    assert_eq!(lab.field("pod/bad", ".spec.schedulingGates[*].name"), "tidewaiter.dev/image-scan");
    lab.apply(&pod("good", &good)).ok();
    until_field(&lab, "pod/good", ".status.phase", "Running");
    assert_eq!(lab.field("pod/good", ".spec.containers[0].image"), format!("{good}@{}", clean().build().digest()));
    assert_eq!(lab.field("pod/good", ".metadata.labels"), r#"{"app":"good"}"#);
    let managers = lab.field("pod/good", ".metadata.managedFields[*].manager");
    assert!(managers.contains("tidewaiter") && !managers.contains("unknown"), "{managers}");
    // Git names the tag; applying it again changes nothing.
    lab.apply(&pod("good", &good)).ok();
    assert_eq!(lab.field("pod/good", ".spec.containers[0].image"), format!("{good}@{}", clean().build().digest()));
    lab.apply(&pod("good", &bad)).refused();

    let set = |name: &str, image: &str| {
        format!(
            r#"{{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{{"name":"{name}"}},"spec":{{"replicas":2,
            "selector":{{"matchLabels":{{"app":"{name}"}}}},"template":{{"metadata":{{"labels":{{"app":"{name}"}}}},
            "spec":{{"containers":[{{"name":"c","image":"{image}"}}]}}}}}}}}"#
        )
    };
    lab.apply(&set("set-good", &good)).ok();
    lab.apply(&set("set-bad", &bad)).ok();
    until_field(&lab, "replicaset/set-good", ".status.readyReplicas", "2");
    for workload in ["pod/good", "replicaset/set-good"] {
        within(PATIENCE, "what runs is deployed", || {
            let said = lab.kubectl(&["scan", "status", workload]).ok();
            said.contains("deployment status  Deployed") && said.contains("Approved  RollingOut")
        });
    }

    // Blocked Pods say why, and remain gated.
    within(PATIENCE, "the Pod is blocked", || {
        let said = lab.kubectl(&["scan", "status", "pod/bad"]).text;
        said.contains("Blocked") && said.contains("3 critical, 5 medium")
    });
    within(PATIENCE, "the ReplicaSet is blocked", || {
        lab.kubectl(&["scan", "status", "replicaset/set-bad"]).text.contains("Blocked")
    });
    assert_eq!(lab.field("pod/bad", ".status.phase"), "Pending");
    assert_eq!(lab.field("pod/bad", ".spec.nodeName"), "");
    assert_eq!(lab.field("replicaset/set-bad", ".status.readyReplicas"), "");
    // A fix under the same tag releases them.
    lab.registry.push("bad", "v1", &clean().build());
    lab.kubectl(&["scan", "image", &bad]).ok();
    until_field(&lab, "pod/bad", ".status.phase", "Running");
    until_field(&lab, "replicaset/set-bad", ".status.readyReplicas", "2");
}

/// With manual approval, bare Pods need one, too.
#[test]
fn a_bare_pod_is_approved_by_a_person() {
    let lab = lab();
    lab.approval("Manual");
    let good = lab.registry.push("good", "v1", &clean().build());
    lab.apply(&pod("good", &good)).ok();
    within(PATIENCE, "the Pod waits for a person", || {
        lab.kubectl(&["scan", "status", "pod/good"]).text.contains("PendingApproval")
    });
    let said = lab.lead(&["scan", "approve", "po/good"]).ok();
    assert!(said.contains("pod/good approved by"), "{said}");
    until_field(&lab, "pod/good", ".status.phase", "Running");
}

/// A Pod that names an approved Deployment as its owner is gated all the same.
#[test]
fn a_forged_owner_opens_nothing() {
    let lab = lab();
    let good = lab.registry.push("good", "v1", &clean().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    crate::create(&lab, "good", &good);
    crate::rolled_out(&lab, "good");
    let set = lab.field("replicasets", ".items[0].metadata.name");
    let uid = lab.field("replicasets", ".items[0].metadata.uid");
    let owner = format!(
        r#""ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{set}","uid":"{uid}","controller":true}}],"#
    );
    // Not the ReplicaSet's labels: its controller would delete the Pod as a surplus one.
    let forged = pod("forged", &bad).replace(r#""labels""#, &format!(r#"{owner}"labels""#));
    lab.apply(&forged).ok();
    assert_eq!(lab.field("pod/forged", ".spec.schedulingGates[*].name"), "tidewaiter.dev/image-scan");
    lab.kubectl(&["scan", "image", &bad]).refused();
    assert_eq!(lab.field("pod/forged", ".spec.schedulingGates[*].name"), "tidewaiter.dev/image-scan");
    assert_eq!(lab.field("pod/forged", ".status.phase"), "Pending");
}
