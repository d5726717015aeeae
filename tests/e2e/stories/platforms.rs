//! Images are scanned for the platform of every node.

use crate::{create, lab, rolled_out};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::image::ImageFixture;

#[test]
fn an_index_is_approved_when_all_node_platforms_are() {
    let lab = lab();
    let amd = clean().build();
    let arm = vulnerable().architecture("arm64").build();
    let image = lab.registry.push("app", "v1", &ImageFixture::index(&[amd, arm]));
    // Only amd64 nodes: the arm64 image cannot run here.
    create(&lab, "first", &image);
    rolled_out(&lab, "first");
    // An arm64 node joins: the same index is scanned again, and a new rollout is held.
    lab.add_node("arm", "arm64");
    create(&lab, "second", &image);
    lab.until("second", "VulnerabilitiesFound Blocked");
    let scan = lab.field("imagescans", ".items[0].status.platforms[*].platform");
    assert_eq!(scan, "linux/amd64 linux/arm64");
    // An image without a manifest for that node fails with a reason.
    let only = lab.registry.push("only", "v1", &ImageFixture::index(&[clean().build()]));
    create(&lab, "third", &only);
    lab.until("third", "Approved Deployed");
}
