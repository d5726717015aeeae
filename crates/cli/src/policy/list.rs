//! `kubectl scan policy list`: the policies as a table.

use super::{own_policies, policies};
use crate::cluster::Cluster;
use crate::exit::Exit;
use crate::render;
use crate::terminal::printable;
use anyhow::Result;
use kube::ResourceExt as _;
use std::io::{self, Write as _};
use tidewaiter_core::policy::Rule;
use tidewaiter_crd::policy::ClusterScanPolicySpec;
use tidewaiter_crd::{ClusterScanPolicy, ScanPolicy};

pub(crate) async fn list(cluster: &Cluster) -> Result<Exit> {
    write!(io::stdout(), "{}", table(&policies(cluster).await?, &own_policies(cluster, None).await?))?;
    Ok(Exit::Clean)
}

fn table(all: &[ClusterScanPolicy], own: &[ScanPolicy]) -> String {
    let none = "no ClusterScanPolicy: every namespace is enforced, by the default criteria (docs/policy.md)\n";
    let note = if all.is_empty() { none } else { "" };
    if all.is_empty() && own.is_empty() {
        return note.to_owned();
    }
    let head = ["NAME", "MODE", "NAMESPACES", "ENFORCED IN", "BLOCK AT", "RULES", "APPROVAL"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(all.iter().map(row).chain(own.iter().map(own_row)));
    note.to_owned() + &render::columns(&rows)
}

fn row(policy: &ClusterScanPolicy) -> [String; 7] {
    let spec = &policy.spec;
    [
        printable(policy.name_any()),
        format!("{:?}", spec.mode),
        printable(chosen(spec)),
        or(&spec.enforced_namespaces, "-"),
        spec.block_at.map_or_else(|| "never".to_owned(), |severity| severity.to_string()),
        or(&names(&spec.rules), "-"),
        format!("{:?}", spec.approval),
    ]
}

/// The namespaces that a policy names, and its selector as `kubectl get -l` takes it.
fn chosen(spec: &ClusterScanPolicySpec) -> String {
    let mut all = spec.namespaces.clone();
    all.extend(spec.namespace_selector.as_ref().map(|selector| match selector.to_string() {
        every if every.is_empty() => "every namespace".to_owned(),
        labels => format!("-l {labels}"),
    }));
    if all.is_empty() { "all others".to_owned() } else { all.join(" or ") }
}

/// A ScanPolicy, as `NAMESPACE/NAME`; where it says nothing, the policies of the cluster count.
fn own_row(policy: &ScanPolicy) -> [String; 7] {
    let spec = &policy.spec;
    let namespace = policy.namespace().unwrap_or_default();
    [
        printable(format!("{namespace}/{}", policy.name_any())),
        spec.mode.map_or_else(|| "-".to_owned(), |mode| format!("{mode:?}")),
        printable(&namespace),
        "-".to_owned(),
        spec.block_at.map_or_else(|| "-".to_owned(), |severity| severity.to_string()),
        or(&names(&spec.rules), "-"),
        spec.approval.map_or_else(|| "-".to_owned(), |approval| format!("{approval:?}")),
    ]
}

fn or(texts: &[String], none: &str) -> String {
    if texts.is_empty() { none.to_owned() } else { printable(texts.join(",")) }
}

fn names(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(|rule| rule.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_table() {
        assert!(table(&[], &[]).contains("every namespace is enforced"));
        let policy = |name: &str, spec: Value| ClusterScanPolicy::new(name, serde_json::from_value(spec).unwrap());
        let all = [
            policy("default", json!({"mode": "Warn", "enforcedNamespaces": ["shop", "team-a"]})),
            policy(
                "strict",
                json!({"namespaces": ["team-b"], "blockAt": "NEVER", "approval": "Manual",
                    "rules": [{"name": "exploited", "knownExploited": true}]}),
            ),
            policy(
                "prod",
                json!({"namespaces": ["shop"],
                    "namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "In", "values": ["prod"]}]}}),
            ),
        ];
        let labelled = |spec: Value| chosen(&serde_json::from_value(json!({"namespaceSelector": spec})).unwrap());
        assert_eq!(labelled(json!({})), "every namespace");
        assert_eq!(labelled(json!({"matchLabels": {"env": "prod", "team": "a"}})), "-l env=prod,team=a");
        let own = |namespace: &str, spec: Value| {
            let mut policy = ScanPolicy::new("own", serde_json::from_value(spec).unwrap());
            policy.metadata.namespace = Some(namespace.to_owned());
            policy
        };
        let own =
            [own("shop", json!({"mode": "Enforce", "approval": "Manual"})), own("team-c", json!({"blockAt": "LOW"}))];
        assert!(table(&[], &own).starts_with("no ClusterScanPolicy") && table(&[], &own).contains("shop/own"));
        insta::assert_snapshot!(table(&all, &own));
    }
}
