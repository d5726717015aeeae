//! `kubectl scan policy disable`: the way back from `enable`.

use super::labels::{self, LabelsByNamespace};
use super::{enforced_by_its_own, in_force, own_policies_of, patch, policies};
use crate::cluster::Cluster;
use crate::exit::{Exit, UsageError};
use crate::terminal::printable;
use anyhow::Result;
use kube::ResourceExt as _;
use serde_json::json;
use std::io::{self, Write as _};
use tidewaiter_crd::policy::{Mode, applying};
use tidewaiter_crd::{ClusterScanPolicy, ScanPolicy};

/// Takes namespaces out of every list of enforced ones.
pub(crate) async fn disable(cluster: &Cluster, namespaces: &[String]) -> Result<Exit> {
    let before = policies(cluster).await?;
    let own = own_policies_of(cluster, namespaces).await?;
    let labels = labels::read(cluster, &before, Some(namespaces)).await?;
    for namespace in namespaces {
        if let Some(why) = enforced_otherwise(&before, &own, &labels, namespace) {
            return Err(UsageError(format!("{} stays enforced: {why}", printable(namespace))).into());
        }
    }
    let is_meant = |name: &String| namespaces.contains(name);
    for policy in before.iter().filter(|policy| policy.spec.enforced_namespaces.iter().any(is_meant)) {
        let left: Vec<&String> = policy.spec.enforced_namespaces.iter().filter(|name| !is_meant(name)).collect();
        patch(cluster, policy, json!({"enforcedNamespaces": left})).await?;
    }
    let was = |namespace: &&String| {
        applying(&before, labels.of(namespace)).iter().any(|p| p.spec.mode_in(namespace) == Mode::Enforce)
    };
    let (released, others): (Vec<&String>, Vec<&String>) = namespaces.iter().partition(was);
    let released: Vec<String> = released.into_iter().cloned().collect();
    let state = in_force::wait(cluster, &released, false).await;
    for shown in released.iter().map(printable) {
        let done = format!("{shown} is no longer enforced: what is held there is released");
        writeln!(io::stdout(), "{}", state.message(&format!("the policy of {shown}"), done))?;
    }
    for shown in others.into_iter().map(printable) {
        writeln!(io::stdout(), "{shown} was not enforced")?;
    }
    Ok(state.exit())
}

/// Why a namespace is enforced by more than a list of enforced namespaces, and what to do.
fn enforced_otherwise(
    policies: &[ClusterScanPolicy],
    own: &[ScanPolicy],
    labels: &LabelsByNamespace,
    namespace: &str,
) -> Option<String> {
    let applying = applying(policies, labels.of(namespace));
    if applying.is_empty() {
        return Some("no policy applies to it; create a ClusterScanPolicy with mode Warn that names it".to_owned());
    }
    if let Some(name) = enforced_by_its_own(own, namespace).map(|policy| policy.name_any()) {
        return Some(format!(
            "its own ScanPolicy {name} has mode Enforce; delete it (kubectl delete scanpolicy {name} -n {namespace}), or change \
             its mode (kubectl edit scanpolicy {name} -n {namespace})"
        ));
    }
    let by = applying.iter().find(|policy| policy.spec.mode == Mode::Enforce)?;
    let name = by.name_any();
    Some(format!(
        "ClusterScanPolicy {name} has mode Enforce; change that (kubectl edit clusterscanpolicy {name}), or create a \
         ClusterScanPolicy with mode Warn that names the namespace"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn what_disable_cannot_take_back_is_said() {
        let check = |specs: &[Value], expected: &str| {
            let one = |spec: &Value| ClusterScanPolicy::new("p", serde_json::from_value(spec.clone()).unwrap());
            let policies: Vec<_> = specs.iter().map(one).collect();
            let found = enforced_otherwise(&policies, &[], &labels("a"), "a").unwrap_or_default();
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
        };
        check(&[], "no policy applies");
        check(&[json!({"mode": "Warn", "namespaces": ["b"]})], "no policy applies");
        check(&[json!({})], "p has mode Enforce");
        check(&[json!({"mode": "Warn", "enforcedNamespaces": ["a"]})], "");
        check(&[json!({}), json!({"mode": "Warn", "namespaces": ["a"]})], "");
        check(&[json!({"mode": "Warn"}), json!({})], "p has mode Enforce");
        // By its label.
        let by_label = |value: &str| json!({"namespaceSelector": {"matchLabels": {"gate": value}}});
        check(&[json!({"mode": "Warn"}), by_label("on")], "p has mode Enforce");
        check(&[json!({"mode": "Warn"}), by_label("off")], "");
    }

    /// A namespace with `gate=on`.
    fn labels(name: &str) -> LabelsByNamespace {
        let mut labels = LabelsByNamespace::default();
        labels.add(serde_json::from_value(json!({"metadata": {"name": name, "labels": {"gate": "on"}}})).unwrap());
        labels
    }

    #[test]
    fn a_scan_policy_of_the_namespace_enforces_it() {
        let check = |namespace: &str, spec: Value, expected: &str| {
            let listed = json!({"mode": "Warn", "enforcedNamespaces": ["a"]});
            let policies = [ClusterScanPolicy::new("p", serde_json::from_value(listed).unwrap())];
            let mut own = ScanPolicy::new("strict", serde_json::from_value(spec).unwrap());
            own.metadata.namespace = Some(namespace.to_owned());
            let found = enforced_otherwise(&policies, &[own], &labels("a"), "a").unwrap_or_default();
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
        };
        check("a", json!({"mode": "Enforce"}), "ScanPolicy strict has mode Enforce");
        check("a", json!({"mode": "Enforce"}), "kubectl delete scanpolicy strict -n a");
        check("a", json!({"mode": "Warn"}), "");
        check("a", json!({"blockAt": "LOW"}), "");
        check("b", json!({"mode": "Enforce"}), "");
    }
}
