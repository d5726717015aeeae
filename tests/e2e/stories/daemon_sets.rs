//! Updates of DaemonSets are refused until their images are approved: no node loses its agent.

use crate::{lab, pod_images, until_field, within};
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

const AGENT: &str = "daemonset/agent";

fn manifest(image: &str) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{{"name":"agent"}},"spec":{{"selector":{{"matchLabels":
        {{"app":"agent"}}}},"template":{{"metadata":{{"labels":{{"app":"agent"}}}},"spec":{{"containers":[{{"name":"agent",
        "image":"{image}"}}]}}}}}}}}"#
    )
}

/// Waits for words of `kubectl scan status`.
#[track_caller]
fn until_status(lab: &Lab, words: &str) {
    within(PATIENCE, &format!("the agent is {words}"), || {
        let said = lab.kubectl(&["scan", "status", AGENT]).text;
        words.split(' ').all(|word| said.contains(word))
    });
}

/// A DaemonSet that runs.
fn running(lab: &Lab) -> String {
    let image = lab.registry.push("agent", "v1", &clean().build());
    lab.apply(&manifest(&image)).ok();
    until_field(lab, AGENT, ".status.numberReady", "1");
    until_status(lab, "Approved Deployed");
    image
}

/// As a tool does that applies from Git, until it succeeds.
#[track_caller]
fn applied(lab: &Lab, image: &str) {
    within(PATIENCE, "the update is accepted", || lab.apply(&manifest(image)).code == 0);
    lab.kubectl(&["rollout", "status", AGENT, "--timeout=60s"]).ok();
    assert!(pod_images(lab, "agent").iter().all(|running| running.starts_with(&format!("{image}@sha256:"))));
}

/// Asserts that the Pod of the node is the one that was there.
#[track_caller]
fn untouched(lab: &Lab, pod: &str) {
    assert_eq!(lab.field("pods", ".items[*].metadata.uid"), pod);
    assert_eq!(lab.field(AGENT, ".status.numberReady"), "1");
}

#[test]
fn no_node_loses_its_agent() {
    let lab = lab();
    let first = running(&lab);
    let pod = lab.field("pods", ".items[*].metadata.uid");
    let bad = lab.registry.push("agent", "v2", &vulnerable().build());
    // A dry run starts nothing, and does not fail, since tools make one before they apply.
    let dry = lab
        .cluster
        .with_input(&["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"], &manifest(&bad));
    assert!(dry.ok().contains("refused outside of a dry run"));
    assert!(!lab.field("imagescans", ".items[*].spec.image").contains(&bad));
    let said = lab.apply(&manifest(&bad)).refused();
    let wait = format!("kubectl scan wait daemonset/agent --image {bad}");
    assert!(said.contains("no node loses its agent") && said.contains(&wait), "{said}");
    // At once, whatever the record says by now.
    lab.kubectl(&["scan", "wait", AGENT, "--image", &bad, "--timeout=60s"]).refused();
    until_status(&lab, "VulnerabilitiesFound Blocked what runs goes on");
    lab.kubectl(&["scan", "wait", AGENT, "--timeout=60s"]).refused();
    let said = lab.apply(&manifest(&bad)).refused();
    assert!(said.contains("see why: kubectl scan status daemonset/agent"), "{said}");
    untouched(&lab, &pod);
    // A restart of what is approved goes on at once.
    lab.kubectl(&["rollout", "restart", AGENT]).ok();
    lab.kubectl(&["rollout", "status", AGENT, "--timeout=60s"]).ok();
    assert!(pod_images(&lab, "agent").iter().all(|image| image.starts_with(&format!("{first}@"))));
    // Neither it nor an annotation ends the wait for the update.
    lab.kubectl(&["annotate", AGENT, "note=1"]).ok();
    lab.comes_to_rest();
    until_status(&lab, "VulnerabilitiesFound Blocked what runs goes on");
    // The fix under the same tag.
    lab.apply(&manifest(&bad)).refused();
    lab.registry.push("agent", "v2", &distinct("fixed"));
    lab.kubectl(&["scan", "image", &bad]).ok();
    until_status(&lab, "Approved may be applied now");
    lab.kubectl(&["scan", "wait", AGENT, "--timeout=60s"]).ok();
    lab.apply(&manifest(&bad)).ok();
    applied(&lab, &bad);
    until_status(&lab, "Approved Deployed");
}

