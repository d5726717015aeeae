//! User stories, with the programs as users run them: real etcd, API server, controllers and scheduler, the real kubectl, a
//! registry on loopback. One file for each story. Nothing of tidewaiter's own code is linked.
//!
//! `cargo xtask test` builds what they need; without it a story fails with the command to run. `cargo xtask stories --kubernetes
//! 1.30` plays them on another version of Kubernetes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic, and says why")]

mod alerts;
mod audit;
mod audit_log;
mod backstop;
mod backup;
mod bad_input;
mod bare_pods;
mod break_glass;
mod cert_manager;
mod certificates;
mod chart;
mod completion;
mod credential_providers;
mod cron_jobs;
mod daemon_sets;
mod dashboard;
mod debug;
mod every_image;
mod every_kind;
mod exceptions;
mod forged_marks;
mod forged_reviews;
mod fresh_installation;
mod full_list;
mod full_volume;
mod gitops;
mod helm;
mod image_changed;
mod installation;
mod jobs;
mod kustomize;
mod layers;
mod medium_findings;
mod mirrors;
mod namespace_labels;
mod namespaces;
mod new_database;
mod not_pullable;
mod openshift;
mod pause;
mod permissions;
mod platforms;
mod policy_reports;
mod pull_secrets;
mod python_bookworm;
mod re_evaluated;
mod readme;
mod registry_down;
mod renewal;
mod replicas;
mod reports;
mod requests;
mod rollback;
mod same_tag;
mod scan_policies;
mod scanner;
mod server_away;
mod server_killed;
mod several_images;
mod sidecars;
mod signed_scans;
mod six_steps;
mod slow_registry;
mod stateful_sets;
mod strangers;
mod tls;
mod traces;
mod two_containers;
mod two_images_of_one_owner;
mod uninstall;
mod upgrade;
mod versions;

use std::path::{Path, PathBuf};
use std::time::Duration;
use tidewaiter_testkit::cluster::eventually;
use tidewaiter_testkit::kubernetes::KubernetesMinor;
use tidewaiter_testkit::lab::{Lab, PATIENCE, Places};
use tidewaiter_testkit::{confined, controlplane, skip};

/// Where the programs are; each story has its own cluster.
fn places() -> Places {
    assert!(confined::is_possible(), "stories confine the server as deploy/ does; run them as root");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let here = std::env::current_exe().unwrap();
    let programs = here.ancestors().nth(2).map(PathBuf::from).unwrap();
    for program in ["tidewaiter", "kubectl-scan"] {
        assert!(programs.join(program).is_file(), "{program} is not built; run: cargo xtask test");
    }
    let controlplane = controlplane::find(&root).unwrap_or_else(|why| panic!("{why}"));
    Places { root, programs, controlplane, ends_quietly: true }
}

/// A cluster with the server running.
fn lab() -> Lab {
    Lab::start(places())
}

/// Whether a new Pod would be accepted without a gate.
fn would_start(lab: &Lab, image: &str) -> bool {
    let said = lab.kubectl(&["run", "new", &format!("--image={image}"), "--dry-run=server", "-o", "json"]);
    said.code == 0 && !said.text.contains("schedulingGates")
}

/// The first Kubernetes with MutatingAdmissionPolicies, and with them the gate in the API server.
const WITH_GATE: KubernetesMinor = KubernetesMinor(36);
/// The kinds of that gate, as an argument of kubectl.
const GATE: &str = "mutatingadmissionpolicies,mutatingadmissionpolicybindings";

/// Whether the control plane is of this version or newer; else the story is recorded as skipped, for what is missing there, and
/// must return.
#[track_caller]
fn has(since: KubernetesMinor, what: &str) -> bool {
    let minor = kubernetes();
    if minor < since {
        skip::here(&format!("Kubernetes {minor} has no {what}, which are of {since}"));
    }
    minor >= since
}

/// The version of Kubernetes that is played on.
fn kubernetes() -> KubernetesMinor {
    controlplane::minor_in(&places().controlplane)
}

/// The kinds of what the server registers, as arguments of kubectl.
fn registrations() -> String {
    let everywhere = "mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings";
    if kubernetes() < WITH_GATE { everywhere.to_owned() } else { format!("{everywhere},{GATE}") }
}

/// Takes away what Kubernetes has since 1.36, with the server down: the API server gates and pins nothing by itself.
#[track_caller]
fn as_before_1_36(lab: &Lab) {
    if kubernetes() >= WITH_GATE {
        lab.admin(&["delete", "mutatingadmissionpolicybindings", "--all"]).ok();
    }
    within(PATIENCE, "the API server gates nothing by itself", || {
        lab.admin(&["run", "unknown", "--image=registry.invalid/unknown:v1", "--dry-run=server"]).code != 0
    });
}

/// Creates a Deployment as a user does.
#[track_caller]
fn create(lab: &Lab, name: &str, image: &str) -> String {
    lab.kubectl(&["create", "deployment", name, &format!("--image={image}")]).ok()
}

/// Waits until `kubectl rollout status` says so.
#[track_caller]
fn rolled_out(lab: &Lab, deployment: &str) {
    let said = lab.kubectl(&["rollout", "status", &format!("deployment/{deployment}"), "--timeout=60s"]).ok();
    assert!(said.contains("successfully rolled out"), "{said}");
}

/// Images of the Pods with this label.
fn pod_images(lab: &Lab, app: &str) -> Vec<String> {
    let path = "jsonpath={range .items[*]}{.spec.containers[*].image}{\"\\n\"}{end}";
    let said = lab.kubectl(&["get", "pods", "-l", &format!("app={app}"), "-o", path]).ok();
    said.lines().map(str::to_owned).collect()
}

/// Waits until one field of an object is this.
#[track_caller]
fn until_field(lab: &Lab, object: &str, path: &str, wanted: &str) {
    within(PATIENCE, &format!("{object} {path} is {wanted}"), || lab.field(object, path) == wanted);
}

/// Waits until something holds, at most this long.
#[track_caller]
fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, limit, || holds().then_some(()));
}

/// Asserts that there are Pods with this label, and that each runs such an image.
#[track_caller]
fn all_run(lab: &Lab, app: &str, is_such: impl Fn(&str) -> bool) {
    let images = pod_images(lab, app);
    assert!(!images.is_empty() && images.iter().all(|image| is_such(image)), "{images:?}");
}

/// A Pod that runs one image and has no controller.
fn pod(name: &str, image: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","labels":{{"app":"{name}"}}}},"spec":{{"containers":[{{"name":"c","image":"{image}"}}]}}}}"#
    )
}
