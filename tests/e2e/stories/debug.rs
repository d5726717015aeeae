//! Debugging a Pod that ran before: with an image that passed a scan in its namespace.

use crate::{WITH_GATE, as_before_1_36, kubernetes, places, pod, until_field, within};
use tidewaiter_testkit::cluster::Said;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

fn debug(lab: &Lab, container: &str, image: &str) -> Said {
    let (container, image) = (format!("--container={container}"), format!("--image={image}"));
    // Role `edit` adds no ephemeral container.
    lab.admin(&["debug", "pod/runs", "--profile=general", "--attach=false", &container, &image])
}

#[test]
fn a_scanned_image_debugs_and_starts_nothing() {
    let mut lab = Lab::new(places());
    let old = lab.registry.push("old", "v1", &vulnerable().build());
    let (tools_image, bad_image) = (clean().label("for", "tools").build(), vulnerable().label("for", "bad").build());
    let tools = lab.registry.push("tools", "v1", &tools_image);
    let bad = lab.registry.push("bad", "v1", &bad_image);
    let by_digest = |image: &str, digest: &str| format!("{}@{digest}", image.trim_end_matches(":v1"));
    let (tools_digest, bad_digest) = (by_digest(&tools, &tools_image.digest()), by_digest(&bad, &bad_image.digest()));
    // It names a tag, and would not be approved: it ran before.
    lab.apply(&pod("runs", &old)).ok();
    until_field(&lab, "pod/runs", ".status.phase", "Running");
    lab.start_server();

    // Each refusal says how to go on; two policies refuse a tag, and either may answer.
    let refused = debug(&lab, "one", &tools).refused();
    assert!(refused.contains("kubectl scan image IMAGE -n default"), "{refused}");
    let refused = debug(&lab, "one", &tools_digest).refused();
    assert!(refused.contains("kubectl scan image IMAGE -n default"), "{refused}");
    assert!(refused.contains("not approved in this namespace") && !refused.contains("unreachable"), "{refused}");
    let said = lab.kubectl(&["scan", "image", &tools]).ok();
    assert!(said.contains(&tools_image.digest()), "{said}");
    within(PATIENCE, "the scanned image debugs", || debug(&lab, "two", &tools_digest).code == 0);
    // A second one: the first one is not judged again.
    debug(&lab, "three", &tools_digest).ok();
    // What does not pass policy does not debug.
    lab.kubectl(&["scan", "image", &bad]).refused();
    let refused = debug(&lab, "four", &bad_digest).refused();
    assert!(refused.contains("not approved in this namespace"), "{refused}");
    // Nobody decided that it may start a Pod.
    lab.kill_server();
    if kubernetes() >= WITH_GATE {
        lab.apply(&pod("waits", &tools_digest)).ok();
        assert_eq!(lab.field("pod/waits", ".spec.schedulingGates[*].name"), "tidewaiter.dev/image-scan");
    }
    as_before_1_36(&lab);
    let refused = lab.apply(&pod("starts", &tools_digest)).refused();
    assert!(refused.contains("while tidewaiter is unreachable only"), "{refused}");
}
