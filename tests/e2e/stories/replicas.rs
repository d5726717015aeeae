//! Two processes of the server: both answer, one leads and writes, and the other takes over.

use crate::{create, places, rolled_out, within};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::{Lab, LabReplica, PATIENCE};

/// How long a rollout may wait for a leader that died: fifteen seconds until its Lease has lapsed, and what follows.
const TAKEN_OVER: Duration = Duration::from_secs(40);

/// How long the API server may take to enforce a new list, as the server believes.
const LISTED: Duration = Duration::from_secs(5);

/// Within which a process hears what happened while its connections were silent.
const HEARD: Duration = Duration::from_secs(30);

/// Within which a follower has copied reports.
const COPIED: Duration = Duration::from_secs(10);

/// Two processes: the first leads, the second follows.
fn two() -> (Lab, LabReplica, LabReplica) {
    let mut lab = Lab::new(places());
    let first = lab.start_replica("replica-1");
    let second = lab.start_standby("replica-2");
    assert_eq!(lab.leader(), "replica-1");
    assert!(first.leads() && !second.leads());
    (lab, first, second)
}

/// Writes of a process to the API server, without those of the Lease.
fn writes(lab: &Lab, replica: &LabReplica) -> Vec<String> {
    let all = lab.requests_with(&replica.credential);
    assert!(!all.is_empty(), "the audit log knows the token of {}", replica.name);
    let all = all.iter().filter(|request| request.is_write() && request.resource != "leases");
    // What a follower asks whether the policies are in force by: a dry run, which a policy refuses.
    all.filter(|request| request.name != "in-force" && request.code != 422).map(ToString::to_string).collect()
}

fn daemon_set(image: &str) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{{"name":"agent"}},"spec":{{"selector":{{"matchLabels":
        {{"app":"agent"}}}},"template":{{"metadata":{{"labels":{{"app":"agent"}}}},"spec":{{"containers":[{{"name":"agent",
        "image":"{image}"}}]}}}}}}}}"#
    )
}

