//! A team receives an alert: as a CloudEvent, once, and retried until delivered.

use crate::{create, lab, within};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::PATIENCE;
use tidewaiter_testkit::receiver::Receiver;

#[test]
fn a_block_is_reported_once_and_retried_until_delivered() {
    let mut lab = lab();
    let receiver = Receiver::start(2, None);
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{{"url":"{}"}}]}}}}"#, receiver.url()));
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    within(PATIENCE, "the alert is delivered after two refusals", || !receiver.received().is_empty());
    let event = receiver.received()[0].clone();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "dev.tidewaiter.workload.blocked");
    assert_eq!(event["source"], "/namespaces/default");
    assert_eq!(event["subject"], "deployment/app");
    assert!(event["data"]["message"].as_str().unwrap().contains("3 critical, 5 medium"), "{event}");
    assert!(event["data"]["reasons"][0].as_str().unwrap().contains("CVE-"), "{event}");
    // Neither a rescan nor a restart repeats it.
    within(PATIENCE, "the record notes the alert", || {
        !lab.field("workloadscans", ".items[0].status.alerted").is_empty()
    });
    lab.kill_server();
    lab.start_server();
    lab.kubectl(&["scan", "image", &bad]).refused();
    lab.until("app", "VulnerabilitiesFound Blocked");
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "other", &good);
    lab.until("other", "Approved Deployed");
    assert_eq!(receiver.received().len(), 1, "{:?}", receiver.received());
    assert_eq!(receiver.kinds(), ["application/cloudevents+json; charset=utf-8"]);
}
