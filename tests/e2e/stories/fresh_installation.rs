//! A new installation warns; what was enforced before stays enforced through upgrades, restarts and deletions.

use crate::{create, places, rolled_out, within};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

const SHAPE: &str = "validatingadmissionpolicybinding/tidewaiter-shape";

fn mode(lab: &Lab) -> String {
    lab.field("clusterscanpolicy/default", ".spec.mode")
}

/// `In` or `NotIn` of the namespaces in which Pods are refused.
fn bound(lab: &Lab) -> String {
    lab.field(SHAPE, ".spec.matchResources.namespaceSelector.matchExpressions[0].operator")
}

#[test]
fn a_new_installation_warns() {
    let mut lab = Lab::fresh(places());
    assert_eq!(mode(&lab), "", "deploy/ has no policy, which applying it again would set back");
    lab.start_server();
    assert_eq!((mode(&lab).as_str(), bound(&lab).as_str()), ("Warn", "In"));
    let log = std::fs::read_to_string(lab.log()).unwrap();
    assert!(log.contains("a new installation: created the ClusterScanPolicy default"), "{log}");
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let said = create(&lab, "app", &bad);
    assert!(said.contains("Warning: mode Enforce would hold container"), "{said}");
    rolled_out(&lab, "app");
    lab.until("app", "VulnerabilitiesFound Deployed");
    // The server's account can make no other policy, now that it is installed.
    let policy = r#"{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ClusterScanPolicy","metadata":{"name":"own"},"spec":{"mode":"Audit"}}"#;
    let as_server = ["create", "-f", "-", "--as=system:serviceaccount:tidewaiter-system:tidewaiter"];
    let refused = lab.cluster.with_input(&as_server, policy).refused();
    assert!(refused.contains("tidewaiter creates no policy where it was installed before"), "{refused}");
    // Its own choice is left alone by a restart.
    lab.policy(r#"{"spec":{"mode":"Audit"}}"#);
    lab.kill_server();
    lab.start_server();
    assert_eq!(mode(&lab), "Audit");
}

#[test]
fn what_was_enforced_stays_enforced() {
    let mut lab = Lab::new(places());
    lab.start_server();
    assert_eq!((mode(&lab).as_str(), bound(&lab).as_str()), ("Enforce", "NotIn"));
    // An upgrade applies the files of the new version, and starts its server.
    lab.kill_server();
    lab.shell(lab.root(), "kubectl apply -f deploy/crds.yaml && kubectl apply -f deploy/").ok();
    lab.start_server();
    assert_eq!((mode(&lab).as_str(), bound(&lab).as_str()), ("Enforce", "NotIn"));
    // A tool that prunes what is no longer in the files deletes the policy: none is no weaker one.
    lab.admin(&["delete", "clusterscanpolicy", "default"]).ok();
    lab.kill_server();
    lab.start_server();
    assert_eq!((mode(&lab).as_str(), bound(&lab).as_str()), ("", "NotIn"));
    // Nor are lost bindings, or a lost memory, a new installation.
    lab.kill_server();
    lab.admin(&["delete", "configmap", "tidewaiter-enforced", "-n", "tidewaiter-system"]).ok();
    lab.start_server();
    assert_eq!((mode(&lab).as_str(), bound(&lab).as_str()), ("", "NotIn"));
    lab.kill_server();
    lab.admin(&["delete", "validatingadmissionpolicybindings", "--all"]).ok();
    lab.admin(&["delete", "validatingadmissionpolicies", "--all"]).ok();
    lab.start_server();
    assert_eq!((mode(&lab).as_str(), bound(&lab).as_str()), ("", "NotIn"));
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    within(PATIENCE, "Deployments are held", || {
        let args = ["create", "deployment", "probe", &format!("--image={bad}"), "--dry-run=server"];
        lab.kubectl(&args).text.contains("held")
    });
}

#[test]
fn enforcement_begins_namespace_by_namespace() {
    let mut lab = Lab::fresh(places());
    lab.start_server();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "app", &bad);
    create(&lab, "fine", &good);
    lab.until("app", "VulnerabilitiesFound Deployed");
    within(PATIENCE, "both are scanned", || lab.kubectl(&["get", "imagescans"]).ok().contains("NoVulnerabilities"));
    // It lists, and without a terminal changes nothing.
    let listed = lab.admin(&["scan", "policy", "enable", "default", "--dry-run"]).ok();
    let line =
        "1 of 2 known workloads would be held at their next rollout: 1 by policy, 0 by incomplete reports, 0 without";
    assert!(listed.contains("deployment/app") && listed.contains(line), "{listed}");
    assert!(listed.contains("3 critical, 5 medium") && !listed.contains("deployment/fine"), "{listed}");
    let asked = lab.admin(&["scan", "policy", "enable", "default"]);
    assert!(asked.code == 2 && asked.text.contains("add --yes") && asked.text.contains(line), "{}", asked.text);
    let refused = lab.lead(&["scan", "policy", "enable", "default", "--yes"]).refused();
    assert!(refused.contains("ask an administrator of the cluster"), "{refused}");
    assert_eq!(bound_namespaces(&lab), r#"["tidewaiter.none"]"#);

    let enabled = lab.admin(&["scan", "policy", "enable", "default", "--yes"]).ok();
    assert!(
        enabled.contains(line) && enabled.contains("ClusterScanPolicy default is enforced in default"),
        "{enabled}"
    );
    let again = lab.admin(&["scan", "policy", "enable", "default", "--yes"]).ok();
    assert_eq!(again.trim(), "default is enforced already");
    assert_eq!(bound_namespaces(&lab), r#"["default"]"#);
    let table = lab.admin(&["scan", "policy", "list"]).ok();
    assert!(table.contains("ENFORCED IN") && table.contains("default  Warn  all others  default"), "{table}");
    // What runs goes on and scales; what is new is held, here alone.
    lab.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    rolled_out(&lab, "app");
    assert!(create(&lab, "new", &bad).contains("held"));
    lab.until("new", "VulnerabilitiesFound Blocked");
    lab.new_namespace("other");
    assert!(create(&lab, "new", &bad).contains("mode Enforce would hold"));
    rolled_out(&lab, "new");

    tried_policies(&lab);
    lab.work_in("default");
    let disabled = lab.admin(&["scan", "policy", "disable", "default"]).ok();
    assert!(disabled.contains("default is no longer enforced"), "{disabled}");
    rolled_out(&lab, "new");
    assert_eq!(bound_namespaces(&lab), r#"["tidewaiter.none"]"#);
    // Everywhere, by its mode; then a name alone does not take it back.
    let all = lab.admin(&["scan", "policy", "enable", "--all", "--yes"]).ok();
    assert!(all.contains("other") && all.contains("enforced in every namespace that no policy chooses"), "{all}");
    assert_eq!(mode(&lab), "Enforce");
    let refused = lab.admin(&["scan", "policy", "disable", "default"]).refused();
    assert!(refused.contains("ClusterScanPolicy default has mode Enforce"), "{refused}");
}

/// A policy is tried with what the cluster knows: three Deployments run the vulnerable image, one a clean one.
fn tried_policies(lab: &Lab) {
    let try_policy = |spec: &str, more: &[&str]| {
        let file = lab.cluster.dir().join("policy.yaml").display().to_string();
        let object = format!("kind: ClusterScanPolicy\nmetadata: {{name: default}}\nspec: {spec}\n");
        std::fs::write(&file, object).unwrap();
        lab.admin(&[&["scan", "policy", "test", &file], more].concat())
    };
    within(PATIENCE, "all are scanned", || {
        let said = try_policy("{blockAt: NEVER}", &[]);
        said.code == 0 && said.text.contains("0 newly blocked, 3 newly allowed, 1 unchanged (1 allowed, 0 blocked)")
    });
    let lax = try_policy("{blockAt: NEVER}", &["-n", "other"]).ok();
    assert!(lax.contains("other/deployment/new: violated → pass") && lax.contains("1 newly allowed"), "{lax}");
    let same = try_policy("{blockAt: CRITICAL}", &[]).ok();
    assert!(same.contains("0 newly blocked, 0 newly allowed, 4 unchanged (1 allowed, 3 blocked)"), "{same}");
    lab.policy(r#"{"spec":{"blockAt":"NEVER"}}"#);
    let strict = try_policy("{blockAt: CRITICAL}", &[]);
    assert!(strict.code == 1 && strict.text.contains("default/deployment/app: pass → violated"), "{}", strict.text);
    assert!(
        strict.text.contains("CVE-2022-1292 (critical) in openssl") && strict.text.contains("3 newly blocked"),
        "{}",
        strict.text
    );
    lab.policy(r#"{"spec":{"blockAt":"CRITICAL"}}"#);
}

/// The namespaces that the binding names.
fn bound_namespaces(lab: &Lab) -> String {
    lab.field(SHAPE, ".spec.matchResources.namespaceSelector.matchExpressions[0].values")
}
