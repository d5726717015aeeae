//! More digests than a namespace's list has room for: Pods wait a moment for the server, and are not refused.

use crate::{create, lab, rolled_out, within};
use std::fmt::Write as _;
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// A record of an approved workload with this many images, written with the server's own account.
fn approve_many(lab: &Lab, digests: usize) {
    let spec = r#""apiVersion":"tidewaiter.dev/v1alpha1","kind":"WorkloadScan","metadata":{"name":"many","namespace":"default"},"spec":{"apiVersion":"apps/v1","kind":"Deployment","name":"many","uid":"many"}"#;
    let mut containers = String::new();
    for number in 0..digests {
        let comma = if number > 0 { "," } else { "" };
        // Before all others in the order of digests.
        write!(containers, r#"{comma}"c{number}":{{"image":"r.example/x:{number}","pinned":"r.example/x:{number}@sha256:{number:064}"}}"#)
            .unwrap();
    }
    let status = format!(
        r#""status":{{"imageStatus":"Approved","deploymentStatus":"Deployed","revisions":{{"h":{{"decision":"Approved","containers":{{{containers}}}}}}}}}"#
    );
    let file = lab.log().with_file_name("many.json");
    let account = lab.cluster.service_account("tidewaiter-system", "tidewaiter");
    let run = |verb: &str, text: String| {
        std::fs::write(&file, text).unwrap();
        let script = format!("KUBECONFIG={} kubectl {verb} -f {}", account.display(), file.display());
        lab.shell(lab.root(), &script).ok();
    };
    run("create", format!("{{{spec}}}"));
    let version = lab.field("workloadscan/many", ".metadata.resourceVersion");
    let spec = spec.replace(r#""namespace""#, &format!(r#""resourceVersion":"{version}","namespace""#));
    run("replace --subresource=status", format!("{{{spec},{status}}}"));
}

#[test]
fn a_namespace_with_more_digests_than_its_list_has_room_for() {
    let lab = lab();
    let image = clean().build();
    create(&lab, "app", &lab.registry.push("app", "v1", &image));
    rolled_out(&lab, "app");
    approve_many(&lab, 2100);
    within(PATIENCE, "the list is full", || {
        let list = lab.field("imageallowlist/images", ".spec.digests");
        list.matches("sha256:").count() == 2000 && !list.contains(&image.digest())
    });
    within(PATIENCE, "it is said", || {
        let events = lab.kubectl(&["get", "events", "-o", "yaml"]).ok();
        events.contains("ImageAllowlistFull") && events.contains("101 have no room")
    });
    let before = lab.field("pods", r#".items[?(@.metadata.labels.app=="app")].metadata.uid"#);
    lab.kubectl(&["delete", "pods", "-l", "app=app", "--wait=false"]).ok();
    within(PATIENCE, "a new Pod runs", || {
        let now = lab.field("pods", r#".items[?(@.metadata.labels.app=="app")].metadata.uid"#);
        lab.field("deployment/app", ".status.readyReplicas") == "1" && !now.is_empty() && now != before
    });
    let sets = lab.kubectl(&["get", "replicasets", "-o", "yaml"]).ok();
    assert!(!sets.contains("ReplicaFailure"), "{sets}");
}
