//! From the oldest version that is supported to this one, by the manifests: nothing that people or the server wrote is lost, and nothing
//! that was enforced is weaker.

use crate::{all_run, create, places, rolled_out, until_field, within};
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::earlier::EarlierVersion;
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::receiver::Receiver;
use tidewaiter_testkit::skip;

const SYSTEM: &str = "tidewaiter-system";
/// A namespace that is on this version's list of infrastructure, and was on no list before.
const INFRASTRUCTURE: &str = "cert-manager";
/// Everything of tidewaiter that people or the server wrote.
const OBJECTS: &str = "clusterscanpolicies,rolloutapprovals,workloadscans,imagescans,imageallowlists";
/// What is decided about each workload.
const DECISIONS: &str = "jsonpath={range .items[*]}{.metadata.name} {.status.imageStatus} {.status.deploymentStatus} \
    {.status.pausedByServer} {.status.revisions.*.decision};{end}";
/// What runs, and what it runs.
const PODS: &str =
    r#"jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.spec.containers[*].image}{"\n"}{end}"#;

/// A namespace whose policy wants a person's approval, and one that is only audited.
const POLICIES: &str = r#"
apiVersion: tidewaiter.dev/v1alpha1
kind: ClusterScanPolicy
metadata: {name: manual}
spec: {namespaces: [manual], approval: Manual, maxDatabaseAgeDays: null, blockAt: HIGH}
---
apiVersion: tidewaiter.dev/v1alpha1
kind: ClusterScanPolicy
metadata: {name: audited}
spec: {namespaces: [audited], mode: Audit}
"#;

fn get(lab: &Lab, args: &[&str]) -> Said {
    lab.admin(&[&["get"], args].concat())
}

/// What no upgrade may change.
#[derive(Debug, PartialEq)]
struct BeforeUpgrade {
    volume: String,
    authority: String,
    objects: String,
    policies: Vec<String>,
    approvals: String,
    decisions: String,
    pods: String,
    held: String,
}

impl BeforeUpgrade {
    fn of(lab: &Lab) -> Self {
        let get = |args: &[&str]| get(lab, args).ok();
        let system = |object: &str, path: &str| get(&["-n", SYSTEM, object, "-o", &format!("jsonpath={path}")]);
        let policy = |name: &&str| {
            let fields = ["mode", "blockAt", "approval", "unrated", "incomplete", "namespaces", "alerts[*].url"];
            let path: String = fields.iter().map(|field| format!("{{.spec.{field}}} ")).collect();
            get(&["clusterscanpolicy", name, "-o", &format!("jsonpath={path}")])
        };
        BeforeUpgrade {
            volume: system("pvc/tidewaiter", "{.metadata.uid} {.spec.volumeName}"),
            authority: system("secret/tidewaiter-webhook-ca", "{.metadata.uid} {.data.ca\\.crt} {.data.ca\\.key}"),
            objects: get(&[OBJECTS, "-A", "-o", "jsonpath={.items[*].metadata.uid}"]),
            policies: ["default", "manual", "audited"].iter().map(policy).collect(),
            approvals: get(&["rolloutapprovals", "-A", "-o", "jsonpath={.items[*].spec}"]),
            decisions: get(&["workloadscans", "-A", "-o", DECISIONS]),
            pods: get(&["pods", "-A", "--field-selector", "metadata.namespace!=tidewaiter-system", "-o", PODS]),
            held: get(&["deployment/held", "-n", "default", "-o", "jsonpath={.spec.paused} {.metadata.generation}"]),
        }
    }
}

/// `In` or `NotIn` of the namespaces in which Pods are refused, and which.
fn bound(lab: &Lab) -> String {
    let requirement = ".spec.matchResources.namespaceSelector.matchExpressions[0]";
    lab.field(
        "validatingadmissionpolicybinding/tidewaiter-shape",
        &format!("{requirement}.operator}} {{{requirement}.values"),
    )
}

/// The images of a story, and who is told.
struct Scene {
    bad: String,
    good: String,
    receiver: Receiver,
}

