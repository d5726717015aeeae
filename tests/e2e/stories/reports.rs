//! Reports are read by the permissions of their namespace, and are in no object of the cluster.

use crate::{lab, within};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// How long the API server may take to notice a changed binding: it watches them.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A ServiceAccount with a token and without any role.
fn account(lab: &Lab, name: &str) -> PathBuf {
    lab.admin(&["create", "serviceaccount", name, "-n", "default"]).ok();
    lab.cluster.service_account("default", name)
}

fn bind(lab: &Lab, namespace: &str, role: &str, account: &str) {
    let (role, account) = (format!("--clusterrole={role}"), format!("--serviceaccount=default:{account}"));
    lab.admin(&["create", "rolebinding", "reads", "-n", namespace, &role, &account]).ok();
}

fn kubectl(lab: &Lab, kubeconfig: &Path, args: &[&str]) -> Said {
    run(lab.kubectl_command().env("KUBECONFIG", kubeconfig).args(args))
}

/// Name of a namespace's only ImageScan, and the key of its report.
fn scan_of(lab: &Lab, namespace: &str) -> (String, String) {
    let path = "jsonpath={.items[0].metadata.name} {.items[0].status.platforms[0].reportKey}";
    let said = lab.admin(&["get", "imagescans", "-n", namespace, "-o", path]).ok();
    let (name, key) = said.split_once(' ').unwrap();
    (name.to_owned(), key.to_owned())
}

/// Creates an ImageReport that asks for a report, with these arguments of `kubectl create`.
fn ask(lab: &Lab, kubeconfig: &Path, namespace: &str, (scan, key): (&str, &str), args: &[&str]) -> Said {
    let spec = json!({"report": {"imageScan": scan, "key": key}});
    let object = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ImageReport", "metadata": {"name": "q"},
        "spec": spec});
    let file = lab.cluster.dir().join("question.json");
    fs::write(&file, object.to_string()).unwrap();
    let path = file.display().to_string();
    kubectl(lab, kubeconfig, &[&["create", "-n", namespace, "-o", "json", "-f", &path], args].concat())
}

const DRY: &[&str] = &["--dry-run=server"];

#[test]
fn the_role_view_of_a_namespace_reads_its_reports_and_no_others() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    lab.new_namespace("b");
    lab.kubectl(&["scan", "image", &good]).ok();
    assert_eq!(lab.kubectl(&["scan", "image", &bad, "-n", "default"]).code, 1);
    let (of_a, of_b) = (scan_of(&lab, "default"), scan_of(&lab, "b"));
    let (of_a, of_b) = ((of_a.0.as_str(), of_a.1.as_str()), (of_b.0.as_str(), of_b.1.as_str()));
    let (ann, stranger) = (account(&lab, "ann"), account(&lab, "stranger"));
    bind(&lab, "default", "view", "ann");
    // A token of a ServiceAccount, with role view.
    let said = kubectl(&lab, &ann, &["scan", "report", &bad]).ok();
    assert!(said.contains("CVE-2022-1292"), "{said}");
    // With kubectl alone.
    let said = ask(&lab, &ann, "default", of_a, DRY).ok();
    let report: Value = serde_json::from_str(&said).unwrap();
    let packed = report["status"]["report"].as_str().unwrap();
    let unpacked = lab.shell(Path::new("/"), &format!("echo {packed} | base64 -d | gunzip")).ok();
    assert!(unpacked.contains("CVE-2022-1292") && report["status"]["scans"].is_null(), "{unpacked}");
    // Another namespace, a namespace that is not there, nobody's role.
    for (who, namespace) in [(&ann, "b"), (&ann, "none"), (&stranger, "default")] {
        let said = kubectl(&lab, who, &["scan", "report", &good, "-n", namespace]);
        assert_eq!(said.code, 3, "{}", said.text);
        assert!(said.text.contains("forbidden") && !said.text.contains("Status {"), "{}", said.text);
        let said = ask(&lab, who, namespace, of_b, DRY).refused();
        assert!(said.contains("forbidden") && said.contains("imagereports"), "{said}");
    }
    // Name and key of another namespace's report say nothing in this one.
    for guess in [of_b, (of_a.0, of_b.1), (of_b.0, of_a.1), (of_a.0, ""), ("../../b/imagescans/x", of_b.1)] {
        let said = ask(&lab, &ann, "default", guess, DRY).refused();
        assert!(said.contains("no report of the ImageScan"), "{guess:?}: {said}");
    }
    // Not at the webhook's port either, where everybody can write reviews.
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u",
        "kind": {"group": "tidewaiter.dev", "version": "v1alpha1", "kind": "ImageReport"},
        "resource": {"group": "tidewaiter.dev", "version": "v1alpha1", "resource": "imagereports"}, "name": "q",
        "namespace": "b", "operation": "CREATE", "dryRun": true, "userInfo": {"username": "system:admin"},
        "object": {"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ImageReport", "metadata": {"name": "q"},
            "spec": {"report": {"imageScan": of_b.0, "key": of_b.1}}}}});
    for path in ["/imagereports", "/imagereports/0123456789abcdef"] {
        let said = lab.forge(path, &review.to_string());
        assert!(said.starts_with("HTTP/1.1 404"), "{path}: {said}");
    }
    // Revoked: at once.
    lab.admin(&["delete", "rolebinding", "reads", "-n", "default"]).ok();
    within(AT_ONCE, "ann reads nothing", || ask(&lab, &ann, "default", of_a, DRY).code != 0);
    let said = kubectl(&lab, &ann, &["scan", "report", &bad]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("forbidden"), "{}", said.text);
}

