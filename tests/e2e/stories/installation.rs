//! Installing on a cluster where workloads run: nothing stops, nothing new slips in.

use crate::{all_run, create, places, pod, rolled_out, until_field, within};
use tidewaiter_testkit::demo::{base, clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

#[test]
fn installation_on_a_cluster_with_running_workloads() {
    let mut lab = Lab::new(places());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "old", &bad);
    create(&lab, "fine", &good);
    lab.apply(&pod("bare", &bad)).ok();
    rolled_out(&lab, "old");
    rolled_out(&lab, "fine");
    until_field(&lab, "pod/bare", ".status.phase", "Running");
    let before = lab.field("pods", ".items[*].metadata.uid");

    lab.start_server();
    // Scanned in the background: the clean one becomes approved, the other one remains retained.
    lab.until("fine", "Approved Deployed");
    lab.until("old", "VulnerabilitiesFound Deployed");
    assert_eq!(lab.field("pods", ".items[*].metadata.uid"), before, "a Pod was restarted");
    // Restarts and scaling continue to work, with the digest that ran.
    lab.kubectl(&["scale", "deployment/old", "--replicas=2"]).ok();
    lab.kubectl(&["delete", "pods", "-l", "app=old", "--wait=false"]).ok();
    within(PATIENCE, "two new Pods run", || {
        let uids = lab.field("pods", r#".items[?(@.metadata.labels.app=="old")].metadata.uid"#);
        lab.field("deployment/old", ".status.readyReplicas") == "2" && uids.split(' ').all(|uid| !before.contains(uid))
    });
    let digest = vulnerable().build().digest();
    all_run(&lab, "old", |image| image.ends_with(&digest));
    // A restart, or a changed variable, is no rollout of an unknown image.
    let said = lab.kubectl(&["rollout", "restart", "deployment/old"]).ok();
    assert!(!said.contains("held"), "{said}");
    rolled_out(&lab, "old");
    lab.kubectl(&["set", "env", "deployment/old", "A=b"]).ok();
    rolled_out(&lab, "old");
    all_run(&lab, "old", |image| image.ends_with(&digest));
    lab.until("old", "VulnerabilitiesFound Deployed");
    // The next image is held, and so is another workload with that image.
    let next = lab.registry.push("bad", "v2", &base(&[("openssl", "3.0.2-1")]).build());
    let said = lab.kubectl(&["set", "image", "deployment/old", &format!("bad={next}")]).ok();
    assert!(said.contains("held"), "{said}");
    lab.until("old", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("deployment/old", ".status.readyReplicas"), "2");
    create(&lab, "new", &bad);
    lab.until("new", "VulnerabilitiesFound Blocked");
}
