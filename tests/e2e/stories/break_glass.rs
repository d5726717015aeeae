//! What people decide beside policy: an emergency, the consent of two, and an approval that is withdrawn.

use crate::{create, lab, rolled_out, within};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::PATIENCE;
use tidewaiter_testkit::receiver::Receiver;

#[test]
fn in_an_emergency_policy_is_overridden_for_a_while() {
    let lab = lab();
    let receiver = Receiver::start(0, None);
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{{"url":"{}"}}]}}}}"#, receiver.url()));
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    within(PATIENCE, "the block is told", || receiver.received().len() == 1);

    // Who administers the namespace may not, unless the cluster's administrators say so.
    let reason = ["--break-glass", "--reason", "INC-42"];
    let approve = [&["scan", "approve", "deployment/app"][..], &reason].concat();
    assert!(lab.lead(&approve[..4]).refused().contains("--reason"));
    let refused = lab.lead(&approve).refused();
    assert!(refused.contains("tidewaiter-break-glass"), "{refused}");
    let said = lab.lead(&[&approve[..], &["--for", "48h"]].concat());
    assert!(said.code == 2 && said.text.contains("24h at most"), "{}", said.text);
    assert!(lab.lead(&["scan", "approve", "deployment/app"]).refused().contains("in an emergency: --break-glass"));
    let lead = lab.lead(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).ok();
    let (role, user) = ("--clusterrole=tidewaiter-break-glass", format!("--user={lead}"));
    lab.admin(&["create", "rolebinding", "on-call", role, &user]).ok();
    within(PATIENCE, "the role counts", || {
        lab.lead(&["auth", "can-i", "override", "rolloutapprovals.tidewaiter.dev"]).code == 0
    });
    let said = lab.lead(&[&approve[..], &["--for", "20s"]].concat()).ok();
    assert!(said.contains("glass broken by") && said.contains(", until 2"), "{said}");

    // It runs, and everybody is told who let it, why, and until when.
    rolled_out(&lab, "app");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("policy is overridden until") && status.contains("who says: INC-42"), "{status}");
    assert!(status.contains("3 critical, 5 medium"), "{status}");
    within(PATIENCE, "the alert is delivered", || receiver.received().len() == 2);
    let event = receiver.received()[1].clone();
    assert_eq!(event["type"], "dev.tidewaiter.workload.breakglass");
    assert!(event["data"]["message"].as_str().unwrap().contains("INC-42"), "{event}");
    let events = lab.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]).ok();
    assert!(events.contains("BreakGlass"), "{events}");

    // At its end nothing stops, and the next rollout is held.
    lab.until("app", "VulnerabilitiesFound Deployed");
    lab.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    rolled_out(&lab, "app");
    let next = lab.registry.push("bad", "v2", &vulnerable().label("version", "2").build());
    let said = lab.kubectl(&["set", "image", "deployment/app", &format!("bad={next}")]).ok();
    assert!(said.contains("held"), "{said}");
    lab.until("app", "VulnerabilitiesFound Blocked");
}

#[test]
fn two_people_approve_and_one_withdraws() {
    let lab = lab();
    lab.policy(r#"{"spec":{"approval":"Manual","requiredApprovals":2}}"#);
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &good);
    lab.until("app", "NoVulnerabilities PendingApproval");
    let approve = ["scan", "approve", "deployment/app"];
    let lead = lab.lead(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).ok();
    lab.lead(&approve).ok();
    lab.lead(&approve).ok();
    within(PATIENCE, "one person is not enough", || {
        let said = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
        said.contains(&format!("{lead} approved it, and another person must approve"))
    });
    lab.until("app", "NoVulnerabilities PendingApproval");
    lab.admin(&approve).ok();
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    let by = lab.field("workloadscans", ".items[0].status.revisions.*.approvedBy[*].by");
    assert!(by.contains(&lead), "{by}");

    // Developers may not; afterwards what runs goes on, and restarts.
    lab.kubectl(&["scan", "revoke", "deployment/app"]).refused();
    let said = lab.lead(&["scan", "revoke", "deployment/app"]).ok();
    assert!(said.contains("withdrawn; what runs goes on"), "{said}");
    lab.until("app", "NoVulnerabilities Deployed");
    lab.kubectl(&["rollout", "restart", "deployment/app"]).ok();
    rolled_out(&lab, "app");
    assert!(lab.lead(&["scan", "revoke", "deployment/app"]).ok().contains("has no approvals"));
}
