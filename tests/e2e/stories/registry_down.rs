//! Approved images need no registry, neither to scale nor to restart.

use crate::{all_run, create, lab, pod, pod_images, rolled_out, until_field, within};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::PATIENCE;

#[test]
fn scale_up_and_pod_deletion_with_the_registry_down() {
    let mut lab = lab();
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "app", &image);
    rolled_out(&lab, "app");
    let pinned = pod_images(&lab, "app");
    lab.registry.down();
    lab.kubectl(&["scale", "deployment/app", "--replicas=3"]).ok();
    rolled_out(&lab, "app");
    lab.kubectl(&["delete", "pods", "-l", "app=app", "--wait=false"]).ok();
    within(PATIENCE, "three new Pods run", || lab.field("deployment/app", ".status.readyReplicas") == "3");
    all_run(&lab, "app", |image| image == pinned[0]);

    // A restart keeps the old pin, and says why.
    lab.kubectl(&["rollout", "restart", "deployment/app"]).ok();
    rolled_out(&lab, "app");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("the registry cannot be reached; the approved digest continues to be used"), "{status}");
    all_run(&lab, "app", |image| image == pinned[0]);

    // A new workload uses what its namespace approved by the same image string, whatever its kind, and says why.
    create(&lab, "another", &image);
    lab.apply(&pod("bare", &image)).ok();
    rolled_out(&lab, "another");
    until_field(&lab, "pod/bare", ".status.phase", "Running");
    let status = lab.kubectl(&["scan", "status", "deployment/another"]).ok();
    assert!(status.contains("the digest that is approved for this image in the namespace is used"), "{status}");
    all_run(&lab, "another", |image| image == pinned[0]);
    all_run(&lab, "bare", |image| image == pinned[0]);
    // Another namespace has approved nothing.
    lab.new_namespace("elsewhere");
    create(&lab, "another", &image);
    lab.until("another", "ScanFailed Blocked");
    lab.work_in("default");

    // A new image waits.
    create(&lab, "other", &image.replace("app:v1", "other:v1"));
    lab.until("other", "ScanFailed Blocked");
    let path = r#".items[?(@.status.imageStatus=="ScanFailed")].status.reason"#;
    assert!(lab.field("imagescans", path).contains("RegistryUnreachable"), "{}", lab.field("imagescans", path));
    let status = lab.kubectl(&["scan", "status", "deployment/other"]).ok();
    assert!(status.contains("the registry cannot be reached"), "{status}");
}