/// The installation of an earlier version, with something in every state.
fn installed(lab: &mut Lab, earlier: &EarlierVersion) -> Scene {
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    let receiver = Receiver::start(0, None);
    // It runs before anything is enforced.
    create(lab, "early", &bad);
    rolled_out(lab, "early");
    lab.admin(&["create", "namespace", INFRASTRUCTURE]).ok();
    lab.start_earlier_server(earlier);
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{{"url":"{}"}}]}}}}"#, receiver.url()));
    create(lab, "held", &bad);
    create(lab, "fine", &good);
    lab.until("held", "VulnerabilitiesFound Blocked");
    rolled_out(lab, "fine");
    lab.until("early", "VulnerabilitiesFound Deployed");
    lab.cluster.apply(POLICIES).ok();
    lab.new_namespace("audited");
    create(lab, "watched", &bad);
    rolled_out(lab, "watched");
    lab.new_namespace("manual");
    let reviewed = lab.registry.push("reviewed", "v1", &distinct("reviewed"));
    for name in ["asked", "approved"] {
        create(lab, name, &reviewed);
        lab.until(name, "NoVulnerabilities PendingApproval");
    }
    lab.lead(&["scan", "approve", "deployment/approved", "--reason", "reviewed"]).ok();
    rolled_out(lab, "approved");
    lab.until("approved", "Approved Deployed");
    let noted = || get(lab, &["workloadscans", "-n", "default", "-o", "jsonpath={.items[*].status.alerted}"]).text;
    within(PATIENCE, "the alert is told and noted", || !receiver.received().is_empty() && !noted().is_empty());
    Scene { bad, good, receiver }
}

/// Asserts that all namespaces are enforced as they were, one of infrastructure that is on the list of this version, too.
#[track_caller]
fn is_enforced(lab: &Lab) {
    let found = bound(lab);
    assert!(found.starts_with("NotIn ") && found.contains("audited") && !found.contains(INFRASTRUCTURE), "{found}");
}

#[test]
fn from_the_oldest_version_by_the_manifests() {
    let Some(earlier) = EarlierVersion::find(&places().root) else {
        return skip::skipped("upgrade::from_the_oldest_version_by_the_manifests", "needs cargo xtask earlier");
    };
    let mut lab = Lab::of_earlier(places(), &earlier);
    let scene = installed(&mut lab, &earlier);
    is_enforced(&lab);
    let (before, told) = (BeforeUpgrade::of(&lab), scene.receiver.received().len());

    // By the README: definitions, permissions, feeds and server; nothing is refused as immutable.
    lab.stop_earlier_server();
    lab.apply_manifests().ok();
    assert_eq!(BeforeUpgrade::of(&lab), before);
    let log_of_earlier = std::fs::read_to_string(lab.log()).unwrap().len();
    lab.start_server();
    within(PATIENCE, "everything is as it was", || BeforeUpgrade::of(&lab) == before);
    let log = std::fs::read_to_string(lab.log()).unwrap()[log_of_earlier..].to_owned();
    assert!(!log.contains("a new installation") && !log.contains("the store"), "{log}");
    is_enforced(&lab);
    // A plugin that was not upgraded shows what it knows.
    let plugin = earlier.program("kubectl-scan");
    let said = run(lab.tool(&plugin).args(["status", "deployment/held", "-n", "default"])).text;
    assert!(said.contains("VulnerabilitiesFound") && said.contains("Blocked"), "{said}");
    // The container `database` builds it again by the new feeds.
    lab.build_database(&lab.root().join("demo/feeds.toml"));
    it_goes_on(&lab, &scene);
    assert_eq!(BeforeUpgrade::of(&lab).policies, before.policies);
    let received = scene.receiver.received();
    assert_eq!(received.len(), told + 1, "told before, and of the next one: {received:?}");
}

/// What was held is held, what was approved or retained runs and restarts, and what is new is decided.
fn it_goes_on(lab: &Lab, scene: &Scene) {
    lab.until("asked", "NoVulnerabilities PendingApproval");
    lab.kubectl(&["delete", "pods", "--all", "--wait=false"]).ok();
    rolled_out(lab, "approved");
    lab.lead(&["scan", "approve", "deployment/asked"]).ok();
    rolled_out(lab, "asked");
    lab.work_in("default");
    lab.until("held", "VulnerabilitiesFound Blocked");
    lab.until("early", "VulnerabilitiesFound Deployed");
    let said = lab.kubectl(&["scan", "report", "deployment/held"]).ok();
    assert!(said.contains("CVE-2022-1292"), "{said}");
    for (name, image) in [("early", vulnerable().build()), ("fine", clean().build())] {
        lab.kubectl(&["delete", "pods", "-l", &format!("app={name}"), "--wait=false"]).ok();
        within(PATIENCE, "it restarts", || lab.field(&format!("deployment/{name}"), ".status.readyReplicas") == "1");
        all_run(lab, name, |found| found.ends_with(&image.digest()));
    }
    create(lab, "next", &scene.bad);
    lab.until("next", "VulnerabilitiesFound Blocked");
    lab.kubectl(&["set", "image", "deployment/held", &format!("bad={}", scene.good)]).ok();
    rolled_out(lab, "held");
    until_field(lab, "deployment/held", ".spec.paused", "");
}
