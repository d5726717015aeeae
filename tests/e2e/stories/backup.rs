//! What people wrote is backed up by one command of `docs/upgrade.md`, and comes back in a new cluster; nobody writes in the name of
//! somebody else on the way.

use crate::{create, lab, places, rolled_out, within};
use tidewaiter_testkit::demo::vulnerable;
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::readme;

const FILE: &str = "tidewaiter-backup.yaml";
const RULES: &str = r#"{"spec":{"rules":[{"name":"exploited","knownExploited":true,"condition":"finding.severity != \"LOW\"\n&& true"}],
    "requiredApprovals":2}}"#;
const OWN: &str = r#"{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ScanPolicy","metadata":{"name":"own","namespace":"default",
    "labels":{"team":"shop"}},"spec":{"incomplete":"Hold","maxDatabaseAgeDays":3}}"#;

/// An approval of a workload that is nowhere.
fn approval(by: &str) -> String {
    format!(
        r#"{{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"RolloutApproval",
        "metadata":{{"name":"reviewed","namespace":"default"}},"spec":{{"kind":"Deployment","name":"app","uid":"u",
        "digests":["sha256:0"],"reason":"reviewed","approvedBy":"{by}"}}}}"#
    )
}

/// One document of the file.
const EXCEPTION: &str = "jsonpath=apiVersion: {.apiVersion}
kind: {.kind}
metadata:
  name: {.metadata.name}
spec: {.spec}";

/// A script of the document, in the folder with the file.
fn script(lab: &Lab, name: &str) -> String {
    readme::script(&lab.root().join("docs/upgrade.md"), name)
}

/// What comes back: names, labels and what people wrote.
fn written(lab: &Lab) -> String {
    let kinds = "clusterscanpolicies,scanpolicies,scanexceptions";
    let path = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.labels} {.spec}{\"\\n\"}{end}";
    lab.admin(&["get", kinds, "-A", "-o", path]).ok()
}

#[test]
fn what_people_wrote_comes_back() {
    let lab = lab();
    lab.policy(RULES);
    lab.cluster.apply(OWN).ok();
    let request = ["scan", "exception", "request", "accepted", "--vulnerability", "CVE-*", "--until", "2999-12-31"];
    lab.kubectl(&[&request[..], &["--reason", "it's \"internal\": no input"]].concat()).ok();
    lab.lead(&["scan", "exception", "approve", "accepted"]).ok();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    rolled_out(&lab, "app");
    let lead = lab.lead(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).ok();
    lab.cluster.with_input(&["create", "-f", "-", &format!("--as={lead}")], &approval(&lead)).ok();
    let before = written(&lab);
    assert_eq!(before.lines().count(), 3, "{before}");
    lab.shell(lab.cluster.dir(), &script(&lab, "backup")).ok();
    let backup = std::fs::read_to_string(lab.cluster.dir().join(FILE)).unwrap();
    assert_eq!(backup.matches("kind: RolloutApproval").count(), 1, "{backup}");
    for added in ["uid:", "resourceVersion", "status", "last-applied"] {
        assert!(!backup.lines().any(|line| line.trim_start().starts_with(added)), "{added}: {backup}");
    }
    drop(lab);

    let mut lab = Lab::fresh(places());
    std::fs::write(lab.cluster.dir().join(FILE), &backup).unwrap();
    std::os::unix::fs::symlink(lab.root().join("deploy"), lab.cluster.dir().join("deploy")).unwrap();
    let restore = script(&lab, "restore");
    lab.shell(lab.cluster.dir(), &restore).ok();
    assert_eq!(written(&lab), before);
    lab.start_server();
    let log = std::fs::read_to_string(lab.log()).unwrap();
    assert!(!log.contains("a new installation"), "{log}");
    within(PATIENCE, "the exception applies", || lab.field("scanexception/accepted", ".status.state") == "Active");
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    rolled_out(&lab, "app");
    assert_eq!(written(&lab), before);

    nobody_writes_for_others(&lab, &restore);
    within(PATIENCE, "it applies again", || lab.field("scanexception/accepted", ".status.state") == "Active");
    assert_eq!(written(&lab), before);
}

/// While the server runs, an exception comes back by those who requested and approved it alone.
fn nobody_writes_for_others(lab: &Lab, restore: &str) {
    // What is there unchanged is left alone.
    lab.shell(lab.cluster.dir(), restore).ok();
    let spec = |field: &str| lab.field("scanexception/accepted", &format!(".spec.{field}"));
    let (requested_by, approved_by) = (spec("requestedBy"), spec("approvedBy"));
    let object = lab.admin(&["get", "scanexception", "accepted", "-o", EXCEPTION]).ok();
    lab.kubectl(&["delete", "scanexception", "accepted"]).ok();
    lab.admin(&["delete", "rolloutapprovals", "--all"]).ok();
    let refused = lab.shell(lab.cluster.dir(), restore).refused();
    assert!(refused.contains("requestedBy must be who requests"), "{refused}");
    assert!(refused.contains("approvedBy must be who approves"), "{refused}");
    let approval = format!(r#""approvedBy":"{approved_by}","#);
    assert!(object.contains(&approval), "{object}");
    std::fs::write(lab.cluster.dir().join("exception.yaml"), object.replace(&approval, "")).unwrap();
    let commands = script(lab, "restore an exception").replace("REQUESTED_BY", &requested_by);
    let commands = commands.replace("APPROVED_BY", &approved_by).replace("NAME", "accepted");
    lab.shell(lab.cluster.dir(), &commands).ok();
}
