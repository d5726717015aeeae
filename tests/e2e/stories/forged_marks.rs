//! Users set our own marks, and go around the scheduler: nothing unapproved starts.

use crate::{lab, pod, within};
use std::time::Duration;
use tidewaiter_testkit::demo::vulnerable;
use tidewaiter_testkit::lab::PATIENCE;

#[test]
fn every_mark_at_creation_releases_nothing() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let marks = r#""annotations":{"tidewaiter.dev/held-for":"0000000000000000","tidewaiter.dev/user-pause":"true",
        "tidewaiter.dev/nudged":"2026-01-01T00:00:00Z","tidewaiter.dev/unreviewed":"done","tidewaiter.dev/ImageApproved":"True","tidewaiter.dev/approved":"true"}"#;
    let template = format!(
        r#"{{"metadata":{{"labels":{{"app":"x"}},{marks}}},"spec":{{"containers":[{{"name":"c","image":"{bad}"}}]}}}}"#
    );
    let status =
        r#""status":{"conditions":[{"type":"tidewaiter.dev/ImageApproved","status":"True","reason":"Approved"}]}"#;
    let workload = |kind: &str, name: &str| {
        format!(
            r#"{{"apiVersion":"apps/v1","kind":"{kind}","metadata":{{"name":"{name}",{marks}}},"spec":{{"replicas":1,
            "selector":{{"matchLabels":{{"app":"x"}}}},"template":{template}}},{status}}}"#
        )
    };
    lab.apply(&workload("Deployment", "marked")).ok();
    lab.apply(&workload("ReplicaSet", "marked-set")).ok();
    lab.apply(&pod("marked-pod", &bad).replace(r#""labels""#, &format!(r#"{marks},"labels""#))).ok();
    lab.until("marked", "VulnerabilitiesFound Blocked");
    for workload in ["replicaset/marked-set", "pod/marked-pod"] {
        within(PATIENCE, "it is blocked", || lab.kubectl(&["scan", "status", workload]).text.contains("Blocked"));
    }
    assert_eq!(lab.field("deployment/marked", ".spec.paused"), "true");
    // A user takes every mark away: the hold does not live in them.
    for object in ["deployment/marked", "pod/marked-pod"] {
        let forget = ["annotate", object, "tidewaiter.dev/held-for-", "tidewaiter.dev/user-pause-", "--overwrite"];
        lab.kubectl(&forget);
    }
    // Refused, or accepted and kept paused, as the server has seen the change or not.
    lab.kubectl(&["rollout", "resume", "deployment/marked"]);
    lab.comes_to_rest();
    assert_eq!(lab.field("deployment/marked", ".spec.paused"), "true");
    assert_eq!(lab.field("pods", ".items[*].status.phase").replace("Pending", "").trim(), "");
    assert_eq!(lab.field("pods", ".items[*].spec.nodeName"), "");
}

#[test]
fn a_gated_pod_is_bound_to_no_node() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    lab.apply(&pod("gated", &bad)).ok();
    within(Duration::from_secs(10), "it is gated", || {
        lab.field("pod/gated", ".spec.schedulingGates[*].name") == "tidewaiter.dev/image-scan"
    });
    let binding = r#"{"apiVersion":"v1","kind":"Binding","metadata":{"name":"gated"},
        "target":{"apiVersion":"v1","kind":"Node","name":"node-0"}}"#;
    // As the administrator: no role of a namespace may bind Pods.
    let said = lab
        .cluster
        .with_input(&["create", "--raw", "/api/v1/namespaces/default/pods/gated/binding", "-f", "-"], binding);
    assert!(said.refused().contains("non-empty .spec.schedulingGates"));
    assert_eq!(lab.field("pod/gated", ".spec.nodeName"), "");
}
