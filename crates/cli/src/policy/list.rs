//! `kubectl scan policy list`: the policies as a table.

use super::policies;
use crate::cluster::Cluster;
use crate::exit::Exit;
use crate::render;
use crate::terminal::printable;
use anyhow::Result;
use kube::ResourceExt as _;
use std::io::{self, Write as _};
use tidewaiter_crd::ClusterScanPolicy;

pub(crate) async fn list(cluster: &Cluster) -> Result<Exit> {
    write!(io::stdout(), "{}", table(&policies(cluster).await?))?;
    Ok(Exit::Clean)
}

fn table(all: &[ClusterScanPolicy]) -> String {
    if all.is_empty() {
        return "no ClusterScanPolicy: every namespace is enforced, by the default criteria (docs/policy.md)\n"
            .to_owned();
    }
    let head = ["NAME", "MODE", "NAMESPACES", "ENFORCED IN", "BLOCK AT", "RULES", "APPROVAL"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(all.iter().map(row));
    render::columns(&rows)
}

fn row(policy: &ClusterScanPolicy) -> [String; 7] {
    let spec = &policy.spec;
    let or = |texts: &[String], none: &str| if texts.is_empty() { none.to_owned() } else { printable(texts.join(",")) };
    let rules: Vec<String> = spec.rules.iter().map(|rule| rule.name.clone()).collect();
    [
        printable(policy.name_any()),
        format!("{:?}", spec.mode),
        or(&spec.namespaces, "all others"),
        or(&spec.enforced_namespaces, "-"),
        spec.block_at.map_or_else(|| "never".to_owned(), |severity| severity.to_string()),
        or(&rules, "-"),
        format!("{:?}", spec.approval),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_table() {
        assert!(table(&[]).contains("every namespace is enforced"));
        let policy = |name: &str, spec: Value| ClusterScanPolicy::new(name, serde_json::from_value(spec).unwrap());
        let all = [
            policy("default", json!({"mode": "Warn", "enforcedNamespaces": ["shop", "team-a"]})),
            policy(
                "strict",
                json!({"namespaces": ["team-b"], "blockAt": "NEVER", "approval": "Manual",
                    "rules": [{"name": "exploited", "knownExploited": true}]}),
            ),
        ];
        insta::assert_snapshot!(table(&all));
    }
}
