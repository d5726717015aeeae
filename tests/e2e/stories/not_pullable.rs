//! An image that cannot be pulled: held with a reason, and scanned again automatically.

use crate::{create, lab, rolled_out};
use tidewaiter_testkit::demo::clean;

#[test]
fn an_image_that_cannot_be_pulled() {
    let lab = lab();
    let image = format!("{}/app:v1", lab.registry.host());
    create(&lab, "app", &image);
    lab.until("app", "ScanFailed Blocked");
    assert_eq!(lab.field("imagescans", ".items[0].status.reason"), "ImageNotFound");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(
        status.contains("does not exist") && status.contains("check the name, the tag and the registry"),
        "{status}"
    );
    let said = lab.kubectl(&["scan", "image", &image]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("ImageNotFound"), "{}", said.text);
    let refused = lab.lead(&["scan", "approve", "deployment/app"]).refused();
    assert!(refused.contains("cannot be approved"), "{refused}");
    // It is pushed; no person needs to request a scan.
    lab.registry.push("app", "v1", &clean().build());
    lab.until("app", "Approved Deployed");
    rolled_out(&lab, "app");
}
