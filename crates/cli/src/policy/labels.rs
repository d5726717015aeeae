//! The labels of namespaces, by which policies may choose them.

use crate::cluster::Cluster;
use crate::terminal::printable;
use anyhow::{Context as _, Result, anyhow};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use std::collections::BTreeMap;
use tidewaiter_crd::namespace::Labels;
use tidewaiter_crd::{ChosenNamespace, ClusterScanPolicy};

/// The labels of namespaces by their name; one that is not here has none.
#[derive(Debug, Clone, Default)]
pub(super) struct LabelsByNamespace(BTreeMap<String, Labels>);

impl LabelsByNamespace {
    /// A namespace as policies choose it.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> ChosenNamespace<'a> {
        match self.0.get(name) {
            Some(labels) => ChosenNamespace::new(name, labels),
            None => ChosenNamespace::without_labels(name),
        }
    }

    /// Adds a namespace.
    pub(super) fn add(&mut self, namespace: Namespace) {
        self.0.insert(namespace.name_any(), namespace.metadata.labels.unwrap_or_default());
    }
}

/// The labels of these namespaces, or of all; none where no policy asks for them, as not everybody may read namespaces. One that
/// there is not has none.
pub(super) async fn read<'a>(
    cluster: &Cluster,
    policies: impl IntoIterator<Item = &'a ClusterScanPolicy>,
    namespaces: Option<&[String]>,
) -> Result<LabelsByNamespace> {
    let mut labels = LabelsByNamespace::default();
    let Some(selecting) = selecting(policies) else { return Ok(labels) };
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    let Some(names) = namespaces else {
        let all = api.list(&ListParams::default()).await.map_err(|error| unreadable(error, &selecting));
        all.context("listing namespaces")?.items.into_iter().for_each(|namespace| labels.add(namespace));
        return Ok(labels);
    };
    for name in names {
        let found = api.get_opt(name).await.map_err(|error| unreadable(error, &selecting));
        found
            .with_context(|| format!("reading the namespace {}", printable(name)))?
            .into_iter()
            .for_each(|n| labels.add(n));
    }
    Ok(labels)
}

/// The first policy that chooses namespaces by labels.
pub(super) fn selecting<'a>(policies: impl IntoIterator<Item = &'a ClusterScanPolicy>) -> Option<String> {
    let mut all = policies.into_iter().filter(|policy| policy.spec.namespace_selector.is_some());
    all.next().map(|policy| policy.name_any())
}

/// Says what for, where the API server only says that it is not allowed.
pub(super) fn unreadable(error: kube::Error, selecting: &str) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 403 => anyhow!(
            "whether the ClusterScanPolicy {} applies follows from labels of namespaces, which you may not read ({}); ask an \
             administrator of the cluster",
            printable(selecting),
            status.message
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn labels_are_asked_for_where_a_policy_selects() {
        let check = |specs: &[Value], expected: Option<&str>| {
            let one = |(place, spec): (usize, &Value)| {
                ClusterScanPolicy::new(&format!("p{place}"), serde_json::from_value(spec.clone()).unwrap())
            };
            let all: Vec<_> = specs.iter().enumerate().map(one).collect();
            assert_eq!(selecting(&all).as_deref(), expected, "{specs:?}");
        };
        check(&[], None);
        check(&[json!({}), json!({"namespaces": ["a"]})], None);
        check(&[json!({}), json!({"namespaceSelector": {}})], Some("p1"));
    }

    #[test]
    fn who_may_not_read_labels_is_told_why_they_are_needed() {
        let status = |code: u16| kube::Error::Api(Box::new(kube::core::Status::failure("no", "No").with_code(code)));
        let said = unreadable(status(403), "p").to_string();
        assert!(said.starts_with("whether the ClusterScanPolicy p applies") && said.contains("(no)"), "{said}");
        assert!(!unreadable(status(500), "p").to_string().contains("ClusterScanPolicy"));
    }
}
