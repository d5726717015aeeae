//! Faults of a cluster or its database: one clear message each, with the next step.

use crate::{create, lab, places, within};
use std::fs;
use std::process::Command;
use tidewaiter_testkit::cluster::{ClusterFixture, run};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

#[test]
fn without_a_database_holds_remain_and_say_what_to_do() {
    let mut lab = Lab::new(places());
    let kept = fs::read(lab.database()).unwrap();
    fs::remove_file(lab.database()).unwrap();
    lab.start_server();
    let (code, text) = lab.get("/readyz/scans");
    assert_eq!(code, 503, "{text}");
    assert!(text.contains("logs deployment/tidewaiter -c database"), "{text}");
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "app", &image);
    within(PATIENCE, "the message says what to do", || {
        let said = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
        said.contains("Created") && said.contains("logs deployment/tidewaiter -c database")
    });
    let said = lab.kubectl(&["scan", "image", &image]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("NoDatabase"), "{}", said.text);
    // People who install look at the status, and at Events of the server's Deployment.
    let said = lab.kubectl(&["scan", "status"]).ok();
    assert!(said.contains("warning: nothing new is scanned: no vulnerability database"), "{said}");
    assert!(said.contains("-c database") && !said.contains("cannot be reached"), "{said}");
    let events = ["get", "events", "-n", "tidewaiter-system", "--field-selector", "reason=NoDatabase"];
    within(PATIENCE, "an Event says it", || lab.admin(&events).text.contains("everything new is held"));
    // A corrupt file is named.
    let staged = lab.database().with_extension("new");
    let mut broken = kept.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    put(&lab, &staged, &broken);
    within(PATIENCE, "the corrupt file is named", || lab.get("/readyz/scans").1.contains("checksum"));
    // So is one of a newer format.
    let mut newer = kept.clone();
    newer[8] = 99;
    put(&lab, &staged, &newer);
    within(PATIENCE, "the newer format is named", || {
        let (_, text) = lab.get("/readyz/scans");
        text.contains("has format 99") && text.contains("update tidewaiter")
    });
    // A good one: held workloads are scanned automatically.
    put(&lab, &staged, &kept);
    lab.until("app", "Approved Deployed");
}

/// Replaced by rename, as a volume's owner does.
fn put(lab: &Lab, staged: &std::path::Path, bytes: &[u8]) {
    fs::write(staged, bytes).unwrap();
    fs::rename(staged, lab.database()).unwrap();
}

/// A new database changes the state of workloads.
#[test]
fn a_replaced_database_is_used() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "app", &image);
    lab.until("app", "Approved Deployed");
    let feeds = lab.cluster.dir().join("feeds");
    fs::create_dir_all(feeds.join("advisories")).unwrap();
    let record = |fixed: &str| {
        let events = match fixed {
            "" => r#"{"introduced":"0"}"#.to_owned(),
            fixed => format!(r#"{{"introduced":"0"}},{{"fixed":"{fixed}"}}"#),
        };
        format!(
            r#"{{"id":"CVE-2026-0001","modified":"2026-11-01T00:00:00Z","affected":[{{"package":{{"ecosystem":"Debian:99","name":"curl"}},
            "ranges":[{{"type":"ECOSYSTEM","events":[{events}]}}]}}],"severity":[{{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}}"#
        )
    };
    let file = feeds.join("advisories/CVE-2026-0001.json");
    fs::write(&file, record("")).unwrap();
    let toml = feeds.join("feeds.toml");
    fs::write(&toml, "[[feed]]\nname = \"new\"\nformat = \"osv\"\npath = \"advisories\"\necosystems = [\"Debian:99\"]\nrates = true\n").unwrap();
    fs::remove_file(lab.database()).unwrap();
    lab.build_database(&toml);
    // A new critical finding in a running image: reported, the next rollout is held, nothing is stopped.
    lab.until("app", "VulnerabilitiesFound Deployed");
    assert_eq!(lab.field("deployment/app", ".status.readyReplicas"), "1");
    create(&lab, "next", &image);
    lab.until("next", "VulnerabilitiesFound Blocked");
    // The advisory is corrected: everything is released automatically.
    fs::write(&file, record("1.0")).unwrap();
    lab.build_database(&toml);
    lab.until("next", "Approved Deployed");
    lab.until("app", "Approved Deployed");
}

#[test]
fn a_server_without_a_permission_says_which() {
    let mut lab = Lab::new(places());
    let role = r#"[{"op":"remove","path":"/rules/0"}]"#;
    lab.admin(&["patch", "clusterrole", "tidewaiter", "--type=json", "-p", role]).ok();
    lab.spawn_server();
    within(PATIENCE, "readiness names the permission", || {
        let (code, text) = lab.get("/readyz");
        code == 503 && text.contains("may not list and watch deployments: apply deploy/rbac.yaml")
    });
}

#[test]
fn a_cluster_without_the_custom_resources() {
    let places = places();
    let cluster = ClusterFixture::start(&places.controlplane);
    let scan = |args: &[&str]| {
        let mut command = Command::new(places.programs.join("kubectl-scan"));
        run(command.args(args).env("KUBECONFIG", cluster.kubeconfig()))
    };
    for args in [&["status"][..], &["approve", "deployment/x"], &["image", "--in-cluster", "x"], &["report", "x"]] {
        let said = scan(args);
        assert_eq!(said.code, 3, "{args:?}: {}", said.text);
        assert!(said.text.contains("kubectl apply -f deploy/crds.yaml"), "{args:?}: {}", said.text);
    }
    // Without `--in-cluster` it scans locally.
    let said = scan(&["image", "oci:/nowhere"]);
    assert_eq!(said.code, 3, "{}", said.text);
    // The server says it, too.
    let mut server = Command::new(places.programs.join("tidewaiter"));
    server.args(["serve", "--listen", "127.0.0.1:0", "--webhook-listen", "127.0.0.1:0"]);
    server.args(["--metrics-listen", "127.0.0.1:0", "--store"]);
    server.arg(cluster.dir().join("store")).env("KUBECONFIG", cluster.kubeconfig());
    let log = fs::File::create(cluster.dir().join("server.log")).unwrap();
    let mut process = server.stderr(log).spawn().unwrap();
    within(PATIENCE, "the log names the missing resources", || {
        let log = fs::read_to_string(cluster.dir().join("server.log")).unwrap();
        log.contains("apply deploy/crds.yaml")
    });
    process.kill().unwrap();
    process.wait().unwrap();
}
