//! The server is killed between every two steps, as if its node were lost: nothing is lost.

use crate::{lab, rolled_out};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::Lab;

fn again(lab: &mut Lab) {
    lab.kill_server();
    lab.start_server();
}

/// Pods that the scheduler ever gave to a node, also those that were deleted since.
fn ever_scheduled(lab: &Lab) -> String {
    lab.kubectl(&["get", "events", "--field-selector", "reason=Scheduled", "-o", "name"]).ok()
}

#[test]
fn the_server_is_killed_between_every_two_steps() {
    let mut lab = lab();
    lab.approval("Manual");
    let v1 = lab.registry.push("myapp", "v1", &vulnerable().build());
    let fixed = v1.replace(":v1", ":v1-fixed");
    lab.kill_server();
    // Created while the server is down: paused afterwards, and no Pod ever ran.
    lab.kubectl(&["create", "deployment", "myapp", &format!("--image={v1}")]).ok();
    lab.start_server();
    lab.until("myapp", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("deployment/myapp", ".spec.paused"), "true");
    assert_eq!(ever_scheduled(&lab), "");
    again(&mut lab);
    lab.until("myapp", "VulnerabilitiesFound Blocked");
    lab.registry.push("myapp", "v1-fixed", &clean().build());
    lab.kubectl(&["scan", "image", &fixed]).ok();
    again(&mut lab);
    lab.kubectl(&["set", "image", "deployment/myapp", &format!("myapp={fixed}")]).ok();
    again(&mut lab);
    lab.until("myapp", "NoVulnerabilities PendingApproval");
    again(&mut lab);
    lab.lead(&["scan", "approve", "deployment/myapp"]).ok();
    again(&mut lab);
    rolled_out(&lab, "myapp");
    lab.until("myapp", "Approved Deployed");
    again(&mut lab);
    lab.until("myapp", "Approved Deployed");
    lab.kubectl(&["scale", "deployment/myapp", "--replicas=2"]).ok();
    rolled_out(&lab, "myapp");
    assert_ne!(ever_scheduled(&lab), "", "what runs was scheduled, and its Events show that");
}

/// An approval is given while the server is down.
#[test]
fn an_approval_from_while_the_server_was_away_counts() {
    let mut lab = lab();
    lab.approval("Manual");
    let good = lab.registry.push("good", "v1", &clean().build());
    crate::create(&lab, "app", &good);
    lab.until("app", "NoVulnerabilities PendingApproval");
    lab.kill_server();
    lab.lead(&["scan", "approve", "deployment/app"]).ok();
    lab.start_server();
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
}