#[test]
fn git_applies_until_it_goes_through_or_goes_back() {
    let lab = lab();
    let first = running(&lab);
    let next = lab.registry.push("agent", "v2", &distinct("next"));
    let bad = lab.registry.push("agent", "v3", &vulnerable().build());
    // As a pipeline does: the first attempt is refused, the one after the wait is not.
    lab.apply(&manifest(&next)).refused();
    lab.kubectl(&["scan", "wait", AGENT, "--image", &next, "--timeout=60s"]).ok();
    lab.apply(&manifest(&next)).ok();
    applied(&lab, &next);
    lab.apply(&manifest(&bad)).refused();
    until_status(&lab, "VulnerabilitiesFound Blocked");
    // The commit is reverted.
    let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    lab.cluster.with_input(&args, &manifest(&next)).ok();
    until_status(&lab, "Approved Deployed");
    // And back to the first version, which is approved.
    lab.apply(&manifest(&first)).ok();
    applied(&lab, &first);
    until_status(&lab, "Approved Deployed");
}

#[test]
fn a_person_approves_an_update() {
    let lab = lab();
    running(&lab);
    let pod = lab.field("pods", ".items[*].metadata.uid");
    lab.approval("Manual");
    let next = lab.registry.push("agent", "v2", &distinct("next"));
    lab.apply(&manifest(&next)).refused();
    until_status(&lab, "PendingApproval kubectl scan approve daemonset/agent");
    untouched(&lab, &pod);
    lab.lead(&["scan", "approve", AGENT]).ok();
    applied(&lab, &next);
}

#[test]
fn where_nothing_is_enforced_nothing_is_refused() {
    let lab = lab();
    running(&lab);
    lab.policy(r#"{"spec":{"mode":"Audit"}}"#);
    let bad = lab.registry.push("agent", "v2", &vulnerable().build());
    applied_unpinned(&lab, &bad);
}

#[track_caller]
fn applied_unpinned(lab: &Lab, image: &str) {
    // The policy takes effect a moment later.
    within(PATIENCE, "the update is accepted", || lab.apply(&manifest(image)).code == 0);
    within(PATIENCE, "it runs", || pod_images(lab, "agent") == [image]);
}

/// Whoever reaches the webhook can send reviews; what the API server alone knows is in the path of the real one.
#[test]
fn a_forged_update_is_not_acted_on() {
    let lab = lab();
    running(&lab);
    let bad = lab.registry.push("agent", "v2", &vulnerable().build());
    let said = lab.forge("/daemonsets/0123456789abcdef0123456789abcdef", &review(&lab, &bad));
    assert!(said.contains("404"), "{said}");
    lab.comes_to_rest();
    assert!(!lab.field("imagescans", ".items[*].spec.image").contains(&bad));
    // The same review, from who knows the path.
    let path = lab.field("mutatingwebhookconfiguration/tidewaiter", ".webhooks[5].clientConfig.service.path");
    let said = lab.forge(&path, &review(&lab, &bad));
    assert!(said.contains("no node loses its agent"), "{said}");
}

fn review(lab: &Lab, image: &str) -> String {
    let old = lab.kubectl(&["get", AGENT, "-o", "json"]).ok();
    let old: serde_json::Value = serde_json::from_str(&old).unwrap();
    let mut new = old.clone();
    new["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
    let namespace = old["metadata"]["namespace"].clone();
    serde_json::json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u",
        "kind": {"group": "apps", "version": "v1", "kind": "DaemonSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "daemonsets"}, "name": "agent", "namespace": namespace,
        "operation": "UPDATE", "userInfo": {"username": "stranger"}, "object": new, "oldObject": old, "dryRun": false}})
    .to_string()
}
