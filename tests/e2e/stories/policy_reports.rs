//! Tools that show policy reports show what tidewaiter found: one report for each workload, in both APIs, and nothing of it stays
//! once nobody wants it.

use crate::{create, lab, places, rolled_out, within};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use tidewaiter_testkit::audit;
use tidewaiter_testkit::demo::{clean, medium, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::report_definitions::{OPEN_REPORTS, POLICY_WORKING_GROUP, PublishedDefinition};

const BOTH: [&str; 2] = ["reports.openreports.io", "policyreports.wgpolicyk8s.io"];
const WANTED: [&str; 2] = ["--policy-reports", "both"];
/// A definition is looked for once a minute, and so is what somebody changed.
const LOOK: Duration = Duration::from_secs(100);

fn install(lab: &Lab, definition: PublishedDefinition) {
    lab.admin(&["apply", "--server-side", "-f", definition.fetched(&places().root).to_str().unwrap()]).ok();
}

fn allow(lab: &Lab) {
    let role = lab.root().join("deploy/optional/policy-reports.yaml");
    lab.admin(&["apply", "-f", role.to_str().unwrap()]).ok();
}

/// The reports of a kind in the current namespace.
fn reports(lab: &Lab, kind: &str) -> Vec<Value> {
    let said = lab.admin(&["get", kind, "-o", "json"]);
    let list: Value = if said.code == 0 { serde_json::from_str(&said.text).unwrap() } else { Value::Null };
    list["items"].as_array().cloned().unwrap_or_default()
}

/// The report of a workload.
fn report(lab: &Lab, kind: &str, workload: &str) -> Option<Value> {
    let mut of = reports(lab, kind);
    of.retain(|report| report["scope"]["name"] == workload);
    assert!(of.len() < 2, "{of:#?}");
    of.pop()
}

/// Its counts as `kubectl get` shows them: pass, fail, warn, error, skip.
fn counts(report: &Value) -> [u64; 5] {
    ["pass", "fail", "warn", "error", "skip"].map(|outcome| report["summary"][outcome].as_u64().unwrap())
}

#[track_caller]
fn until_counts(lab: &Lab, workload: &str, expected: [u64; 5]) {
    for kind in BOTH {
        let mut last = None;
        within(PATIENCE, &format!("{kind} of {workload} has {expected:?}"), || {
            last = report(lab, kind, workload);
            last.as_ref().is_some_and(|report| counts(report) == expected)
        });
    }
}

/// The requests by which the server's account wrote reports.
fn writes(lab: &Lab) -> Vec<String> {
    let requests = audit::read(&lab.cluster.dir().join("audit.log"));
    let of_reports = |group: &str| matches!(group, "openreports.io" | "wgpolicyk8s.io");
    requests.iter().filter(|r| r.is_write() && of_reports(&r.group)).map(ToString::to_string).collect()
}

fn log_lines(lab: &Lab, text: &str) -> usize {
    fs::read_to_string(lab.log()).unwrap().lines().filter(|line| line.contains(text)).count()
}

#[test]
fn each_workload_has_one_report() {
    let mut lab = lab();
    let bad = lab.registry.push("app", "bad", &vulnerable().build());
    let better = lab.registry.push("app", "better", &medium().build());
    let good = lab.registry.push("other", "good", &clean().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");

    // Without the definitions nothing fails, and it is said once.
    allow(&lab);
    lab.kill_server();
    lab.start_server_with(&WANTED);
    within(PATIENCE, "what is missing is said", || log_lines(&lab, "the API server does not know") == 2);
    install(&lab, OPEN_REPORTS);
    install(&lab, POLICY_WORKING_GROUP);
    within(LOOK, "reports appear with their definitions", || {
        BOTH.iter().all(|kind| report(&lab, kind, "app").is_some())
    });
    assert_eq!(log_lines(&lab, "the API server does not know"), 2);

    until_counts(&lab, "app", [0, 3, 5, 0, 0]);
    for kind in BOTH {
        says_what_was_found(&lab, &report(&lab, kind, "app").unwrap(), &bad);
    }
    create(&lab, "other", &good);
    rolled_out(&lab, "other");
    until_counts(&lab, "other", [1, 0, 0, 0, 0]);

    // Nothing changes, and nothing is written: not by another scan of the same image, and not by a new process.
    lab.comes_to_rest();
    let before = writes(&lab);
    let name = lab.field("imagescans", &format!(".items[?(@.spec.image==\"{bad}\")].metadata.name"));
    let scan = format!("imagescan/{name}");
    let generation = lab.field(&scan, ".status.observedGeneration");
    lab.kubectl(&["patch", &scan, "--type=merge", "-p", r#"{"spec":{"rescan":"again"}}"#]).ok();
    within(PATIENCE, "it is scanned again", || {
        lab.field(&scan, ".status.observedGeneration") != generation
            && lab.field(&scan, ".status.imageStatus") == "VulnerabilitiesFound"
    });
    lab.kill_server();
    lab.start_server_with(&WANTED);
    lab.comes_to_rest();
    assert_eq!(writes(&lab), before);

    // A fix, an exception, and a policy that is stricter.
    lab.kubectl(&["set", "image", "deployment/app", &format!("app={better}")]).ok();
    rolled_out(&lab, "app");
    until_counts(&lab, "app", [0, 0, 3, 0, 0]);
    lab.policy(r#"{"spec":{"blockAt":"MEDIUM"}}"#);
    until_counts(&lab, "app", [0, 3, 0, 0, 0]);
    let request = ["scan", "exception", "request", "all", "--reason", "r", "--vulnerability", "CVE-*", "--until"];
    lab.kubectl(&[&request[..], &["2999-12-31"]].concat()).ok();
    lab.lead(&["scan", "exception", "approve", "all"]).ok();
    until_counts(&lab, "app", [0, 0, 0, 0, 3]);

    // They go with the workload; and those of others stay, whatever anybody asks of the server's account.
    lab.kubectl(&["delete", "deployment", "other"]).ok();
    within(PATIENCE, "its reports go", || BOTH.iter().all(|kind| report(&lab, kind, "other").is_none()));
    others_are_not_touched(&lab);

    // Turned off again.
    lab.kill_server();
    lab.start_server();
    within(PATIENCE, "all reports go", || BOTH.iter().all(|kind| report(&lab, kind, "app").is_none()));
    assert_eq!(reports(&lab, BOTH[0]).len(), 1, "that of another tool stays");
}

/// Without the server's own permissions, which `tidewaiter uninstall` removes as well.
#[test]
fn uninstalling_removes_them() {
    let mut lab = Lab::new(places());
    install(&lab, OPEN_REPORTS);
    allow(&lab);
    lab.start_server_with(&["--policy-reports", "openreports"]);
    create(&lab, "app", &lab.registry.push("app", "v1", &medium().build()));
    rolled_out(&lab, "app");
    within(PATIENCE, "there is a report", || report(&lab, BOTH[0], "app").is_some());
    lab.kill_server();
    lab.uninstall().ok();
    assert_eq!(reports(&lab, BOTH[0]), Vec::<Value>::new());
    let roles = lab.admin(&["get", "clusterroles,clusterrolebindings", "-o", "name"]).ok();
    assert!(!roles.contains("tidewaiter"), "{roles}");
}

/// What a person reads, and what a program finds.
fn says_what_was_found(lab: &Lab, report: &Value, image: &str) {
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 8, "{report:#}");
    let worst = &results[0];
    let field = |name: &str| worst[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (field("result"), field("severity"), field("policy")),
        ("fail".into(), "critical".into(), "default".into())
    );
    assert!(field("source") == "tidewaiter" && field("rule").starts_with("CVE-"), "{worst}");
    let properties = &worst["properties"];
    assert_eq!(properties["image"], image);
    assert!(properties["digest"].as_str().unwrap().starts_with("sha256:"), "{properties}");
    assert!(properties["package"].is_string() && properties["installedVersion"].is_string(), "{properties}");
    assert!(
        results[3..].iter().all(|result| result["result"] == "warn" && result["severity"] == "medium"),
        "{report:#}"
    );
    let uid = lab.field("deployment/app", ".metadata.uid");
    assert_eq!((&report["scope"]["kind"], &report["scope"]["uid"]), (&json!("Deployment"), &json!(uid)));
    assert_eq!(report["metadata"]["ownerReferences"][0]["uid"], json!(uid));
    assert_eq!(report["metadata"]["labels"]["app.kubernetes.io/managed-by"], "tidewaiter");
}

/// The API server itself holds the server's account to its own reports.
fn others_are_not_touched(lab: &Lab) {
    let other = r#"{"apiVersion":"openreports.io/v1alpha1","kind":"Report","metadata":{"name":"theirs"}}"#;
    lab.cluster.apply(other).ok();
    let as_server = "--as=system:serviceaccount:tidewaiter-system:tidewaiter";
    let refused = lab.admin(&["delete", BOTH[0], "theirs", as_server]).refused();
    assert!(refused.contains("no policy report but its own"), "{refused}");
    // Not `patch`, which reads the object before.
    let own = other
        .replace(r#""name":"theirs""#, r#""name":"theirs","labels":{"app.kubernetes.io/managed-by":"tidewaiter"}"#);
    let apply = ["apply", "--server-side", "--force-conflicts", as_server, "-f", "-"];
    let refused = lab.cluster.with_input(&apply, &own).refused();
    assert!(refused.contains("no policy report but its own"), "{refused}");
}