/// Who may read one ImageScan reads its report, and not that of another one, whose key they might know.
#[test]
fn a_report_needs_the_right_to_read_its_scan() {
    let lab = lab();
    let images = ["one", "other"].map(|name| lab.registry.push(name, "v1", &clean().build()));
    let scans = images.each_ref().map(|image| {
        lab.kubectl(&["scan", "image", image]).ok();
        let path = r#".items[?(@.spec.image=="IMAGE")]"#.replace("IMAGE", image);
        let field = |field: &str| lab.field("imagescans", &format!("{path}{field}"));
        (field(".metadata.name"), field(".status.platforms[0].reportKey"))
    });
    let bob = account(&lab, "bob");
    let named = format!("--resource-name={}", scans[0].0);
    lab.admin(&["create", "clusterrole", "asks", "--verb=create", "--resource=imagereports.tidewaiter.dev"]).ok();
    bind(&lab, "default", "asks", "bob");
    lab.admin(&["create", "role", "one", "--verb=get", "--resource=imagescans.tidewaiter.dev", &named]).ok();
    lab.admin(&["create", "rolebinding", "one", "--role=one", "--serviceaccount=default:bob"]).ok();
    let asked = |(scan, key): &(String, String)| ask(&lab, &bob, "default", (scan, key), DRY);
    within(AT_ONCE, "the report of the scan that bob may read", || asked(&scans[0]).code == 0);
    let said = asked(&scans[1]).refused();
    assert!(said.contains("`get` on its ImageScan"), "{said}");
}

#[test]
fn nothing_is_stored_and_only_the_server_answers() {
    let mut lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    assert_eq!(lab.kubectl(&["scan", "image", &bad]).code, 1);
    let scan = scan_of(&lab, "default");
    let scan = (scan.0.as_str(), scan.1.as_str());
    let administrator = lab.cluster.kubeconfig();
    let stored = |lab: &Lab| ask(lab, &administrator, "default", scan, &[]).refused();
    let said = stored(&lab);
    assert!(said.contains("is never stored") && said.contains("imagereports.tidewaiter.dev"), "{said}");
    // What a plugin before ImageReports asks, as who may proxy to Services: it prints why there is no report.
    let proxy = "/api/v1/namespaces/tidewaiter-system/services/http:tidewaiter:8080/proxy";
    let said = lab.admin(&["get", "--raw", &format!("{proxy}/api/v1/reports/{}", scan.1)]).refused();
    assert!(said.contains("reports are read as ImageReports"), "{said}");
    // Without the server nobody answers, and nothing is stored either.
    lab.kill_server();
    let said = ask(&lab, &administrator, "default", scan, DRY).refused();
    assert!(said.contains("failed calling webhook"), "{said}");
    let said = stored(&lab);
    assert!(said.contains("failed calling webhook"), "{said}");
    let said = lab.kubectl(&["scan", "report", &bad]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("the server does not answer") && said.text.contains("get pods"), "{}", said.text);
    // Nor without the webhook.
    lab.admin(&["delete", "mutatingwebhookconfiguration", "tidewaiter"]).ok();
    within(PATIENCE, "the policy refuses", || stored(&lab).contains("tidewaiter-reports"));
    let said = lab.kubectl(&["scan", "report", &bad]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("has not registered itself"), "{}", said.text);
    // Its absence keeps no namespace from ending.
    lab.admin(&["create", "namespace", "short"]).ok();
    lab.admin(&["delete", "namespace", "short", "--timeout=30s"]).ok();
    assert!(lab.admin(&["get", "imagereports", "-A"]).ok().contains("No resources found"));
    // An older cluster, whose definitions are of before.
    lab.admin(&["delete", "crd", "imagereports.tidewaiter.dev"]).ok();
    within(PATIENCE, "the kind is gone", || {
        lab.kubectl(&["scan", "report", &bad]).text.contains("older than this plugin")
    });
}
