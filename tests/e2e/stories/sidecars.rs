//! Containers that something injects into Pods: judged by policy, explained where they are blocked, and no person's to approve.

use crate::{WITH_GATE, create, has, lab, rolled_out, within};
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Has every Pod with the label `app=web` get a sidecar, as a service mesh does.
fn inject(lab: &Lab, image: &str) {
    let policy = format!(
        r#"{{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingAdmissionPolicy","metadata":{{"name":"mesh"}},
        "spec":{{"failurePolicy":"Fail","reinvocationPolicy":"IfNeeded","matchConstraints":{{"objectSelector":{{"matchLabels":
        {{"app":"web"}}}},"resourceRules":[{{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["pods"]}}]}},
        "matchConditions":[{{"name":"once","expression":"!object.spec.containers.exists(c, c.name == 'proxy')"}}],
        "mutations":[{{"patchType":"JSONPatch","jsonPatch":{{"expression":
        "[JSONPatch{{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{{name: 'proxy', image: '{image}'}}}}]"}}}}]}}}}"#
    );
    let binding = r#"{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingAdmissionPolicyBinding",
        "metadata":{"name":"mesh"},"spec":{"policyName":"mesh"}}"#;
    lab.cluster.apply(&policy).ok();
    lab.cluster.apply(binding).ok();
    let probe = crate::pod("probe", image).replace(r#""app":"probe""#, r#""app":"web""#);
    within(PATIENCE, "the policy is in force", || {
        lab.cluster
            .with_input(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &probe)
            .text
            .contains(r#""name": "proxy""#)
    });
}

#[test]
fn a_sidecar_needs_no_person() {
    if !has(WITH_GATE, "MutatingAdmissionPolicies") {
        return;
    }
    let lab = lab();
    lab.approval("Manual");
    let app = lab.registry.push("app", "v1", &clean().build());
    let proxy = lab.registry.push("proxy", "v1", &distinct("proxy"));
    inject(&lab, &proxy);
    create(&lab, "web", &app);
    lab.until("web", "NoVulnerabilities PendingApproval");
    lab.lead(&["scan", "approve", "deployment/web"]).ok();
    rolled_out(&lab, "web");
    let images = crate::pod_images(&lab, "web");
    assert!(images.len() == 1 && images[0].contains("proxy:v1@"), "{images:?}");
}

#[test]
fn a_blocked_sidecar_is_explained() {
    if !has(WITH_GATE, "MutatingAdmissionPolicies") {
        return;
    }
    let lab = lab();
    let app = lab.registry.push("app", "v1", &clean().build());
    let proxy = lab.registry.push("proxy", "v1", &vulnerable().build());
    inject(&lab, &proxy);
    create(&lab, "web", &app);
    lab.until("web", "VulnerabilitiesFound Blocked");
    let said = lab.kubectl(&["scan", "status", "deployment/web"]).ok();
    assert!(said.contains("proxy (") && said.contains("what injects it"), "{said}");
    lab.registry.push("proxy", "v1", &distinct("proxy"));
    lab.kubectl(&["scan", "image", &proxy]).ok();
    rolled_out(&lab, "web");
    lab.until("web", "Approved Deployed");
}
