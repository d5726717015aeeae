//! A finding that a team accepts: one person requests it, another one approves it, and everybody can read who and why.

use crate::{create, lab, rolled_out, within};
use tidewaiter_testkit::demo::vulnerable;
use tidewaiter_testkit::lab::PATIENCE;

#[test]
fn one_person_requests_and_another_one_approves() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");

    let request = |name: &str, more: &[&str]| {
        let args =
            ["scan", "exception", "request", name, "--reason", "no input from outside", "--vulnerability", "CVE-*"];
        lab.kubectl(&[&args[..], more].concat())
    };
    let said = request("late", &["--until", "2001-01-01"]);
    assert!(said.code == 2 && said.text.contains("has passed"), "{}", said.text);
    assert!(lab.kubectl(&["scan", "exception", "list"]).ok().contains("no exceptions in this namespace"));
    let said = request("accepted", &["--until", "2999-12-31", "--image", "*/bad:*"]).ok();
    assert!(said.contains("another person approves it: kubectl scan exception approve accepted -n default"), "{said}");

    // A request accepts nothing, and its author cannot approve it: the role may not, and neither may an administrator.
    lab.kubectl(&["scan", "exception", "approve", "accepted"]).refused();
    let own = lab.admin(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).ok();
    let manifest = |by: &str, more: &str| {
        format!(
            r#"{{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ScanException","metadata":{{"name":"own"}},"spec":{{
            "vulnerabilities":["CVE-*"],"reason":"r","expires":"2999-12-31","requestedBy":"{by}"{more}}}}}"#
        )
    };
    let approved = format!(r#","approvedBy":"{own}""#);
    let refused = lab.cluster.apply(&manifest(&own, &approved)).refused();
    assert!(refused.contains("another person than who requests it"), "{refused}");
    assert!(lab.cluster.apply(&manifest("bob", "")).refused().contains("requestedBy must be who requests"));
    lab.cluster.apply(&manifest(&own, "")).ok();
    assert!(lab.admin(&["scan", "exception", "approve", "own"]).refused().contains("another person"));
    // Whoever administers the namespace can be each of its ServiceAccounts.
    let (account, role) = ("--as=system:serviceaccount:default:robot", "--clusterrole=cluster-admin");
    lab.admin(&["create", "clusterrolebinding", "robots", role, "--serviceaccount=default:robot"]).ok();
    let patch = r#"{"spec":{"approvedBy":"system:serviceaccount:default:robot"}}"#;
    let refused = lab.admin(&["patch", "scanexception", "own", account, "--type=merge", "-p", patch]).refused();
    assert!(refused.contains("a ServiceAccount of the namespace cannot approve"), "{refused}");
    let change =
        |patch: &str| lab.admin(&["patch", "scanexception", "accepted", "--type=merge", "-p", patch]).refused();
    assert!(change(r#"{"spec":{"expires":"3000-01-01"}}"#).contains("cannot be changed"));
    assert!(change(r#"{"spec":{"images":null}}"#).contains("cannot be changed"));
    lab.until("app", "VulnerabilitiesFound Blocked");

    let said = lab.lead(&["scan", "exception", "approve", "accepted"]).ok();
    assert!(said.contains("exception accepted approved by") && said.contains("*/bad:*"), "{said}");
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    within(PATIENCE, "its use is shown", || {
        let said = lab.kubectl(&["scan", "exception", "list"]).ok();
        let line = said.lines().find(|line| line.starts_with("accepted")).unwrap_or_default().to_owned();
        line.contains("Active") && line.contains("1 image")
    });
    // A policy ends it before the day that it names, and says so; then it does not any more.
    lab.policy(r#"{"spec":{"maxExceptionDays":30}}"#);
    let ends = || lab.field("scanexception/accepted", ".status.endsByPolicy");
    within(PATIENCE, "the policy ends it", || !ends().is_empty());
    let listed = lab.kubectl(&["scan", "exception", "list"]).ok();
    assert!(listed.contains(&format!("{} (by policy; requested until 2999-12-31)", ends())), "{listed}");
    lab.policy(r#"{"spec":{"maxExceptionDays":null}}"#);
    within(PATIENCE, "the policy ends it no more", || ends().is_empty());
    // What an auditor reads: the findings, who, why and until when.
    let report = lab.kubectl(&["scan", "report", "deployment/app"]).ok();
    let reason = "no input from outside (requested by";
    assert!(report.contains(reason) && report.contains("until 2999-12-31"), "{report}");
    let message = lab.field("imagescans", ".items[0].status.message");
    assert!(message.contains("others are excepted by accepted"), "{message}");
    assert!(change(r#"{"spec":{"approvedBy":null}}"#).contains("cannot be taken back"));
    let forged = r#"{"status":{"state":"Pending"}}"#;
    let args = ["patch", "scanexception", "accepted", "--subresource=status", "--type=merge", "-p", forged];
    assert!(lab.admin(&args).refused().contains("written by tidewaiter alone"));

    // It ends: what runs stays, and is reported.
    lab.kubectl(&["delete", "scanexception", "accepted"]).ok();
    lab.until("app", "VulnerabilitiesFound Deployed");
    assert_eq!(lab.field("deployment/app", ".status.readyReplicas"), "1");
}
