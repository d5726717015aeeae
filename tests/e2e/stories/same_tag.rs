//! A fix is pushed under the same tag: the hold ends. Running Pods keep their digest until the next rollout.

use crate::{all_run, create, lab, pod_images, rolled_out, within};
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::PATIENCE;

#[test]
fn the_same_tag_pushed_again_with_the_fix() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &vulnerable().build());
    create(&lab, "app", &image);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let fixed = clean().build();
    lab.registry.push("app", "v1", &fixed);
    let said = lab.kubectl(&["scan", "image", &image]).ok();
    assert!(said.contains("No vulnerabilities found"), "{said}");
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    assert_eq!(pod_images(&lab, "app"), [format!("{image}@{}", fixed.digest())]);

    // The tag moves; the approved digest does not.
    let next = distinct("next");
    lab.registry.push("app", "v1", &next);
    lab.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    rolled_out(&lab, "app");
    all_run(&lab, "app", |image| image.ends_with(&fixed.digest()));

    // A restart is a new rollout: held, resolved again, and released with the digest that the tag names now.
    let said = lab.kubectl(&["rollout", "restart", "deployment/app"]).ok();
    assert!(said.contains("held: image scan running"), "{said}");
    within(PATIENCE, "the new digest runs", || {
        let images = pod_images(&lab, "app");
        images.len() == 2 && images.iter().all(|i| i.ends_with(&next.digest()))
    });
    rolled_out(&lab, "app");
}
