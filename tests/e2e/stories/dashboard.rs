//! Operators see what the gate does: each query of the dashboard finds something in what the server's own /metrics say, and each
//! rule of the alerts is one that Prometheus runs.

use crate::{create, lab, rolled_out, within};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::monitoring;
use tidewaiter_testkit::receiver::Receiver;

/// Between two scrapes: the program counts rates over ten seconds.
const PAUSE: Duration = Duration::from_millis(500);
/// Scrapes for a curve, as many as there are in twelve seconds.
const ENOUGH: usize = 20;

#[test]
fn every_query_finds_something() {
    let lab = lab();
    let scrapes = lab.cluster.dir().join("scrapes");
    fs::create_dir(&scrapes).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| scrape_until(&over, &lab, &scrapes));
        busy_days(&lab);
        within(PATIENCE, "there are scrapes for a curve", || fs::read_dir(&scrapes).unwrap().count() >= ENOUGH);
        over.store(true, Ordering::Relaxed);
    });
    let files = lab.root().join("deploy/chart/files");
    let mut program = Command::new(monitoring::program(lab.root()));
    let said = run(program.arg(&scrapes).arg(files.join("dashboard.json")).arg(files.join("alerts.yaml"))).ok();
    fs::write(monitoring::answers(lab.root()), &said).unwrap();
    let answers: Vec<Value> = serde_json::from_str(&said).unwrap();
    assert!(answers.len() > 20, "{said}");
    let silent: Vec<&Value> = answers.iter().filter(|answer| answer["series"] == Value::Array(Vec::new())).collect();
    assert_eq!(silent, Vec::<&Value>::new());
    let blocked = answers.iter().find(|answer| answer["panel"] == "Blocked").unwrap();
    let last = blocked["series"][0]["points"].as_array().unwrap().last().unwrap();
    assert_eq!(last[1], 2.0, "{blocked}");
}

/// Reads the server's metrics again and again, as Prometheus does.
fn scrape_until(over: &AtomicBool, lab: &Lab, folder: &Path) {
    let path = "/api/v1/namespaces/tidewaiter-system/services/http:tidewaiter:9090/proxy/metrics";
    while !over.load(Ordering::Relaxed) {
        let text = lab.admin(&["get", "--raw", path]).ok();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        fs::write(folder.join(format!("tidewaiter.{now}.txt")), text).unwrap();
        thread::sleep(PAUSE);
    }
}

/// Something of everything: released, blocked, not pullable, waiting for a person; alerts that fail at first.
fn busy_days(lab: &Lab) {
    let receiver = Receiver::start(1, None);
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{{"url":"{}"}}]}}}}"#, receiver.url()));
    create(lab, "good", &lab.registry.push("good", "v1", &clean().build()));
    rolled_out(lab, "good");
    create(lab, "bad", &lab.registry.push("bad", "v1", &vulnerable().build()));
    lab.until("bad", "VulnerabilitiesFound Blocked");
    create(lab, "absent", &format!("{}/absent:v1", lab.registry.host()));
    lab.until("absent", "ScanFailed Blocked");
    lab.approval("Manual");
    create(lab, "careful", &lab.registry.push("careful", "v1", &clean().build()));
    lab.until("careful", "NoVulnerabilities PendingApproval");
    within(PATIENCE, "the receiver is told after a refusal", || !receiver.received().is_empty());
}
