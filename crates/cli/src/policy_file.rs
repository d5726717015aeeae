//! Policies from files, in the form of the objects that a cluster has: an image is judged here as it will be there.

use crate::exit::UsageError;
use crate::login;
use anyhow::Result;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use tidewaiter_core::policy::{Policy, Rule};
use tidewaiter_crd::{ClusterScanPolicy, NamespaceSelector, ScanPolicy};

/// The objects of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct PolicyObjects {
    pub(crate) of_cluster: Vec<ClusterScanPolicy>,
    pub(crate) of_namespaces: Vec<ScanPolicy>,
}

impl PolicyObjects {
    /// As they are when kubectl applies them: what names no namespace goes to this one.
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        for policy in &mut self.of_namespaces {
            policy.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
        }
        self
    }

    /// The strictest of all, as for a namespace that all of them concern. Which namespaces they name, and their mode, is not
    /// asked. Without an object of the cluster's its defaults are made stricter.
    fn criteria(&self) -> Policy {
        let strictest = |a: Policy, b: Policy| a.strictest(&b);
        let of_cluster = self.of_cluster.iter().map(|policy| policy.spec.criteria());
        let of_namespaces = self.of_namespaces.iter().map(|policy| policy.spec.criteria());
        of_namespaces.fold(of_cluster.reduce(strictest).unwrap_or_default(), strictest)
    }
}

/// Reads the criteria of a file of `ClusterScanPolicy` and `ScanPolicy` objects.
pub(crate) fn read(path: &Path) -> Result<Policy> {
    Ok(read_objects(path)?.criteria())
}

/// Reads the objects of a file, with their names and namespaces.
pub(crate) fn read_objects(path: &Path) -> Result<PolicyObjects> {
    let bytes = login::read(path)?;
    parse(&String::from_utf8_lossy(&bytes)).map_err(|why| UsageError(format!("{}: {why}", path.display())).into())
}

fn parse(text: &str) -> Result<PolicyObjects, String> {
    let documents: Vec<Value> = tidewaiter_yaml::from_multiple(text).map_err(|e| format!("it cannot be read ({e})"))?;
    let mut all = PolicyObjects::default();
    for document in documents.into_iter().flat_map(objects) {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        match text("/kind").as_str() {
            "ClusterScanPolicy" => all.of_cluster.push(ClusterScanPolicy::new(&name, spec(document)?)),
            "ScanPolicy" => {
                let mut policy = ScanPolicy::new(&name, spec(document)?);
                policy.metadata.namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
                all.of_namespaces.push(policy);
            }
            kind => {
                let found = if kind.is_empty() { "an object without a kind".to_owned() } else { format!("a {kind}") };
                return Err(format!(
                    "it has {found}; write a ClusterScanPolicy or a ScanPolicy, as docs/policy.md shows"
                ));
            }
        }
    }
    if all.of_cluster.is_empty() && all.of_namespaces.is_empty() {
        return Err("it has no ClusterScanPolicy".to_owned());
    }
    all.criteria().rules.iter().try_for_each(Rule::check).map_err(|e| e.to_string())?;
    let mut selectors = all.of_cluster.iter().filter_map(|policy| policy.spec.namespace_selector.as_ref());
    selectors.try_for_each(NamespaceSelector::check).map_err(|why| format!("spec.namespaceSelector: {why}"))?;
    Ok(all)
}

/// The objects of a document: `kubectl get` writes several as a List.
fn objects(mut document: Value) -> Vec<Value> {
    match document["items"].take() {
        Value::Array(items) if document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => items,
        _ => vec![document],
    }
}

