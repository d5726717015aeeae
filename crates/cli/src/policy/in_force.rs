//! Waits until the cluster enforces what was changed: what is created next should meet it.

use crate::cluster::Cluster;
use crate::exit;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::Api;
use std::time::{Duration, Instant};
use tidewaiter_crd::names::{NAMESPACE, SHAPE};

/// The server answers a change within seconds; on a busy API server within some more.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until the namespaces are bound, or are no longer. Who may not read the binding does not wait.
pub(super) async fn wait(cluster: &Cluster, namespaces: &[String], enforced: bool) {
    let api: Api<ValidatingAdmissionPolicyBinding> = Api::all(cluster.client.clone());
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        let Ok(found) = api.get_opt(SHAPE).await else { return };
        if found.is_some_and(|binding| namespaces.iter().all(|name| binds(&binding, name) == enforced)) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    exit::warn(&format!(
        "the server has not applied the change within {LIMIT:?}; is it running (kubectl -n {NAMESPACE} get pods), and does no \
         --exclude-namespace of it name the namespace?"
    ));
}

/// Whether a binding selects a namespace by its name.
fn binds(binding: &ValidatingAdmissionPolicyBinding, namespace: &str) -> bool {
    let resources = binding.spec.as_ref().and_then(|spec| spec.match_resources.as_ref());
    let selector = resources.and_then(|resources| resources.namespace_selector.as_ref());
    let requirements = selector.and_then(|selector| selector.match_expressions.as_ref());
    requirements.into_iter().flatten().all(|requirement| {
        let is_named = requirement.values.iter().flatten().any(|name| name == namespace);
        is_named == (requirement.operator == "In")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_namespaces_of_a_binding() {
        let check = |operator: &str, names: &[&str], namespace: &str, expected: bool| {
            let requirement = json!({"key": "kubernetes.io/metadata.name", "operator": operator, "values": names});
            let spec = json!({"matchResources": {"namespaceSelector": {"matchExpressions": [requirement]}}});
            let binding = serde_json::from_value(json!({"metadata": {"name": SHAPE}, "spec": spec})).unwrap();
            assert_eq!(binds(&binding, namespace), expected, "{operator} {names:?} {namespace}");
        };
        check("In", &["a", "b"], "a", true);
        check("In", &["a", "b"], "c", false);
        check("NotIn", &["a"], "a", false);
        check("NotIn", &["a"], "b", true);
        // What `--all` waits for.
        check("NotIn", &["a"], "", true);
        check("In", &["a"], "", false);
    }
}
