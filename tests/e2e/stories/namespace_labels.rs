//! A policy chooses namespaces by their labels: who may change policies moves a namespace, and nobody else.

use crate::{create, lab, pod, rolled_out, until_field, within};
use tidewaiter_testkit::cluster::Said;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

const SHAPE: &str = "validatingadmissionpolicybinding/tidewaiter-shape";

/// The cluster warns, and enforces where a namespace has the label `env=prod`.
fn enforced_by_label(lab: &Lab) {
    lab.policy(r#"{"spec":{"mode":"Warn"}}"#);
    let policy = r#"{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ClusterScanPolicy","metadata":{"name":"prod"},
        "spec":{"namespaceSelector":{"matchLabels":{"env":"prod"}}}}"#;
    lab.cluster.apply(policy).ok();
    within(PATIENCE, "nothing is enforced", || bound(lab) == r#"["tidewaiter.none"]"#);
}

/// The namespaces that the binding names.
fn bound(lab: &Lab) -> String {
    lab.field(SHAPE, ".spec.matchResources.namespaceSelector.matchExpressions[0].values")
}

fn label(lab: &Lab, namespace: &str, label: &str) {
    lab.admin(&["label", "namespace", namespace, "--overwrite", label]).ok();
}

#[test]
fn a_namespace_gets_a_label_and_is_enforced() {
    let mut lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    enforced_by_label(&lab);
    lab.new_namespace("team");
    create(&lab, "app", &bad);
    rolled_out(&lab, "app");

    label(&lab, "team", "env=prod");
    // The webhook follows the label at once, the bindings within seconds.
    within(PATIENCE, "new workloads are held", || {
        let dry = ["create", "deployment", "probe", &format!("--image={bad}"), "--dry-run=server"];
        lab.kubectl(&dry).text.contains("held")
    });
    within(PATIENCE, "the API server enforces it", || bound(&lab) == r#"["team"]"#);
    // What ran goes on.
    lab.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    rolled_out(&lab, "app");
    create(&lab, "new", &bad);
    lab.until("new", "VulnerabilitiesFound Blocked");
    create(&lab, "good", &good);
    rolled_out(&lab, "good");

    let table = lab.admin(&["scan", "policy", "list"]).ok();
    assert!(table.contains("-l env=prod"), "{table}");
    let enabled = lab.admin(&["scan", "policy", "enable", "team", "--yes"]).ok();
    assert_eq!(enabled.trim(), "team is enforced already");
    let refused = lab.admin(&["scan", "policy", "disable", "team"]).refused();
    assert!(refused.contains("ClusterScanPolicy prod has mode Enforce"), "{refused}");
    let found = lab.admin(&["scan", "policy", "preflight"]);
    assert!(found.code == 1 && found.text.contains("deployment/new"), "{}", found.text);
    assert!(found.text.contains("is not approved here") && !found.text.contains("deployment/good"), "{}", found.text);

    // While the server is away the API server enforces what was bound; a label that is set meanwhile is followed afterwards.
    lab.admin(&["create", "namespace", "late"]).ok();
    within(PATIENCE, "the namespace is ready", || {
        lab.admin(&["get", "serviceaccount", "default", "-n", "late"]).code == 0
    });
    lab.kill_server();
    label(&lab, "late", "env=prod");
    lab.apply(&pod("bare", &lab.registry.push("other", "v1", &vulnerable().build()))).ok();
    until_field(&lab, "pod/bare", ".spec.schedulingGates[0].name", "tidewaiter.dev/image-scan");
    lab.start_server();
    assert_eq!(bound(&lab), r#"["late","team"]"#);

    // The label is taken away: what is held there is released.
    label(&lab, "team", "env=test");
    rolled_out(&lab, "new");
    within(PATIENCE, "the API server enforces it no more", || bound(&lab) == r#"["late"]"#);
}

/// From the first moment, before the bindings name it.
#[test]
fn a_namespace_is_made_with_its_label() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    enforced_by_label(&lab);
    let objects = format!(
        r#"{{"apiVersion":"v1","kind":"List","items":[
            {{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"fresh","labels":{{"env":"prod"}}}}}},
            {{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"app","namespace":"fresh"}},"spec":{{
                "selector":{{"matchLabels":{{"app":"app"}}}},"template":{{"metadata":{{"labels":{{"app":"app"}}}},
                "spec":{{"containers":[{{"name":"c","image":"{bad}"}}]}}}}}}}}]}}"#
    );
    let said = lab.cluster.apply(&objects).ok();
    assert!(said.contains("held"), "{said}");
    within(PATIENCE, "the API server enforces it", || bound(&lab) == r#"["fresh"]"#);
    lab.work_in("fresh");
    within(PATIENCE, "it is blocked", || {
        lab.admin(&["scan", "status", "deployment/app", "-n", "fresh"]).text.contains("Blocked")
    });
    assert_eq!(lab.field("pods", ".items[*].metadata.name"), "", "a Pod was made before the namespace was enforced");
    // One without the label, of the same moment, is only warned about.
    let others = objects.replace(r#","labels":{"env":"prod"}}"#, "}").replace("fresh", "other");
    lab.cluster.apply(&others).ok();
    lab.work_in("other");
    within(PATIENCE, "it runs", || lab.field("deployment/app", ".status.readyReplicas") == "1");
}

/// Whoever may label their own namespace, and make some, stays under the policies that administrators chose.
#[test]
fn who_may_only_label_namespaces_escapes_no_policy() {
    let lab = lab();
    enforced_by_label(&lab);
    lab.new_namespace("team");
    label(&lab, "team", "env=prod");
    let rights = ["--verb=create,get,patch,update", "--resource=namespaces,namespaces/status,namespaces/finalize"];
    lab.admin(&[&["create", "clusterrole", "tenant"][..], &rights].concat()).ok();
    let lead = ["create", "clusterrolebinding", "tenant", "--clusterrole=tenant", "--serviceaccount=people:lead"];
    lab.admin(&lead).ok();

    let text = "the label env chooses namespaces of the ClusterScanPolicy prod";
    let refused = |said: Said, expected: &str| {
        let said = said.refused();
        assert!(said.contains(expected), "{said}");
    };
    refused(lab.lead(&["label", "namespace", "team", "env-"]), text);
    refused(lab.lead(&["label", "namespace", "team", "--overwrite", "env=test"]), text);
    let patch = r#"{"metadata":{"labels":{"env":null}}}"#;
    for subresource in ["--subresource=status", "--subresource=finalize"] {
        let args = ["patch", "namespace", "team", "--type=merge", "-p", patch];
        let said = lab.lead(&[&args[..], &[subresource]].concat());
        assert!(said.code != 0, "{subresource}: {}", said.text);
    }
    let other = ["patch", "namespace", "team", "--type=merge", "--subresource=status", "-p"];
    let said = lab.lead(&[&other[..], &[r#"{"metadata":{"labels":{"env":"test"}}}"#]].concat());
    refused(said, "labels may choose the policy of a namespace");
    let said = lab.lead(&[&other[..], &[r#"{"metadata":{"annotations":{"a":"b"}}}"#]].concat());
    said.ok();
    assert_eq!(lab.field("namespace/team", ".metadata.labels.env"), "prod");
    // Labels that choose nothing are theirs.
    lab.lead(&["label", "namespace", "team", "cost-center=7"]).ok();
    // Their new namespaces have no label that chooses a policy, and no name of one in which nothing is enforced.
    lab.lead(&["create", "namespace", "own"]).ok();
    refused(lab.lead(&["label", "namespace", "own", "env=prod"]), text);
    let labelled = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"labelled","labels":{"env":"test"}}}"#;
    let file = lab.cluster.dir().join("namespace.json");
    std::fs::write(&file, labelled).unwrap();
    refused(lab.lead(&["create", "-f", &file.display().to_string()]), text);
    refused(lab.lead(&["create", "namespace", "cert-manager"]), "tidewaiter enforces nothing in cert-manager");
    // Administrators may.
    lab.admin(&["create", "namespace", "cert-manager"]).ok();
    lab.admin(&["create", "-f", &file.display().to_string()]).ok();
    label(&lab, "team", "env=test");
    // Namespaces end, which the namespace controller finishes through a subresource.
    lab.admin(&["delete", "namespace", "own", "--timeout=60s"]).ok();
}