fn spec<T: DeserializeOwned>(mut document: Value) -> Result<T, String> {
    if !document["spec"].is_object() {
        let kind = document["kind"].as_str().unwrap_or_default();
        return Err(format!("a {kind} has no spec; docs/policy.md shows what it holds"));
    }
    let mut unknown = Vec::new();
    let spec = serde_ignored::deserialize(document["spec"].take(), |field| unknown.push(field.to_string()))
        .map_err(|e| format!("spec: {e}"))?;
    match unknown.first() {
        Some(field) => Err(format!("spec has no field {field}; docs/policy.md lists all")),
        None => Ok(spec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::severity::Severity;

    #[test]
    fn a_file_is_what_a_cluster_would_have() {
        let object =
            |spec: &str| format!("apiVersion: tidewaiter.dev/v1alpha1\nkind: ClusterScanPolicy\nspec: {spec}\n");
        let read = |text: &str| {
            parse(text).map(|objects| objects.criteria()).map(|policy| (policy.block_at, policy.rules.len()))
        };
        assert_eq!(read(&object("{blockAt: HIGH, namespaces: [a]}")), Ok((Some(Severity::High), 0)));
        assert_eq!(read(&object("{}")), Ok((Some(Severity::Critical), 0)));
        let rule = object("{blockAt: NEVER, rules: [{name: a, epss: 0.5}]}");
        assert_eq!(read(&rule), Ok((None, 1)));
        let list =
            r#"{"apiVersion":"v1","kind":"List","items":[{"kind":"ClusterScanPolicy","spec":{"blockAt":"LOW"}}]}"#;
        assert_eq!(read(list), Ok((Some(Severity::Low), 0)));
        assert_eq!(read(&format!("{rule}---\n{}", object("{blockAt: LOW}"))), Ok((Some(Severity::Low), 1)));
    }

    #[test]
    fn a_namespace_makes_it_stricter() {
        let check = |cluster: &str, own: &str, expected: Option<Severity>| {
            let text = format!("{cluster}\n---\nkind: ScanPolicy\nspec: {own}\n");
            assert_eq!(parse(&text).unwrap().criteria().block_at, expected, "{text}");
        };
        let cluster = |spec: &str| format!("kind: ClusterScanPolicy\nspec: {spec}");
        check(&cluster("{blockAt: HIGH}"), "{blockAt: CRITICAL}", Some(Severity::High));
        check(&cluster("{blockAt: NEVER}"), "{blockAt: LOW}", Some(Severity::Low));
        check(&cluster("{blockAt: NEVER}"), "{}", None);
        // Without a policy of the cluster those are the defaults.
        check("", "{blockAt: MEDIUM}", Some(Severity::Medium));
        check("", "{}", Some(Severity::Critical));
    }

    #[test]
    fn what_names_no_namespace_goes_to_that_of_the_command() {
        let check = |metadata: &str, expected: &str| {
            let objects = parse(&format!("kind: ScanPolicy\nmetadata: {metadata}\nspec: {{}}\n")).unwrap();
            let found = objects.in_namespace("shop").of_namespaces[0].metadata.namespace.clone();
            assert_eq!(found.as_deref(), Some(expected), "{metadata}");
        };
        check("{name: own}", "shop");
        check("{name: own, namespace: ''}", "shop");
        check("{name: own, namespace: team-a}", "team-a");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "no ClusterScanPolicy");
        check("kind: Pod", "it has a Pod");
        check("spec: {}", "an object without a kind");
        check("kind: ClusterScanPolicy\nspec: {blockat: HIGH}", "no field blockat");
        check("kind: ClusterScanPolicy\nspec: {blockAt: EVER}", "EVER");
        check("kind: ClusterScanPolicy\nspec: {rules: [{name: a, espp: 1}]}", "espp");
        check("kind: ClusterScanPolicy\nspec: {rules: [{name: a, epss: 50}]}", "rule \"a\": epss is a probability");
        let selector =
            "kind: ClusterScanPolicy\nspec: {namespaceSelector: {matchExpressions: [{key: env, operator: In}]}}";
        check(selector, "spec.namespaceSelector: the requirement on label env needs values: In");
        check("kind: ClusterScanPolicy", "has no spec");
        check("kind: [", "cannot be read");
    }
}
