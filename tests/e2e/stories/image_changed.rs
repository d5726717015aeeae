//! A result counts only for the image reference and digest that its scan was started for.

use crate::{create, lab, pod_images, rolled_out, within};
use std::time::Duration;
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::PATIENCE;

#[test]
fn the_image_changed_while_its_scan_runs() {
    let lab = lab();
    let good = lab.registry.push("app", "good", &clean().build());
    let bad = lab.registry.push("app", "bad", &vulnerable().build());
    lab.registry.delay_blobs(Duration::from_secs(4));
    create(&lab, "app", &good);
    lab.until("app", "Scanning Created");
    lab.kubectl(&["set", "image", "deployment/app", &format!("app={bad}")]).ok();
    // The clean scan of the previous image ends meanwhile, and releases nothing.
    lab.until("app", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "true");
    assert_eq!(pod_images(&lab, "app"), Vec::<String>::new());
    lab.registry.delay_blobs(Duration::ZERO);
    lab.kubectl(&["set", "image", "deployment/app", &format!("app={good}")]).ok();
    rolled_out(&lab, "app");
}

/// The tag moves while the scan runs: what was scanned is what runs.
#[test]
fn the_tag_moved_while_its_scan_runs() {
    let lab = lab();
    let first = distinct("first");
    let image = lab.registry.push("app", "v1", &first);
    lab.registry.delay_blobs(Duration::from_secs(4));
    let before = lab.registry.requests();
    create(&lab, "app", &image);
    lab.until("app", "Scanning Created");
    // The manifest was read, and a blob is being waited for.
    within(PATIENCE, "the tag is resolved", || lab.registry.requests() >= before + 2);
    lab.registry.push("app", "v1", &vulnerable().build());
    lab.registry.delay_blobs(Duration::ZERO);
    rolled_out(&lab, "app");
    assert_eq!(pod_images(&lab, "app"), [format!("{image}@{}", first.digest())]);
}
