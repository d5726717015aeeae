//! On OpenShift containers run as a user that the cluster chooses, which is all three containers' and in the image of none.

use crate::chart::{IMAGE, chart, helm};
use crate::{create, places, rolled_out, within};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::gitops;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Below it, users are of the node or of an image's making; namespaces of OpenShift have ranges above.
const FIRST_OF_RANGES: u32 = 1_000_000_000;

/// The user that a container's process runs as.
fn user(process_id: Option<u32>) -> u32 {
    let said = fs::read_to_string(format!("/proc/{}/status", process_id.unwrap())).unwrap();
    let ids = said.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    ids.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn containers_run_as_the_user_that_the_cluster_chooses() {
    let mut lab = Lab::new(places());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    // Users of the manifests would stay theirs.
    lab.admin(&["delete", "deployments", "-n", "tidewaiter-system", "--all"]).ok();
    let install =
        ["install", "tidewaiter", &chart(&lab), "--set", IMAGE, "--set", "openshift=true", "--take-ownership"];
    run(&mut helm(&lab, &gitops::helm_4(&places().root), &install)).ok();

    lab.build_database(&lab.root().join("demo/feeds.toml"));
    let database = fs::metadata(lab.database()).unwrap().uid();
    lab.start_server();
    let users = [database, user(lab.server_process_id()), user(lab.scanner_process_id())];
    assert!(users.iter().all(|&user| user == users[0] && user > FIRST_OF_RANGES), "{users:?}");
    create(&lab, "held", &bad);
    create(&lab, "fine", &good);
    lab.until("held", "VulnerabilitiesFound Blocked");
    lab.until("fine", "Approved Deployed");
    rolled_out(&lab, "fine");
    let layers = lab.layers();
    within(PATIENCE, "layers are kept", || fs::read_dir(&layers).unwrap().next().is_some());
    // What one process wrote, the next one of that user reads.
    lab.kill_server();
    lab.start_server();
    lab.until("held", "VulnerabilitiesFound Blocked");
    assert!(!fs::read_to_string(lab.log()).unwrap().contains("denied"), "{}", fs::read_to_string(lab.log()).unwrap());
}
