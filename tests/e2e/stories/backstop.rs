//! What the API server itself enforces with the server down, in every version of Kubernetes; `server_away.rs` is about 1.36 and
//! later.

use crate::{as_before_1_36, create, lab, pod, rolled_out, until_field, within};
use std::time::Duration;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::Lab;

/// As a namespace's developer: neither roles nor policies let it through.
fn as_editor(lab: &Lab, args: &[&str]) -> String {
    lab.kubectl(args).refused()
}

#[test]
fn with_the_server_down() {
    let mut lab = lab();
    let good = lab.registry.push("good", "v1", &clean().build());
    let by_digest = format!("{}@{}", good.trim_end_matches(":v1"), clean().build().digest());
    create(&lab, "by-tag", &good);
    create(&lab, "by-digest", &by_digest);
    rolled_out(&lab, "by-tag");
    rolled_out(&lab, "by-digest");
    within(Duration::from_secs(10), "the list names the digest", || {
        lab.field("imageallowlist/images", ".spec.digests").contains("sha256:")
    });
    lab.kill_server();
    as_before_1_36(&lab);

    // Unknown images are refused, with a next step; so is a digest that is not approved.
    let refused = lab.cluster.apply(&pod("unknown", &good.replace("good", "unknown"))).refused();
    // Two policies refuse it; the API server chooses whose message it returns.
    let texts =
        ["not approved here and tidewaiter, which would let the pod wait", "while tidewaiter is unreachable only"];
    assert!(texts.iter().any(|text| refused.contains(text)), "{refused}");
    // No controller creates a bare Pod again.
    assert!(!refused.contains("starts by itself") && !refused.contains("its controller"), "{refused}");
    let stranger = format!("{}@sha256:{}", good.trim_end_matches(":v1"), "0".repeat(64));
    let refused = lab.cluster.apply(&pod("stranger", &stranger)).refused();
    assert!(refused.contains("image not approved in this namespace"), "{refused}");

    // An approved image runs where the template names its digest.
    lab.kubectl(&["scale", "deployment/by-digest", "--replicas=2"]).ok();
    until_field(&lab, "deployment/by-digest", ".status.readyReplicas", "2");
    // Other templates wait, and run within 30 s after the server is back.
    lab.kubectl(&["scale", "deployment/by-tag", "--replicas=2"]).ok();
    until_field(
        &lab,
        "replicasets",
        r#".items[?(@.metadata.labels.app=="by-tag")].status.conditions[*].type"#,
        "ReplicaFailure",
    );
    assert_eq!(lab.field("deployment/by-tag", ".status.readyReplicas"), "1");
    lab.start_server();
    within(Duration::from_secs(30), "the waiting Pod runs", || {
        lab.field("deployment/by-tag", ".status.readyReplicas") == "2"
    });
}

