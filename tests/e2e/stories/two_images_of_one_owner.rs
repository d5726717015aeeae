//! Two Pods of one owner that wait for different images must not take turns in its record. That the server comes to rest is
//! asserted at the end of every story.

use crate::{lab, pod, within};
use tidewaiter_testkit::demo::{base, distinct, vulnerable};
use tidewaiter_testkit::lab::PATIENCE;
use tidewaiter_testkit::receiver::Receiver;

/// A ReplicaSet whose template was changed once, with one Pod of each.
#[test]
fn a_changed_replica_set() {
    let lab = lab();
    let receiver = Receiver::start(0, None);
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{{"url":"{}"}}]}}}}"#, receiver.url()));
    let one = lab.registry.push("one", "v1", &vulnerable().build());
    let two = lab.registry.push("two", "v1", &base(&[("openssl", "3.0.2-1")]).build());
    let set = |image: &str, replicas: u32| {
        format!(
            r#"{{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{{"name":"set"}},"spec":{{"replicas":{replicas},
            "selector":{{"matchLabels":{{"app":"set"}}}},"template":{{"metadata":{{"labels":{{"app":"set"}}}},
            "spec":{{"containers":[{{"name":"c","image":"{image}"}}]}}}}}}}}"#
        )
    };
    lab.apply(&set(&one, 1)).ok();
    within(PATIENCE, "the first Pod is blocked", || {
        lab.kubectl(&["scan", "status", "replicaset/set"]).text.contains("Blocked")
    });
    lab.apply(&set(&two, 2)).ok();
    within(PATIENCE, "both images are scanned", || {
        lab.field("imagescans", ".items[*].status.imageStatus") == "VulnerabilitiesFound VulnerabilitiesFound"
    });
    lab.comes_to_rest();
    let mut ids: Vec<String> = receiver.received().iter().map(|alert| alert["id"].to_string()).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert!(!ids.is_empty() && ids.len() == all, "an alert was sent twice: {ids:?}");
}

/// A Pod that claims a Deployment as its owner, in another spelling of its kind, writes into a record of its own.
#[test]
fn a_forged_owner_writes_into_no_record_of_others() {
    let lab = lab();
    let good = lab.registry.push("good", "v1", &distinct("good"));
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    crate::create(&lab, "known", &good);
    crate::rolled_out(&lab, "known");
    lab.until("known", "Approved Deployed");
    let uid = lab.field("deployment/known", ".metadata.uid");
    for (name, api_version, kind) in [
        ("lower", "example.com/v1", "deployment"),
        ("same-group", "apps/v1", "deployment"),
        ("other-group", "example.com/v1", "Deployment"),
    ] {
        let owner = format!(
            r#""ownerReferences":[{{"apiVersion":"{api_version}","kind":"{kind}","name":"known","uid":"{uid}","controller":true}}],"#
        );
        lab.apply(&pod(name, &bad).replace(r#""labels""#, &format!(r#"{owner}"labels""#))).ok();
    }
    within(PATIENCE, "the image is scanned", || {
        lab.field("imagescans", ".items[*].status.imageStatus").contains("VulnerabilitiesFound")
    });
    lab.comes_to_rest();
    assert_eq!(lab.statuses("known"), "Approved Deployed");
}
