//! `kubectl scan policy disable`: the way back from `enable`.

use super::{in_force, patch, policies};
use crate::cluster::Cluster;
use crate::exit::Exit;
use crate::terminal::printable;
use anyhow::{Result, anyhow};
use kube::ResourceExt as _;
use serde_json::json;
use std::io::{self, Write as _};
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::policy::{Mode, applying};

/// Takes namespaces out of every list of enforced ones.
pub(crate) async fn disable(cluster: &Cluster, namespaces: &[String]) -> Result<Exit> {
    let before = policies(cluster).await?;
    for namespace in namespaces {
        if let Some(why) = enforced_otherwise(&before, namespace) {
            return Err(anyhow!("{} stays enforced: {why}", printable(namespace)));
        }
    }
    let is_meant = |name: &String| namespaces.contains(name);
    for policy in before.iter().filter(|policy| policy.spec.enforced_namespaces.iter().any(is_meant)) {
        let left: Vec<&String> = policy.spec.enforced_namespaces.iter().filter(|name| !is_meant(name)).collect();
        patch(cluster, policy, json!({"enforcedNamespaces": left})).await?;
    }
    in_force::wait(cluster, namespaces, false).await;
    let was =
        |namespace: &String| applying(&before, namespace).iter().any(|p| p.spec.mode_in(namespace) == Mode::Enforce);
    for namespace in namespaces {
        let shown = printable(namespace);
        match was(namespace) {
            true => writeln!(io::stdout(), "{shown} is no longer enforced: what is held there is released")?,
            false => writeln!(io::stdout(), "{shown} was not enforced")?,
        }
    }
    Ok(Exit::Clean)
}

/// Why a namespace is enforced by more than a list of enforced namespaces, and what to do.
fn enforced_otherwise(policies: &[ClusterScanPolicy], namespace: &str) -> Option<String> {
    let applying = applying(policies, namespace);
    if applying.is_empty() {
        return Some("no policy applies to it; create a ClusterScanPolicy with mode Warn that names it".to_owned());
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
            let found = enforced_otherwise(&policies, "a").unwrap_or_default();
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
        };
        check(&[], "no policy applies");
        check(&[json!({"mode": "Warn", "namespaces": ["b"]})], "no policy applies");
        check(&[json!({})], "p has mode Enforce");
        check(&[json!({"mode": "Warn", "enforcedNamespaces": ["a"]})], "");
        check(&[json!({}), json!({"mode": "Warn", "namespaces": ["a"]})], "");
        check(&[json!({"mode": "Warn"}), json!({})], "p has mode Enforce");
    }
}
