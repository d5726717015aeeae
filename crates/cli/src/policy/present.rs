//! The policies of a cluster as they are, and what applies in a namespace by them.

use super::labels::LabelsByNamespace;
use crate::terminal::printable;
use kube::ResourceExt as _;
use std::collections::BTreeMap;
use tidewaiter_crd::policy::{ApprovalMode, applying};
use tidewaiter_crd::{ClusterScanPolicy, ScanPolicy};

/// The policies of the cluster and those of namespaces, as they are before a change.
#[derive(Debug)]
pub(super) struct PresentPolicies {
    pub(super) of_cluster: Vec<ClusterScanPolicy>,
    pub(super) own: Vec<ScanPolicy>,
    pub(super) labels: LabelsByNamespace,
}

impl PresentPolicies {
    /// The policies of the cluster that apply to a namespace.
    pub(super) fn applying(&self, namespace: &str) -> Vec<&ClusterScanPolicy> {
        applying(&self.of_cluster, self.labels.of(namespace))
    }
}

/// By which policies rollouts will wait for people, and in which of the namespaces.
pub(super) fn approvals(present: &PresentPolicies, namespaces: &[String]) -> String {
    let mut by: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for namespace in namespaces {
        let of_cluster = present.applying(namespace).into_iter();
        let of_cluster = of_cluster.filter(|policy| policy.spec.approval == ApprovalMode::Manual);
        let own = present.own.iter().filter(|policy| policy.namespace().as_ref() == Some(namespace));
        let own = own.filter(|policy| policy.spec.approval == Some(ApprovalMode::Manual));
        let names = of_cluster.map(|policy| format!("ClusterScanPolicy {}", policy.name_any()));
        for name in names.chain(own.map(|policy| format!("ScanPolicy {namespace}/{}", policy.name_any()))) {
            let known = by.entry(name).or_default();
            if !known.contains(&namespace.as_str()) {
                known.push(namespace);
            }
        }
    }
    by.into_iter().map(|(name, namespaces)| waits(&name, &namespaces)).collect()
}

fn waits(policy: &str, namespaces: &[&str]) -> String {
    let of = if namespaces.contains(&"") { String::new() } else { format!(" in {}", namespaces.join(", ")) };
    format!("By {} every rollout{} waits for a person's approval, too.\n", printable(policy), printable(of))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(in crate::policy) fn policy(name: &str, spec: Value) -> ClusterScanPolicy {
        ClusterScanPolicy::new(name, serde_json::from_value(spec).unwrap())
    }

    pub(in crate::policy) fn present(of_cluster: &[ClusterScanPolicy]) -> PresentPolicies {
        let labels = LabelsByNamespace::default();
        PresentPolicies { of_cluster: of_cluster.to_vec(), own: Vec::new(), labels }
    }

    pub(in crate::policy) fn scan_policy(namespace: &str, spec: Value) -> ScanPolicy {
        let mut policy = ScanPolicy::new("own", serde_json::from_value(spec).unwrap());
        policy.metadata.namespace = Some(namespace.to_owned());
        policy
    }

    #[test]
    fn rollouts_wait_for_people_by_every_policy_that_applies() {
        let warn = json!({"mode": "Warn"});
        let manual = json!({"mode": "Audit", "approval": "Manual"});
        let check = |of_cluster: &[ClusterScanPolicy], own: &[ScanPolicy], namespaces: &[&str], expected: &[&str]| {
            let all = PresentPolicies { own: own.to_vec(), ..present(of_cluster) };
            let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
            let line = |by: &&str| format!("By {by} waits for a person's approval, too.\n");
            assert_eq!(approvals(&all, &namespaces), expected.iter().map(line).collect::<String>());
        };
        let default = policy("default", warn);
        check(std::slice::from_ref(&default), &[], &["a", "b"], &[]);
        let both = [default.clone(), policy("people", manual)];
        check(&both, &[], &["a", "b"], &["ClusterScanPolicy people every rollout in a, b"]);
        check(&both, &[], &["", "a"], &["ClusterScanPolicy people every rollout"]);
        let own = [scan_policy("a", json!({"approval": "Manual"})), scan_policy("c", json!({"approval": "Manual"}))];
        check(&[default], &own, &["", "a", "b"], &["ScanPolicy a/own every rollout in a"]);
    }
}
