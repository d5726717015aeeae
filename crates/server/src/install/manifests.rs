//! The objects of `admissionregistration.k8s.io`: webhooks that help, policies that enforce.

use crate::context::Settings;
use crate::policy::{self, Selection};
use crate::webhook;
use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use serde_json::{Value, json};
use std::sync::Arc;
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::names::{ALLOWLIST, NAMESPACE};

/// The backstop (`reference` in design: three policies, seen on a real API server).
const BACKSTOP: &str = include_str!("backstop.yaml");
/// The policy that tells whether all others are in force.
pub(super) const IN_FORCE: &str = "tidewaiter-in-force";
/// The policy whose binding says which namespaces are enforced.
pub(super) const SHAPE: &str = "tidewaiter-shape";
/// The label that every namespace carries its name in; nobody can change it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// No namespace can be named so; it stands in for an empty list, which selectors do not take.
const NOBODY: &str = "tidewaiter.none";

/// Both webhooks. `Ignore` on failure: the policies make that safe.
pub(super) fn webhooks(settings: &Settings, ca_pem: &str) -> Value {
    use base64_of_bytes as base64;
    let webhook = |name: &str, path: &str, group: &str, resource: &str, operations: &[&str]| {
        let client = match &settings.webhook_url {
            Some(url) => json!({"url": format!("{url}/{path}"), "caBundle": base64(ca_pem)}),
            None => {
                json!({"service": {"namespace": NAMESPACE, "name": "tidewaiter", "path": format!("/{path}"), "port": 443},
                "caBundle": base64(ca_pem)})
            }
        };
        json!({
            "name": name,
            "clientConfig": client,
            "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": operations,
                "scope": "Namespaced"}],
            "namespaceSelector": requirement(&Selection::AllBut(settings.excluded.clone())),
            "failurePolicy": "Ignore",
            "matchPolicy": "Equivalent",
            "sideEffects": "NoneOnDryRun",
            "reinvocationPolicy": "IfNeeded",
            "timeoutSeconds": 3,
            "admissionReviewVersions": ["v1"],
        })
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": super::WEBHOOKS},
        "webhooks": [
            webhook("deployments.tidewaiter.dev", "deployments", "apps", "deployments", &["CREATE", "UPDATE"]),
            webhook("pods.tidewaiter.dev", "pods", "", "pods", &["CREATE"]),
        ],
    })
}

/// The policies, with our ServiceAccount's name filled in.
///
/// # Errors
/// When the file that is compiled in is no YAML.
pub(super) fn policies() -> Result<Vec<Value>> {
    let text = BACKSTOP.replace("$SERVER", &webhook::our_name());
    serde_saphyr::from_multiple(&text).context("backstop.yaml")
}

/// One binding per policy. What follows from namespaces is decided here alone.
pub(super) fn bindings(policies: &[Arc<ClusterScanPolicy>], excluded: &[String]) -> Vec<Value> {
    let enforced = json!({"namespaceSelector": requirement(&policy::selection(policies, excluded))});
    let binding = |name: &str, spec: Value| {
        let mut spec = spec;
        spec["policyName"] = json!(name);
        spec["validationActions"] = json!(["Deny"]);
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name}, "spec": spec})
    };
    vec![
        binding(SHAPE, json!({"matchResources": enforced})),
        binding(
            "tidewaiter-allowlist",
            json!({"matchResources": enforced, "paramRef": {"name": ALLOWLIST, "parameterNotFoundAction": "Deny"}}),
        ),
        binding("tidewaiter-records", json!({})),
        binding("tidewaiter-approvals", json!({})),
        binding(IN_FORCE, json!({})),
    ]
}

/// The namespaces that a binding of ours enforces.
pub(super) fn bound(binding: &ValidatingAdmissionPolicyBinding) -> Option<Selection> {
    let selector = binding.spec.as_ref()?.match_resources.as_ref()?.namespace_selector.as_ref()?;
    let requirement = selector.match_expressions.iter().flatten().find(|r| r.key == NAME_LABEL)?;
    let mut names = requirement.values.clone().unwrap_or_default();
    names.retain(|name| name != NOBODY);
    match requirement.operator.as_str() {
        "NotIn" => Some(Selection::AllBut(names)),
        "In" => Some(Selection::Only(names)),
        _ => None,
    }
}

fn requirement(selection: &Selection) -> Value {
    let (operator, names) = match selection {
        Selection::AllBut(names) => ("NotIn", names),
        Selection::Only(names) => ("In", names),
    };
    let values = if names.is_empty() { vec![NOBODY.to_owned()] } else { names.clone() };
    json!({"matchExpressions": [{"key": NAME_LABEL, "operator": operator, "values": values}]})
}

/// Bytes are base64 in Kubernetes' JSON; its own type knows how.
fn base64_of_bytes(text: &str) -> Value {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_are_bound_one_by_one() {
        let names = |list: &[Value]| list.iter().map(|v| v["metadata"]["name"].clone()).collect::<Vec<_>>();
        let policies = policies().unwrap();
        assert_eq!(names(&policies), names(&bindings(&[], &[])));
        assert!(policies.iter().all(|p| p["spec"]["failurePolicy"] == "Fail"));
        assert!(!serde_json::to_string(&policies).unwrap().contains("$SERVER"));
    }

    #[test]
    fn a_binding_says_what_it_enforces() {
        let bindings = bindings(&[], &["kube-system".to_owned()]);
        let shape = bindings.into_iter().find(|b| b["metadata"]["name"] == SHAPE).unwrap();
        let read = bound(&serde_json::from_value(shape).unwrap());
        assert_eq!(read, Some(Selection::AllBut(vec!["kube-system".to_owned()])));
    }
}
