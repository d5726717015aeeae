//! The objects of `admissionregistration.k8s.io`: webhooks that hold and pin, policies that enforce.

use crate::decide::policy::{self, NamespaceSelection};
use crate::settings::Settings;
use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use serde_json::{Value, json};
use std::sync::Arc;
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::names::{ALLOWLIST, NAMESPACE, SERVER, SERVER_USER, WEBHOOKS};

/// The backstop: admission policies, which the API server enforces while the server is away.
const BACKSTOP: &str = include_str!("backstop.yaml");
/// The policy whose refusal shows that all others are in force: it is bound last.
pub(super) const IN_FORCE: &str = "tidewaiter-in-force";
/// The policy whose binding names the enforced namespaces.
pub(super) const SHAPE: &str = "tidewaiter-shape";
/// The label of every namespace that holds its name; the API server sets it, and nobody can change it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Replaces an empty list, which selectors do not accept; no namespace can have this name, which holds a dot.
const NOBODY: &str = "tidewaiter.none";

/// Both webhooks. `Ignore` on failure: while the server is away the policies refuse what it did not approve.
pub(super) fn webhooks(settings: &Settings, ca_pem: &str) -> Value {
    use base64_of_bytes as base64;
    let webhook = |name: &str, path: &str, group: &str, resource: &str, operations: &[&str]| {
        let client = match &settings.webhook_url {
            Some(url) => json!({"url": format!("{url}/{path}"), "caBundle": base64(ca_pem)}),
            None => {
                json!({"service": {"namespace": NAMESPACE, "name": SERVER, "path": format!("/{path}"), "port": 443},
                "caBundle": base64(ca_pem)})
            }
        };
        json!({
            "name": name,
            "clientConfig": client,
            "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": operations,
                "scope": "Namespaced"}],
            "namespaceSelector": requirement(&NamespaceSelection::AllBut(settings.excluded.clone())),
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
        "metadata": {"name": WEBHOOKS},
        "webhooks": [
            webhook("deployments.tidewaiter.dev", "deployments", "apps", "deployments", &["CREATE", "UPDATE"]),
            webhook("pods.tidewaiter.dev", "pods", "", "pods", &["CREATE"]),
        ],
    })
}

/// The policies, with our ServiceAccount's name filled in.
///
/// # Errors
/// When the compiled-in file is not YAML.
pub(super) fn policies() -> Result<Vec<Value>> {
    let text = BACKSTOP.replace("$SERVER", SERVER_USER);
    serde_saphyr::from_multiple(&text).context("backstop.yaml")
}

/// One binding per policy, in the order in which they are applied. Which namespaces are enforced is said here alone.
pub(super) fn bindings(policies: &[Arc<ClusterScanPolicy>], excluded: &[String]) -> Vec<Value> {
    let enforced = json!({"namespaceSelector": requirement(&policy::enforced_namespaces(policies, excluded))});
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

/// The namespaces that a binding enforces; the reverse of [`requirement`].
pub(super) fn bound(binding: &ValidatingAdmissionPolicyBinding) -> Option<NamespaceSelection> {
    let selector = binding.spec.as_ref()?.match_resources.as_ref()?.namespace_selector.as_ref()?;
    let requirement = selector.match_expressions.iter().flatten().find(|r| r.key == NAME_LABEL)?;
    let mut names = requirement.values.clone().unwrap_or_default();
    names.retain(|name| name != NOBODY);
    match requirement.operator.as_str() {
        "NotIn" => Some(NamespaceSelection::AllBut(names)),
        "In" => Some(NamespaceSelection::Only(names)),
        _ => None,
    }
}

fn requirement(selection: &NamespaceSelection) -> Value {
    let (operator, names) = match selection {
        NamespaceSelection::AllBut(names) => ("NotIn", names),
        NamespaceSelection::Only(names) => ("In", names),
    };
    let values = if names.is_empty() { vec![NOBODY.to_owned()] } else { names.clone() };
    json!({"matchExpressions": [{"key": NAME_LABEL, "operator": operator, "values": values}]})
}

/// Bytes are base64 in Kubernetes' JSON; its own type encodes them.
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
        assert_eq!(read, Some(NamespaceSelection::AllBut(vec!["kube-system".to_owned()])));
    }
}