#[test]
fn gate_label_and_images_belong_to_the_server() {
    let mut lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    lab.cluster.apply(&pod("gated", &bad)).ok();
    lab.cluster.apply(&pod("runs", &good)).ok();
    until_field(&lab, "pod/runs", ".status.phase", "Running");
    lab.kill_server();
    as_before_1_36(&lab);
    // The policies apply to administrators, too.
    for attack in [Lab::kubectl, Lab::admin] {
        let check = |args: &[&str], expected: &str| {
            let said = attack(&lab, args).refused();
            assert!(said.contains(expected), "{args:?}: {said}");
        };
        let patch = |object: &'static str, patch: &'static str| ["patch", object, "--type=json", "-p", patch];
        check(&patch("pod/gated", r#"[{"op":"remove","path":"/spec/schedulingGates"}]"#), "belong together");
        check(
            &patch("pod/gated", r#"[{"op":"remove","path":"/metadata/labels/tidewaiter.dev~1gated"}]"#),
            "belong together",
        );
        let both = r#"[{"op":"remove","path":"/spec/schedulingGates"},{"op":"remove","path":"/metadata/labels/tidewaiter.dev~1gated"}]"#;
        check(&patch("pod/gated", both), "only tidewaiter releases");
        check(&["set", "image", "pod/gated", &format!("c={good}")], "changed by tidewaiter alone");
        check(&["set", "image", "pod/runs", &format!("c={bad}")], "changed by tidewaiter alone");
    }
    let said = lab.admin(&["debug", "pod/runs", &format!("--image={bad}"), "--attach=false"]).refused();
    // Two policies refuse it; the API server chooses whose message it returns.
    let texts = ["an ephemeral container names its image by digest", "image not approved in this namespace"];
    assert!(texts.iter().any(|text| said.contains(text)), "{said}");
    let digest = format!("{}@sha256:{}", bad.trim_end_matches(":v1"), "0".repeat(64));
    let said = lab.admin(&["debug", "pod/gated", &format!("--image={digest}"), "--attach=false"]).refused();
    assert!(said.contains("accepts no ephemeral container"), "{said}");
    // A forged static Pod is refused; a label without its gate does not evade the list.
    let mirror =
        pod("mirror", &bad).replace(r#""labels""#, r#""annotations":{"kubernetes.io/config.mirror":"x"},"labels""#);
    lab.cluster.apply(&mirror).refused();
    let labelled = pod("labelled", &bad).replace(r#""app":"labelled""#, r#""tidewaiter.dev/gated":"true""#);
    assert!(lab.cluster.apply(&labelled).refused().contains("belong together"));
    let placed = pod("placed", &bad).replace(r#""spec":{"#, r#""spec":{"nodeName":"node-0","#);
    lab.cluster.apply(&placed).refused();
    // The server is back: a node named at creation is explained.
    lab.start_server();
    let refused = lab.cluster.apply(&placed).refused();
    assert!(refused.contains("a Pod that names its node cannot wait"), "{refused}");
}

#[test]
fn decisions_are_written_by_the_server_alone() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let record = lab.field("workloadscans", ".items[0].metadata.name");
    let scan = lab.field("imagescans", ".items[0].metadata.name");
    let status = r#"{"status":{"imageStatus":"Approved"}}"#;
    let list = r#"{"spec":{"digests":{"sha256:0":"approved"}}}"#;
    for (kind, name, more, patch) in [
        ("workloadscan", record.as_str(), "--subresource=status", status),
        ("imagescan", scan.as_str(), "--subresource=status", r#"{"status":{"verdict":"Pass"}}"#),
        ("imageallowlist", "images", "--field-manager=x", list),
    ] {
        let args = ["patch", kind, name, more, "--type=merge", "-p", patch];
        let refused = lab.admin(&args).refused();
        assert!(refused.contains("written by tidewaiter alone"), "{kind}: {refused}");
        as_editor(&lab, &args);
    }
    as_editor(&lab, &["delete", "workloadscan", &record]);
    as_editor(&lab, &["delete", "imageallowlist", "images"]);
    // An ImageScan is a request: deleting it causes a rescan.
    lab.kubectl(&["delete", "imagescan", &scan]).ok();
    lab.until("app", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("imagescans", ".items[0].metadata.name"), scan);
    // A user cannot approve in another user's name.
    let uid = lab.field("deployment/app", ".metadata.uid");
    let approval = format!(
        r#"{{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"RolloutApproval","metadata":{{"name":"x"}},"spec":{{"kind":"Deployment","name":"app","uid":"{uid}","digests":["{}"],"approvedBy":"bob"}}}}"#,
        vulnerable().build().digest()
    );
    assert!(lab.cluster.apply(&approval).refused().contains("approvedBy must be who approves"));
    // An approval that is created without the CLI does not release what policy blocks.
    lab.cluster.apply(&approval.replace("bob", "admin")).ok();
    lab.kubectl(&["scan", "image", &bad]).refused();
    lab.until("app", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "true");
}