/// Everything that a webhook sees is decided by the leader, whichever process answered.
#[test]
fn what_the_follower_answers_the_leader_decides() {
    let (lab, first, second) = two();
    lab.serve_by(&first, false);
    let good = lab.registry.push("good", "v1", &clean().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let held =
        lab.kubectl(&["create", "deployment", "app", &format!("--image={good}"), "-o", "jsonpath={.spec.paused}"]);
    assert!(held.ok().starts_with("true"), "the follower holds it");
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    create(&lab, "vulnerable", &bad);
    lab.until("vulnerable", "VulnerabilitiesFound Blocked");
    // What only the webhook sees: an update that it refuses.
    lab.apply(&daemon_set(&good)).ok();
    within(PATIENCE, "the agent runs", || lab.field("daemonset/agent", ".status.numberReady") == "1");
    lab.apply(&daemon_set(&bad)).refused();
    within(PATIENCE, "the refused update is recorded and scanned", || {
        let said = lab.kubectl(&["scan", "status", "daemonset/agent"]).text;
        said.contains("Blocked") && said.contains("what runs goes on")
    });
    answered(&second);
    // What is approved starts at once, also by the follower: the leader has no gate to take away.
    lab.comes_to_rest();
    std::thread::park_timeout(LISTED);
    let patched = pod_patches(&lab, &first);
    lab.kubectl(&["delete", "pods", "-l", "app=app", "--wait=false"]).ok();
    rolled_out(&lab, "app");
    lab.comes_to_rest();
    assert_eq!(pod_patches(&lab, &first), patched);
    assert_eq!(writes(&lab, &second), Vec::<String>::new());
    assert_eq!(lab.leader(), "replica-1");
    assert!(!second.said().contains("not written"), "{}", second.said());
}

/// Where nothing is held, a review only says that a namespace is worth a look: by the leader, whoever answered. It is told by a
/// path that strangers do not know.
#[test]
fn only_servers_tell_the_leader() {
    let (lab, first, second) = two();
    lab.serve_by(&first, false);
    lab.policy(r#"{"spec":{"mode":"Audit"}}"#);
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    within(PATIENCE, "Pods pass", || {
        lab.kubectl(&["run", "probe", &format!("--image={bad}"), "--dry-run=server"]).code == 0
    });
    lab.apply(&crate::pod("bare", &bad)).ok();
    within(PATIENCE, "what runs is scanned", || {
        lab.kubectl(&["get", "imagescans"]).ok().contains("VulnerabilitiesFound")
    });
    answered(&second);
    assert_eq!(writes(&lab, &second), Vec::<String>::new());
    let forged = r#"{"unheld":["default"]}"#;
    // Whoever may read webhook configurations knows the secrets that are registered, and what follows from them.
    let registered = registered_secret(&lab);
    let guesses = ["00000000000000000000000000000000", "", &registered, &followed_from(&registered)];
    assert_eq!(registered.len(), 32, "{registered}");
    for path in guesses.map(|guess| format!("/peers/{guess}/notices")) {
        let answer = lab.forge_at(&first, &path, forged);
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

/// The secret in the registered path of DaemonSets.
fn registered_secret(lab: &Lab) -> String {
    let clients = lab.field("mutatingwebhookconfiguration/tidewaiter", ".webhooks[*].clientConfig");
    let (_, path) = clients.split_once("/daemonsets/").expect("a path of DaemonSets");
    path.chars().take_while(char::is_ascii_hexdigit).collect()
}

/// What the secret of servers was made of once: the registered one.
fn followed_from(registered: &str) -> String {
    let hash = Sha256::new().chain_update("tidewaiter path of other servers").chain_update(registered).finalize();
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asserts that a process answered admission requests: API servers keep a connection once they have one.
#[track_caller]
fn answered(replica: &LabReplica) {
    let metrics = replica.get(9090, "/metrics").1;
    assert!(metrics.contains("tidewaiter_admissions_total{"), "{} answered nothing", replica.name);
}

/// Patches of Pods by a process: gates that it took away.
fn pod_patches(lab: &Lab, replica: &LabReplica) -> usize {
    lab.requests_with(&replica.credential).iter().filter(|r| r.verb == "patch" && r.resource == "pods").count()
}

/// The node of the leader is lost while rollouts wait, and the Service still leads there for a while.
#[test]
fn a_leader_that_dies_is_replaced() {
    let (lab, mut first, second) = two();
    lab.approval("Manual");
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "held", &good);
    lab.until("held", "NoVulnerabilities PendingApproval");
    first.kill();
    let died = Instant::now();
    lab.lead(&["scan", "approve", "deployment/held"]).ok();
    let other = lab.registry.push("other", "v1", &distinct("other"));
    create(&lab, "new", &other);
    lab.until("new", "NoVulnerabilities PendingApproval");
    lab.lead(&["scan", "approve", "deployment/new"]).ok();
    rolled_out(&lab, "held");
    rolled_out(&lab, "new");
    let took = died.elapsed();
    assert!(took < TAKEN_OVER, "{took:?}");
    assert_eq!(lab.leader(), "replica-2");
    assert!(second.leads());
    // It comes back, and follows.
    lab.run_replica(&mut first);
    assert!(second.leads() && !first.leads());
    lab.until("held", "Approved Deployed");
    lab.until("new", "Approved Deployed");
}

/// A rollout of the server itself: its Pods are told to stop, and no admission request goes by unseen.
#[test]
fn a_leader_that_is_told_to_stop_leaves_no_gap() {
    let (lab, mut first, second) = two();
    let lab = Arc::new(lab);
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let over = Arc::new(AtomicBool::new(false));
    let asked = {
        let (lab, over) = (Arc::clone(&lab), Arc::clone(&over));
        std::thread::spawn(move || {
            let image = format!("--image={bad}");
            let ask = ["create", "deployment", "asked", &image, "--dry-run=server", "-o", "jsonpath={.spec.paused}"];
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                // One that no webhook saw would not be paused.
                let said = lab.kubectl(&ask).ok();
                assert!(said.starts_with("true"), "request {number}: {said:?}");
                number += 1;
            }
            number
        })
    };
    std::thread::park_timeout(Duration::from_secs(2));
    let told = Instant::now();
    lab.delete_pod_of(&first);
    first.signal("-TERM");
    within(Duration::from_secs(10), "the other process leads", || second.leads());
    let took = told.elapsed();
    assert_eq!(first.ended(), Some(0), "{}", first.said());
    std::thread::park_timeout(Duration::from_secs(2));
    over.store(true, Ordering::Relaxed);
    let asked = asked.join().unwrap();
    assert!(asked > 20, "{asked}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(lab.leader(), "replica-2");
}

/// Reports and the database are at whoever may lead next: nothing is read again when they do.
#[test]
fn what_one_process_knows_the_other_one_has() {
    let (lab, mut first, second) = two();
    let same = || fs::read(first.database()).unwrap() == fs::read(second.database()).unwrap_or_default();
    within(PATIENCE, "the second process has the database of the first", same);
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &good);
    rolled_out(&lab, "app");
    let report = lab.kubectl(&["scan", "report", "deployment/app"]).ok();
    // The follower is asked at once, whether it has copied the report or not.
    lab.serve_by(&first, false);
    let other = lab.registry.push("other", "v1", &distinct("other"));
    create(&lab, "other", &other);
    rolled_out(&lab, "other");
    let of_other = lab.kubectl(&["scan", "report", "deployment/other"]).ok();
    assert_eq!(lab.kubectl(&["scan", "report", "deployment/app"]).ok(), report);
    lab.serve_by(&first, true);
    lab.comes_to_rest();
    std::thread::park_timeout(COPIED);
    first.kill();
    lab.delete_pod_of(&first);
    within(Duration::from_secs(30), "the other process leads", || second.leads());
    lab.comes_to_rest();
    let scans = |line: &&str| line.starts_with("tidewaiter_scans_total");
    let metrics = second.get(9090, "/metrics").1;
    assert_eq!(metrics.lines().filter(scans).collect::<Vec<_>>(), Vec::<&str>::new(), "{}", second.said());
    lab.until("app", "Approved Deployed");
    assert_eq!(lab.kubectl(&["scan", "report", "deployment/app"]).ok(), report);
    assert_eq!(lab.kubectl(&["scan", "report", "deployment/other"]).ok(), of_other);
}

/// A leader that does not reach the API server stops writing before others may take over, and ends when it hears of them.
#[test]
fn a_leader_that_is_cut_off_stops_writing() {
    let (lab, mut first, second) = two();
    lab.serve_by(&first, false);
    first.way.cut();
    within(Duration::from_secs(30), "the other process leads", || second.leads());
    assert!(!first.leads(), "its own metrics say so, too");
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &good);
    rolled_out(&lab, "app");
    let before = writes(&lab, &first);
    first.way.mend();
    assert_eq!(first.ended(), Some(1));
    assert!(first.said().contains("is held by replica-2"), "{}", first.said());
    assert_eq!(writes(&lab, &first), before);
    lab.run_replica(&mut first);
    assert!(second.leads() && !first.leads());
}

/// What is open says nothing any more, and is not closed, as behind a router that has forgotten it: what happens meanwhile is known
/// half a minute later, not when the watches end.
#[test]
fn silent_connections_are_not_believed() {
    let (lab, first, second) = two();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let image = format!("--image={bad}");
    let ask = ["create", "deployment", "asked", &image, "--dry-run=server", "-o", "jsonpath={.spec.paused}"];
    let held = || lab.kubectl(&ask).ok().starts_with("true");
    for (asked, other, mode) in [(&second, &first, "Audit"), (&first, &second, "Enforce")] {
        lab.serve_by(asked, true);
        lab.serve_by(other, false);
        let before = held();
        asked.way.silence();
        let silent = Instant::now();
        lab.policy(&format!(r#"{{"spec":{{"mode":"{mode}"}}}}"#));
        within(PATIENCE, "the process knows the new policy", || held() != before);
        let took = silent.elapsed();
        println!("{} knew the new policy after {took:?}", asked.name);
        assert!(took < HEARD, "{} after {took:?}", asked.name);
        assert!(asked.said().contains("all watches are opened anew"), "{}", asked.said());
    }
    // Nobody took over, and both go on.
    assert_eq!(lab.leader(), "replica-1");
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &good);
    rolled_out(&lab, "app");
}

/// One that slept through its own replacement does not write in the moment in which it wakes.
#[test]
fn a_leader_that_slept_writes_nothing() {
    let (lab, mut first, second) = two();
    lab.serve_by(&first, false);
    first.signal("-STOP");
    within(Duration::from_secs(30), "the other process leads", || second.leads());
    let before = writes(&lab, &first);
    // What it would have decided about.
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &good);
    first.signal("-CONT");
    assert_eq!(first.ended(), Some(1), "{}", first.said());
    rolled_out(&lab, "app");
    assert_eq!(writes(&lab, &first), before);
}
