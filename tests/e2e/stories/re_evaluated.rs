//! Approved images are re-evaluated: with new advisories, for every kind of workload, and before they are rolled out anew.

use crate::{all_run, create, lab, pod_images, rolled_out, within};
use std::fs;
use tidewaiter_testkit::demo::{clean, distinct};
use tidewaiter_testkit::image::ImageFixture;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Replaces the database by one in which curl below this version is critical.
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

fn with_curl(version: &str) -> ImageFixture {
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
    all_run(&lab, "app", |image| image.starts_with(&new));
    lab.kubectl(&["rollout", "resume", "deployment/app"]).refused();
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "true");
    // Back to what is approved: released immediately.
    lab.kubectl(&["set", "image", "deployment/app", &format!("app={new}")]).ok();
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
}

#[test]
fn a_pod_without_a_controller_is_re_evaluated() {
    let lab = lab();
    let image = lab.registry.push("app", "old", &with_curl("9.0"));
    lab.apply(&crate::pod("bare", &image)).ok();
    crate::until_field(&lab, "pod/bare", ".status.phase", "Running");
    // A user deletes the scan meanwhile, which spares nothing.
    lab.kubectl(&["delete", "imagescans", "--all"]).ok();
    curl_is_critical(&lab, "10.0");
    within(PATIENCE, "the running Pod's image is critical", || {
        let said = lab.kubectl(&["scan", "status", "pod/bare"]).text;
        said.contains("VulnerabilitiesFound") && said.contains("a new finding in a running image")
    });
    assert_eq!(lab.field("pod/bare", ".status.phase"), "Running");
}

/// A user who may request scans cannot choose what is scanned.
#[test]
fn a_user_cannot_have_less_scanned() {
    let mut lab = lab();
    lab.admin(&["create", "rolebinding", "alice", "--clusterrole=edit", "--user=alice"]).ok();
    let arm = clean().architecture("arm64").build();
    let amd = tidewaiter_testkit::demo::vulnerable().build();
    let image = lab.registry.push("app", "v1", &ImageFixture::index(&[amd, arm]));
    create(&lab, "app", &image);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let scan = lab.field("imagescans", ".items[0].metadata.name");
    let patch = r#"{"spec":{"platforms":["linux/arm64"]}}"#;
    lab.admin(&["--as=alice", "patch", "imagescan", &scan, "--type=merge", "-p", patch]).ok();
    within(PATIENCE, "both platforms are scanned", || {
        lab.field("imagescans", ".items[0].status.platforms[*].platform") == "linux/amd64 linux/arm64"
    });
    lab.until("app", "VulnerabilitiesFound Blocked");
    // Nor by giving the name of an image's scan to the scan of another image. While the server runs it takes the name again
    // before kubectl does; so it is not there, and the attacker succeeds.
    let good = lab.registry.push("good", "v1", &distinct("good"));
    let forged = format!(
        r#"{{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ImageScan","metadata":{{"name":"{scan}"}},"spec":{{"image":"{good}"}}}}"#
    );
    lab.kill_server();
    lab.admin(&["--as=alice", "delete", "imagescan", &scan]).ok();
    lab.cluster.with_input(&["--as=alice", "create", "-f", "-"], &forged).ok();
    lab.start_server();
    within(PATIENCE, "the server takes the name back", || {
        lab.field(&format!("imagescan/{scan}"), ".spec.image") == image
    });
    lab.until("app", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "true");
    assert_eq!(lab.kubectl(&["get", "pods", "-o", "name"]).ok(), "");
}

/// `--cascade=orphan` does not wait for the workload's record.
#[test]
fn a_workload_is_deleted_with_its_pods_kept() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "app", &image);
    rolled_out(&lab, "app");
    lab.kubectl(&["delete", "deployment", "app", "--cascade=orphan", "--timeout=30s"]).ok();
    assert_eq!(pod_images(&lab, "app").len(), 1);
}

/// A node of another platform joins: approved images are scanned for it, too.
#[test]
fn images_are_scanned_for_a_new_platform() {
    let lab = lab();
    let arm = tidewaiter_testkit::demo::vulnerable().architecture("arm64").build();
    let image = lab.registry.push("app", "v1", &ImageFixture::index(&[clean().build(), arm]));
    create(&lab, "app", &image);
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    lab.add_node("arm", "arm64");
    lab.until("app", "VulnerabilitiesFound Deployed");
}
