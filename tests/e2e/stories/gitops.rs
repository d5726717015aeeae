//! Tools that apply a manifest again and again: the same one while it is held is no wish of anybody's.

use crate::{create, lab, places, rolled_out, until_field};
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::gitops;
use tidewaiter_testkit::lab::Lab;

/// A Deployment as Git says it.
fn manifest(name: &str, image: &str, paused: &str) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{name}"}},"spec":{{{paused}"selector":
        {{"matchLabels":{{"app":"{name}"}}}},"template":{{"metadata":{{"labels":{{"app":"{name}"}}}},"spec":{{"containers":
        [{{"name":"{name}","image":"{image}"}}]}}}}}}}}"#
    )
}

/// As Helm 4, Flux and Argo CD apply.
fn server_side(lab: &Lab, manifest: &str) -> String {
    lab.cluster.with_input(&["apply", "--server-side", "--field-manager=helm", "-f", "-"], manifest).ok()
}

#[test]
fn the_same_manifest_any_number_of_times() {
    let lab = lab();
    let bad = lab.registry.push("app", "bad", &vulnerable().build());
    let good = lab.registry.push("app", "good", &clean().build());
    for (name, apply) in [("ssa", server_side as fn(&Lab, &str) -> String), ("csa", |lab, text| lab.apply(text).ok())] {
        apply(&lab, &manifest(name, &bad, ""));
        for _ in 0..3 {
            let said = apply(&lab, &manifest(name, &bad, ""));
            assert!(!said.contains("pause"), "{said}");
        }
        lab.until(name, "VulnerabilitiesFound Blocked");
        // Requests that change nothing.
        lab.kubectl(&["patch", &format!("deployment/{name}"), "-p", "{}"]).ok();
        apply(&lab, &manifest(name, &bad, ""));
        apply(&lab, &manifest(name, &good, ""));
        rolled_out(&lab, name);
        assert_eq!(lab.field(&format!("deployment/{name}"), ".spec.paused"), "");
    }
    // What Git says is what is there: nothing to apply.
    let said = lab
        .cluster
        .with_input(&["diff", "--server-side", "--field-manager=helm", "-f", "-"], &manifest("ssa", &good, ""));
    assert_eq!((said.code, said.text.as_str()), (0, ""));
}

/// Flux's apply library with a manifest of `app`.
fn flux(lab: &Lab, command: &str, image: &str, more: &[&str]) -> Said {
    let file = lab.cluster.dir().join("manifest.json");
    std::fs::write(&file, manifest("app", image, "")).unwrap();
    run(lab.tool(&gitops::libraries(&places().root)).arg(command).arg(&file).args(more))
}

#[test]
fn flux_sees_no_drift() {
    let lab = lab();
    let bad = lab.registry.push("app", "bad", &vulnerable().build());
    let good = lab.registry.push("app", "good", &clean().build());
    let check = |command: &str, image: &str, action: &str| {
        let said = flux(&lab, command, image, &[]).ok();
        assert!(said.starts_with("Deployment/") && said.ends_with(&format!("/app {action}\n")), "{command}: {said}");
    };
    check("apply", &bad, "created");
    for _ in 0..3 {
        check("apply", &bad, "unchanged");
    }
    lab.until("app", "VulnerabilitiesFound Blocked");
    check("diff", &bad, "unchanged");
    check("apply", &bad, "unchanged");
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "true");
    // It is not ready, and Flux says so.
    let said = flux(&lab, "wait", &bad, &["5s"]).refused();
    assert!(said.contains("timeout waiting for"), "{said}");
    check("apply", &good, "configured");
    rolled_out(&lab, "app");
    for command in ["diff", "apply"] {
        check(command, &good, "unchanged");
    }
    flux(&lab, "wait", &good, &["50s"]).ok();
}

/// Argo CD applies as kubectl does on the client's side, and compares with what was applied last.
#[test]
fn argo_cd_sees_no_drift() {
    let lab = lab();
    let bad = lab.registry.push("app", "bad", &vulnerable().build());
    let good = lab.registry.push("app", "good", &clean().build());
    let file = lab.cluster.dir().join("manifest.json");
    let compare = |image: &str| {
        let live = lab.cluster.dir().join("live.json");
        std::fs::write(&live, lab.kubectl(&["get", "deployment/app", "-o", "json"]).ok()).unwrap();
        std::fs::write(&file, manifest("app", image, "")).unwrap();
        run(lab.tool(&gitops::libraries(&places().root)).arg("argo").args([&file, &live])).ok()
    };
    for _ in 0..3 {
        lab.apply(&manifest("app", &bad, "")).ok();
        assert_eq!(compare(&bad), "Synced\n");
    }
    lab.until("app", "VulnerabilitiesFound Blocked");
    assert_eq!((compare(&bad).as_str(), lab.field("deployment/app", ".spec.paused").as_str()), ("Synced\n", "true"));
    let said = compare(&good);
    assert!(said.starts_with("OutOfSync\n"), "{said}");
    lab.apply(&manifest("app", &good, "")).ok();
    rolled_out(&lab, "app");
    assert_eq!(compare(&good), "Synced\n");
}

#[test]
fn a_pause_that_the_manifest_names_is_its_users() {
    let lab = lab();
    let good = lab.registry.push("app", "good", &clean().build());
    let bad = lab.registry.push("app", "bad", &vulnerable().build());
    server_side(&lab, &manifest("app", &bad, ""));
    lab.until("app", "VulnerabilitiesFound Blocked");
    let said = server_side(&lab, &manifest("app", &bad, r#""paused":true,"#));
    assert!(said.contains("your own pause is noted"), "{said}");
    server_side(&lab, &manifest("app", &good, r#""paused":true,"#));
    lab.until("app", "Approved RollingOut");
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "true");
    let said = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(said.contains("its user paused it"), "{said}");
    server_side(&lab, &manifest("app", &good, r#""paused":false,"#));
    rolled_out(&lab, "app");
}

/// What backup tools do: the object is read, deleted and created again as it was.
#[test]
fn the_yaml_of_a_held_deployment_is_created_again() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &vulnerable().build());
    create(&lab, "app", &image);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let saved = lab.kubectl(&["get", "deployment/app", "-o", "yaml"]).ok();
    lab.kubectl(&["delete", "deployment/app", "--wait"]).ok();
    let saved: Vec<&str> =
        saved.lines().filter(|line| !line.contains("resourceVersion:") && !line.contains("  uid:")).collect();
    lab.cluster.with_input(&["create", "-f", "-"], &saved.join("\n")).ok();
    lab.until("app", "VulnerabilitiesFound Blocked");
    lab.registry.push("app", "v1", &clean().build());
    lab.kubectl(&["scan", "deployment", "app"]).ok();
    rolled_out(&lab, "app");
    until_field(&lab, "deployment/app", ".spec.paused", "");
}
