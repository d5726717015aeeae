//! What an auditor reads in the server's log: each decision once, with its images, its reasons and its people.

use crate::{create, lab, rolled_out, within};
use serde_json::Value;
use std::fs;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// The entries about one workload, oldest first.
fn entries(lab: &Lab, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(lab.log()).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let audit = lines.filter(|line| line["target"] == "audit").map(|line| line["fields"].clone());
    audit.filter(|entry| entry["kind"] == "Deployment" && entry["name"] == name).collect()
}

fn decisions(lab: &Lab, name: &str) -> Vec<String> {
    entries(lab, name).iter().map(|entry| entry["decision"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn until_decisions(lab: &Lab, name: &str, expected: &[&str]) -> Value {
    let mut last = Vec::new();
    within(PATIENCE, &format!("{name}: {expected:?}"), || {
        last = decisions(lab, name);
        last == expected
    });
    entries(lab, name).pop().unwrap()
}

#[test]
fn a_released_critical_can_be_read_with_who_why_and_until_when() {
    let mut lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    let blocked = until_decisions(&lab, "app", &["Held", "Blocked"]);
    assert_eq!(blocked["images"][0]["verdict"], "Violated", "{blocked}");
    assert!(blocked["images"][0]["reasons"][0].as_str().unwrap().contains("CVE-"), "{blocked}");
    assert!(blocked["images"][0]["pinned"].as_str().unwrap().contains("@sha256:"), "{blocked}");
    assert_eq!((&blocked["policies"][0], &blocked["namespace"]), (&"default".into(), &"default".into()));
    assert_eq!(blocked.get("exceptions"), None, "{blocked}");

    let args = ["scan", "exception", "request", "accepted", "--reason", "no input from outside", "--vulnerability"];
    lab.kubectl(&[&args[..], &["CVE-*", "--until", "2999-12-31"]].concat()).ok();
    lab.lead(&["scan", "exception", "approve", "accepted"]).ok();
    rolled_out(&lab, "app");
    let released = until_decisions(&lab, "app", &["Held", "Blocked", "Approved"]);
    let exception = &released["exceptions"][0];
    let whoami = ["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"];
    let (developer, lead) = (lab.kubectl(&whoami).ok(), lab.lead(&whoami).ok());
    assert_ne!(developer, lead);
    assert_eq!(exception["requestedBy"], developer.trim(), "{released}");
    assert_eq!(exception["approvedBy"], lead.trim(), "{released}");
    assert_eq!((&exception["reason"], &exception["expires"]), (&"no input from outside".into(), &"2999-12-31".into()));
    assert_eq!(released["images"][0]["exceptions"][0], "accepted", "{released}");
    assert!(released["time"].as_str().unwrap().ends_with('Z') && released["revision"].is_string(), "{released}");

    // Neither a restart of the server nor another scan of the same decides anything.
    lab.kill_server();
    lab.start_server();
    lab.kubectl(&["scan", "image", &bad]).text.clear();
    lab.comes_to_rest();
    assert_eq!(decisions(&lab, "app"), ["Held", "Blocked", "Approved"]);
    lab.kubectl(&["delete", "scanexception", "accepted"]).ok();
    let lost = until_decisions(&lab, "app", &["Held", "Blocked", "Approved", "ApprovalLost"]);
    assert!(lost["images"][0]["reasons"][0].as_str().unwrap().contains("CVE-"), "{lost}");
}

#[test]
fn an_approval_is_logged_with_its_person() {
    let lab = lab();
    lab.approval("Manual");
    create(&lab, "app", &lab.registry.push("good", "v1", &clean().build()));
    let waits = until_decisions(&lab, "app", &["Held", "AwaitingApproval"]);
    assert_eq!(waits.get("approvedBy"), None, "{waits}");
    lab.lead(&["scan", "approve", "deployment/app", "--reason", "reviewed"]).ok();
    rolled_out(&lab, "app");
    let approved = until_decisions(&lab, "app", &["Held", "AwaitingApproval", "Approved"]);
    let lead = lab.lead(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).ok();
    assert_eq!(approved["approvedBy"][0]["by"], lead.trim(), "{approved}");
    assert_eq!(approved["approvedBy"][0]["reason"], "reviewed", "{approved}");
    assert_eq!(approved["approval"], "Manual");
}
