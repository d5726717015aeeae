//! Certificates are renewed, and their authority is replaced, while requests come all the time: none of them notices.

use crate::{create, places, rolled_out, within};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, LabReplica, PATIENCE, Places};

/// Seconds that an authority lives here in place of a year, and a certificate in place of a week.
const AUTHORITY: &str = "75";
const CERTIFICATE: &str = "24";
/// How long a whole rotation may take, its authority's age included.
const ROTATED: Duration = Duration::from_secs(150);

/// EndsAsking the threads that ask, also where an assertion fails.
struct EndsAsking<'a>(&'a AtomicBool);

impl Drop for EndsAsking<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A review as API servers send it, of a Deployment that nothing is known of.
const REVIEW: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","kind":{"group":"apps",
    "version":"v1","kind":"Deployment"},"resource":{"group":"apps","version":"v1","resource":"deployments"},"name":"d","namespace":
    "default","operation":"CREATE","userInfo":{},"dryRun":true,"object":{"apiVersion":"apps/v1","kind":"Deployment","metadata":
    {"name":"d"},"spec":{"selector":{},"template":{"spec":{"containers":[{"name":"c","image":"r.example/x:1"}]}}}}}}"#;

fn agent(image: &str) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{{"name":"agent"}},"spec":{{"selector":{{"matchLabels":
        {{"app":"agent"}}}},"template":{{"metadata":{{"labels":{{"app":"agent"}}}},"spec":{{"containers":[{{"name":"agent",
        "image":"{image}"}}]}}}}}}}}"#
    )
}

fn secret(lab: &Lab) -> Value {
    let get = ["get", "secret", "tidewaiter-webhook-ca", "-n", "tidewaiter-system", "--ignore-not-found", "-o", "json"];
    serde_json::from_str(&lab.admin(&get).ok()).unwrap_or_default()
}

/// The authority that signs, where no rotation is under way.
fn only_authority(lab: &Lab) -> Option<String> {
    let secret = secret(lab);
    let entries: Vec<&String> = secret["data"].as_object()?.keys().collect();
    (entries == ["ca.crt", "ca.key"]).then(|| secret["data"]["ca.crt"].as_str().unwrap().to_owned())
}

/// The authorities of each webhook, as registered.
fn registered(lab: &Lab) -> Vec<String> {
    let path = ".webhooks[*].clientConfig.caBundle";
    lab.field("mutatingwebhookconfiguration/tidewaiter", path).split_whitespace().map(str::to_owned).collect()
}

/// Waits until another authority alone signs, and alone is registered; returns it.
#[track_caller]
fn rotated(lab: &Lab, before: &str) -> String {
    let alone =
        || only_authority(lab).filter(|now| now != before && registered(lab).iter().all(|bundle| bundle == now));
    within(ROTATED, "another authority signs, and the old one is gone", || alone().is_some());
    alone().unwrap()
}

fn renewals(replica: &LabReplica) -> usize {
    replica.said().matches("the webhooks' certificate was renewed").count()
}

/// Requests that API servers decided without an answer of the webhooks.
fn unanswered(lab: &Lab) -> Vec<String> {
    let metrics = lab.admin(&["get", "--raw", "/metrics"]).ok();
    let counts = |line: &&str| {
        line.starts_with("apiserver_admission_webhook_fail_open_count{") && line.contains(".tidewaiter.dev")
    };
    metrics.lines().filter(counts).map(str::to_owned).collect()
}

/// Creates and updates through the API server, of which each shows that a webhook answered: until told to end. Returns how many.
fn ask(lab: &Lab, bad: &str, over: &AtomicBool) -> usize {
    let (image, agent) = (format!("--image={bad}"), agent(bad));
    let new = ["create", "deployment", "asked", &image, "--dry-run=server", "-o", "jsonpath={.spec.paused}"];
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        // One that no webhook saw would not be paused.
        let said = lab.kubectl(&new).ok();
        assert!(said.starts_with("true"), "request {asked}: {said:?}");
        // One that no webhook saw, or that came by a path that nobody knows, is answered without this warning.
        let said = lab.cluster.with_input(&["apply", "--dry-run=server", "-f", "-"], &agent).ok();
        assert!(said.contains("refused outside of a dry run"), "request {asked}: {said:?}");
        // The webhook whose failure policy is Fail.
        lab.kubectl(&["scan", "report", "deployment/app"]).ok();
        asked += 3;
    }
    asked
}

/// Connects to each process anew, as an API server that has no connection yet does, and trusts what is registered.
fn connect(lab: &Lab, replicas: [&LabReplica; 2], over: &AtomicBool, connections: &AtomicUsize) {
    while !over.load(Ordering::Relaxed) {
        for replica in replicas {
            let said = lab.forge_at(replica, "/deployments", REVIEW);
            assert!(said.starts_with("HTTP/1.1 200"), "{}: {said:?}\n{}", replica.name, replica.said());
            connections.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_authority_is_replaced_and_no_request_is_refused() {
    // Each minute another authority: there is no rest.
    let mut lab = Lab::new(Places { ends_quietly: false, ..places() });
    lab.set_variable("TIDEWAITER_CA_LIFETIME", AUTHORITY);
    lab.set_variable("TIDEWAITER_CERTIFICATE_LIFETIME", CERTIFICATE);
    let first = lab.start_replica("replica-1");
    let second = lab.start_standby("replica-2");
    let good = lab.registry.push("good", "v1", &clean().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &good);
    rolled_out(&lab, "app");
    lab.apply(&agent(&good)).ok();
    within(PATIENCE, "the agent runs", || lab.field("daemonset/agent", ".status.numberReady") == "1");
    let (authority, before) = (secret(&lab)["data"]["ca.crt"].as_str().unwrap().to_owned(), unanswered(&lab));
    let (over, connections) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asked = thread::scope(|scope| {
        let ends = EndsAsking(&over);
        let asks = scope.spawn(|| ask(&lab, &bad, &over));
        scope.spawn(|| connect(&lab, [&first, &second], &over, &connections));
        let next = rotated(&lab, &authority);
        within(ROTATED, "certificates are renewed", || [&first, &second].map(renewals).iter().all(|count| *count >= 3));
        // Somebody deletes the Secret: what is in use stays in use until another authority has taken its place.
        lab.admin(&["delete", "secret", "tidewaiter-webhook-ca", "-n", "tidewaiter-system"]).ok();
        let last = rotated(&lab, &next);
        assert!(last != authority && last != next);
        drop(ends);
        asks.join().unwrap()
    });
    assert_eq!(unanswered(&lab), before);
    assert!(asked > 60, "{asked}");
    let connections = connections.load(Ordering::Relaxed);
    assert!(connections > 100, "{connections}");
    println!("{asked} requests, {connections} connections, renewals {:?}", [&first, &second].map(renewals));
    // The follower still tells the leader, by the new authority's secret.
    lab.serve_by(&first, false);
    lab.apply(&agent(&bad)).refused();
    within(PATIENCE, "the refused update is recorded and scanned", || {
        lab.kubectl(&["scan", "status", "daemonset/agent"]).text.contains("Blocked")
    });
    let metrics = first.get(9090, "/metrics").1;
    for certificate in ["serving", "authority"] {
        let series = format!("tidewaiter_certificate_expiration_timestamp_seconds{{certificate=\"{certificate}\"}}");
        assert!(metrics.contains(&series), "{metrics}");
    }
}
