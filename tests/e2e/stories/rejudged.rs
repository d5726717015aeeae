//! What was let run is judged again: by new data, for every kind of workload, and before it is rolled out once more.

use crate::{create, lab, pod_images, rolled_out, within};
use std::fs;
use tidewaiter_testkit::demo::{clean, distinct};
use tidewaiter_testkit::image::Image;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// From now on curl is critical in the images that carry this version.
fn curl_is_critical(lab: &Lab, fixed: &str) {
    let feeds = lab.cluster.dir().join("feeds");
    fs::create_dir_all(feeds.join("advisories")).unwrap();
    let record = format!(
        r#"{{"id":"CVE-2026-0001","modified":"2026-11-01T00:00:00Z","affected":[{{"package":{{"ecosystem":"Debian:99","name":"curl"}},
        "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}],
        "severity":[{{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}}"#
    );
    fs::write(feeds.join("advisories/CVE-2026-0001.json"), record).unwrap();
    let toml = feeds.join("feeds.toml");
    let text = "[[feed]]\nname = \"new\"\nformat = \"osv\"\npath = \"advisories\"\necosystems = [\"Debian:99\"]\nrates = true\n";
    fs::write(&toml, text).unwrap();
    fs::remove_file(lab.database()).unwrap();
    lab.build_database(&toml);
}

fn with_curl(version: &str) -> Image {
    tidewaiter_testkit::demo::base(&[("curl", version)]).build()
}

#[test]
fn a_rollback_to_what_became_critical_is_held() {
    let lab = lab();
    let old = lab.registry.push("app", "old", &with_curl("9.0"));
    let new = lab.registry.push("app", "new", &with_curl("10.0"));
    create(&lab, "app", &old);
    rolled_out(&lab, "app");
    lab.kubectl(&["set", "image", "deployment/app", &format!("app={new}")]).ok();
    rolled_out(&lab, "app");
    curl_is_critical(&lab, "10.0");
    within(PATIENCE, "the old image is known to be critical", || {
        lab.field("imagescans", ".items[*].status.verdict").contains("Violated")
    });
    within(PATIENCE, "the old revision is no longer approved", || {
        lab.field("workloadscans", ".items[0].status.revisions.*.decision").contains("Retained")
    });
    lab.kubectl(&["rollout", "undo", "deployment/app"]).ok();
    lab.until("app", "VulnerabilitiesFound Blocked");
    assert!(pod_images(&lab, "app").iter().all(|i| i.starts_with(&new)), "{:?}", pod_images(&lab, "app"));
    lab.kubectl(&["rollout", "resume", "deployment/app"]).refused();
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "true");
    // Back to what is approved: released at once.
    lab.kubectl(&["set", "image", "deployment/app", &format!("app={new}")]).ok();
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
}

#[test]
fn what_no_deployment_owns_is_judged_again() {
    let lab = lab();
    let image = lab.registry.push("app", "old", &with_curl("9.0"));
    lab.apply(&crate::pod("bare", &image)).ok();
    crate::until_field(&lab, "pod/bare", ".status.phase", "Running");
    // The scan is deleted by a user meanwhile: nobody is spared by that.
    lab.kubectl(&["delete", "imagescans", "--all"]).ok();
    curl_is_critical(&lab, "10.0");
    within(PATIENCE, "the running Pod's image is critical", || {
        let said = lab.kubectl(&["scan", "status", "pod/bare"]).text;
        said.contains("VulnerabilitiesFound") && said.contains("a new finding in a running image")
    });
    assert_eq!(lab.field("pod/bare", ".status.phase"), "Running");
}

/// Who may ask for scans cannot choose what is judged.
#[test]
fn a_user_cannot_have_less_judged() {
    let lab = lab();
    lab.admin(&["create", "rolebinding", "alice", "--clusterrole=edit", "--user=alice"]).ok();
    let arm = clean().architecture("arm64").build();
    let amd = tidewaiter_testkit::demo::vulnerable().build();
    let image = lab.registry.push("app", "v1", &Image::index(&[amd, arm]));
    create(&lab, "app", &image);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let scan = lab.field("imagescans", ".items[0].metadata.name");
    let patch = r#"{"spec":{"platforms":["linux/arm64"]}}"#;
    lab.admin(&["--as=alice", "patch", "imagescan", &scan, "--type=merge", "-p", patch]).ok();
    within(PATIENCE, "both platforms are judged", || {
        lab.field("imagescans", ".items[0].status.platforms[*].platform") == "linux/amd64 linux/arm64"
    });
    lab.until("app", "VulnerabilitiesFound Blocked");
    // Nor by taking the name of an image's scan for another one's.
    let good = lab.registry.push("good", "v1", &distinct("good"));
    let forged = format!(
        r#"{{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ImageScan","metadata":{{"name":"{scan}"}},"spec":{{"image":"{good}"}}}}"#
    );
    lab.admin(&["--as=alice", "delete", "imagescan", &scan]).ok();
    lab.cluster.with_input(&["--as=alice", "create", "-f", "-"], &forged);
    lab.until("app", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.kubectl(&["get", "pods", "-o", "name"]).ok(), "");
}

/// Deleting a workload and keeping what it owns ends.
#[test]
fn a_workload_is_deleted_with_its_pods_kept() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "app", &image);
    rolled_out(&lab, "app");
    lab.kubectl(&["delete", "deployment", "app", "--cascade=orphan", "--timeout=30s"]).ok();
    assert_eq!(pod_images(&lab, "app").len(), 1);
}

/// A node of another platform joins: what is approved is judged for it too.
#[test]
fn a_new_platform_has_everything_judged_for_it() {
    let lab = lab();
    let arm = tidewaiter_testkit::demo::vulnerable().architecture("arm64").build();
    let image = lab.registry.push("app", "v1", &Image::index(&[clean().build(), arm]));
    create(&lab, "app", &image);
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    lab.add_node("arm", "arm64");
    lab.until("app", "VulnerabilitiesFound Deployed");
}
