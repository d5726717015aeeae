//! Waits until the cluster enforces what was changed: what is created next should meet it.

use crate::cluster::Cluster;
use crate::exit::{self, Exit};
use futures::future;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::Api;
use std::time::{Duration, Instant};
use tidewaiter_crd::names::{ALLOWLIST_POLICY, NAMESPACE, SHAPE};

/// The server answers a change within seconds; on a busy API server within some more.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// The bindings that name the enforced namespaces; the server changes one after the other.
const BINDINGS: [&str; 2] = [SHAPE, ALLOWLIST_POLICY];

/// What became of a changed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Propagation {
    /// The API server enforces it, as far as its bindings say.
    Applied,
    /// The server has not changed the bindings.
    NotApplied,
    /// The bindings cannot be read, and why.
    Unknown(String),
}

impl Propagation {
    /// What to say: `applied` where it is, else that what `changed` names was changed, and no more.
    pub(super) fn message(&self, changed: &str, applied: String) -> String {
        match self {
            Propagation::Applied => applied,
            Propagation::NotApplied => format!(
                "{changed} was changed; the server has not applied it yet: is it running (kubectl -n {NAMESPACE} get pods), \
                 and does no --exclude-namespace of it name the namespace?"
            ),
            Propagation::Unknown(why) => {
                format!("{changed} was changed; whether the server has applied it cannot be read ({why})")
            }
        }
    }

    /// The exit code: what was seen not to happen is a failure.
    pub(super) fn exit(&self) -> Exit {
        if *self == Propagation::NotApplied { Exit::Failed } else { Exit::Clean }
    }
}

/// Waits until the namespaces are bound, or are no longer. Who may not read the bindings does not wait.
pub(super) async fn wait(cluster: &Cluster, namespaces: &[String], enforced: bool) -> Propagation {
    if namespaces.is_empty() {
        return Propagation::Applied;
    }
    let api: Api<ValidatingAdmissionPolicyBinding> = Api::all(cluster.client.clone());
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        match future::try_join_all(BINDINGS.map(|name| api.get_opt(name))).await {
            Ok(found) if is_applied(&found, namespaces, enforced) => return Propagation::Applied,
            Ok(_) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Propagation::Unknown(exit::text_of(&error)),
        }
    }
    Propagation::NotApplied
}

/// Whether every binding is there, and names the namespaces or none of them.
fn is_applied(found: &[Option<ValidatingAdmissionPolicyBinding>], namespaces: &[String], enforced: bool) -> bool {
    let is_so =
        |binding: &ValidatingAdmissionPolicyBinding| namespaces.iter().all(|name| binds(binding, name) == enforced);
    found.iter().all(|binding| binding.as_ref().is_some_and(is_so))
}

/// Whether a binding selects a namespace by its name.
pub(super) fn binds(binding: &ValidatingAdmissionPolicyBinding, namespace: &str) -> bool {
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

    fn binding(operator: &str, names: &[&str]) -> ValidatingAdmissionPolicyBinding {
        let requirement = json!({"key": "kubernetes.io/metadata.name", "operator": operator, "values": names});
        let spec = json!({"matchResources": {"namespaceSelector": {"matchExpressions": [requirement]}}});
        serde_json::from_value(json!({"metadata": {"name": SHAPE}, "spec": spec})).unwrap()
    }

    #[test]
    fn every_binding_must_say_so() {
        let check = |bindings: &[Option<&[&str]>], enforced: bool, expected: bool| {
            let found: Vec<_> = bindings.iter().map(|names| names.map(|names| binding("In", names))).collect();
            let all = ["a".to_owned(), "b".to_owned()];
            assert_eq!(is_applied(&found, &all, enforced), expected, "{bindings:?} {enforced}");
        };
        check(&[Some(&["a", "b"]), Some(&["a", "b"])], true, true);
        check(&[Some(&["a", "b"]), Some(&["a"])], true, false);
        check(&[Some(&["a", "b"]), None], true, false);
        check(&[None, None], false, false);
        check(&[Some(&["c"]), Some(&["c"])], false, true);
        check(&[Some(&["c"]), Some(&["a", "c"])], false, false);
    }

    #[test]
    fn success_is_said_of_what_was_seen() {
        let check = |state: Propagation, expected: &str, exit: Exit| {
            let message = state.message("ClusterScanPolicy p", "it is enforced".to_owned());
            assert!(message.starts_with(expected), "{message}");
            assert_eq!(message.contains("is enforced"), state == Propagation::Applied);
            assert_eq!(state.exit(), exit);
        };
        check(Propagation::Applied, "it is enforced", Exit::Clean);
        let pending = "ClusterScanPolicy p was changed; the server has not applied it yet";
        check(Propagation::NotApplied, pending, Exit::Failed);
        let unknown = "ClusterScanPolicy p was changed; whether the server has applied it cannot be read (forbidden)";
        check(Propagation::Unknown("forbidden".to_owned()), unknown, Exit::Clean);
    }

    #[test]
    fn the_namespaces_of_a_binding() {
        let check = |operator: &str, names: &[&str], namespace: &str, expected: bool| {
            let binding = binding(operator, names);
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
