//! cert-manager issues the webhooks' certificate: its own definitions take the chart's objects, and the server takes what it issues.

use crate::{create, places, rolled_out, within};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::{cert_manager, gitops, stranger};

const NAME: &str = "tidewaiter.tidewaiter-system.svc";
const SYSTEM: &str = "tidewaiter-system";

/// The chart with these values, as the server's API takes it.
fn rendered(lab: &Lab, values: &str) -> String {
    let chart = lab.root().join("deploy/chart").display().to_string();
    let image = "image.repository=registry.example/tidewaiter";
    let mut helm = lab.tool(&gitops::helm_4(&places().root));
    helm.args(["template", "tidewaiter", &chart, "--set", image, "--set", values, "--no-hooks", "--namespace", SYSTEM]);
    run(&mut helm).ok()
}

/// Applies the objects of cert-manager among these, and returns `KIND/NAME` of each.
fn apply_certificates(lab: &Lab, manifests: &str) -> Vec<String> {
    let ours = manifests.split("\n---\n").filter(|document| document.contains("apiVersion: cert-manager.io/v1"));
    let said = lab.cluster.apply(&ours.collect::<Vec<_>>().join("\n---\n")).ok();
    said.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn the_charts_objects_are_those_of_cert_manager() {
    let lab = Lab::fresh(places());
    lab.admin(&["apply", "--server-side", "-f", &cert_manager::definitions(lab.root()).display().to_string()]).ok();
    lab.admin(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).ok();
    let own = rendered(&lab, "certificates.certManager.enabled=true");
    let leaf = "certificate.cert-manager.io/tidewaiter-webhook";
    // As Helm sorts them: cert-manager's controllers wait for each other.
    let others = ["certificate.cert-manager.io/tidewaiter-ca", "issuer.cert-manager.io/tidewaiter-self-signed"];
    assert_eq!(apply_certificates(&lab, &own), [others[0], leaf, others[1], "issuer.cert-manager.io/tidewaiter-ca"]);
    let field = |path: &str| lab.admin(&["get", leaf, "-n", SYSTEM, "-o", &format!("jsonpath={{{path}}}")]).ok();
    assert_eq!(field(".spec.dnsNames"), format!("[\"{NAME}\"]"));
    // The Secret that it makes is the one that both Deployments mount, in the server's container alone.
    let secret = field(".spec.secretName");
    let objects = crate::chart::objects(&lab, &own);
    for deployment in ["Deployment tidewaiter", "Deployment tidewaiter-standby"] {
        let pod = objects[deployment].pointer("/spec/template/spec").unwrap();
        let volumes = pod["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|volume| volume["name"] == "certificates").unwrap();
        assert_eq!(volume["secret"]["secretName"], secret.as_str());
        let mounts = |container: &Value| container["volumeMounts"].to_string().contains("certificates");
        let containers = pod["containers"].as_array().unwrap();
        let mounting: Vec<&Value> = containers.iter().filter(|one| mounts(one)).map(|one| &one["name"]).collect();
        assert_eq!(mounting, ["tidewaiter"]);
        assert!(containers[0]["env"].to_string().contains("TIDEWAITER_TLS_CERT_DIR"), "{deployment}");
    }
    // With an issuer of one's own, that one alone.
    let values = "certificates.certManager.enabled=true,certificates.certManager.issuerRef.name=vault,\
        certificates.certManager.issuerRef.kind=ClusterIssuer";
    assert_eq!(apply_certificates(&lab, &rendered(&lab, values)), [leaf]);
    assert_eq!(field(".spec.issuerRef.kind"), "ClusterIssuer");
    // Without it, nothing of cert-manager.
    assert!(!rendered(&lab, "certificates.certManager.enabled=false").contains("cert-manager.io"));
}

/// Writes what cert-manager issues to where the kubelet mounts it; returns the folder as the server sees it.
fn issue(lab: &Lab, authority: &Authority) -> String {
    let (certificate, key) = authority.leaf(&[NAME]);
    lab.mounted_file("tls/tls.key", &key);
    lab.mounted_file("tls/tls.crt", &certificate);
    let ca = lab.mounted_file("tls/ca.crt", authority.pem());
    Path::new(&ca).parent().unwrap().display().to_string()
}

/// Whether who trusts this authority alone reaches the webhooks.
fn shows(authority: &Authority) -> bool {
    let said = stranger::post_trusting("127.0.0.1:8443".parse().unwrap(), NAME, authority.pem(), "/nowhere", "{}");
    said.starts_with("HTTP/1.1 404")
}

/// Asks the API server for what only the webhook does, until told to end.
fn ask(lab: &Lab, over: &AtomicBool) -> usize {
    let new =
        ["create", "deployment", "asked", "--image=r.example/x:1", "--dry-run=server", "-o", "jsonpath={.spec.paused}"];
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        let said = lab.kubectl(&new).ok();
        assert!(said.starts_with("true"), "request {asked}: {said:?}");
        asked += 1;
    }
    asked
}

#[test]
fn the_server_shows_what_is_mounted_and_follows_it() {
    let mut lab = Lab::new(places());
    // Looks at the folder every second.
    lab.set_variable("TIDEWAITER_CERTIFICATE_LIFETIME", "24");
    let (first, second) = (Authority::new(), Authority::new());
    let folder = issue(&lab, &first);
    lab.start_server_with(&["--tls-cert-dir", &folder]);
    within(PATIENCE, "the mounted certificate is shown", || shows(&first));
    assert!(!shows(&second));
    create(&lab, "app", &lab.registry.push("good", "v1", &clean().build()));
    rolled_out(&lab, "app");
    lab.kubectl(&["scan", "report", "deployment/app"]).ok();
    let over = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let asks = scope.spawn(|| ask(&lab, &over));
        // Another authority, and no moment in which API servers do not know it.
        issue(&lab, &second);
        within(PATIENCE, "the new certificate is shown", || shows(&second) || asks.is_finished());
        thread::sleep(std::time::Duration::from_secs(3));
        over.store(true, Ordering::Relaxed);
        asks.join().unwrap()
    });
    assert!(asked > 10, "{asked}");
    assert!(!shows(&first));
    // What cannot be used is said, and the server's own certificate is shown, by a process that starts as well.
    lab.mounted_file("tls/tls.crt", &Authority::new().leaf(&[NAME]).0);
    within(PATIENCE, "the log says so", || {
        fs::read_to_string(lab.log()).unwrap().contains("does not have a certificate for")
    });
    within(PATIENCE, "the mounted certificate is not shown", || !shows(&second));
    lab.kill_server();
    lab.start_server_with(&["--tls-cert-dir", &folder]);
    assert!(!shows(&second));
    let over = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let asks = scope.spawn(|| ask(&lab, &over));
        thread::sleep(std::time::Duration::from_secs(2));
        over.store(true, Ordering::Relaxed);
        asks.join().unwrap()
    });
    assert!(asked > 0);
}
