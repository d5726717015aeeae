//! Policies from files, in the form of the objects that a cluster has: an image is judged here as it will be there.

use crate::exit::UsageError;
use crate::login;
use anyhow::Result;
use serde_json::Value;
use std::path::Path;
use tidewaiter_core::policy::{Policy, Rule};
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::policy::ClusterScanPolicySpec;

/// Reads the criteria of a file of `ClusterScanPolicy` objects; of several the strictest, as for a namespace that all of them
/// name. Which namespaces they name, and their mode, is not asked.
pub(crate) fn read(path: &Path) -> Result<Policy> {
    let bytes = login::read(path)?;
    parse(&String::from_utf8_lossy(&bytes)).map_err(|why| UsageError(format!("{}: {why}", path.display())).into())
}

/// Reads the objects of a file, with their names and namespaces.
pub(crate) fn read_objects(path: &Path) -> Result<Vec<ClusterScanPolicy>> {
    let bytes = login::read(path)?;
    parse_objects(&String::from_utf8_lossy(&bytes))
        .map_err(|why| UsageError(format!("{}: {why}", path.display())).into())
}

fn parse(text: &str) -> Result<Policy, String> {
    let all = parse_objects(text)?.into_iter().map(|policy| policy.spec.criteria());
    Ok(all.reduce(|others, policy| others.strictest(&policy)).unwrap_or_default())
}

fn parse_objects(text: &str) -> Result<Vec<ClusterScanPolicy>, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|e| format!("it cannot be read ({e})"))?;
    let all: Vec<_> = documents.into_iter().flat_map(objects).map(object).collect::<Result<_, _>>()?;
    if all.is_empty() { Err("it has no ClusterScanPolicy".to_owned()) } else { Ok(all) }
}

/// The objects of a document: `kubectl get` writes several as a List.
fn objects(mut document: Value) -> Vec<Value> {
    match document["items"].take() {
        Value::Array(items) if document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => items,
        _ => vec![document],
    }
}

fn object(mut document: Value) -> Result<ClusterScanPolicy, String> {
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    if kind != "ClusterScanPolicy" {
        let found = if kind.is_empty() { "an object without a kind".to_owned() } else { format!("a {kind}") };
        return Err(format!("it has {found}; write a ClusterScanPolicy, as docs/policy.md shows"));
    }
    if !document["spec"].is_object() {
        return Err("a ClusterScanPolicy has no spec; docs/policy.md shows what it holds".to_owned());
    }
    let mut unknown = Vec::new();
    let spec: ClusterScanPolicySpec =
        serde_ignored::deserialize(document["spec"].take(), |field| unknown.push(field.to_string()))
            .map_err(|e| format!("spec: {e}"))?;
    if let Some(field) = unknown.first() {
        return Err(format!("spec has no field {field}; docs/policy.md lists all"));
    }
    spec.rules.iter().try_for_each(Rule::check).map_err(|e| e.to_string())?;
    let name = document["metadata"]["name"].as_str().unwrap_or_default();
    Ok(ClusterScanPolicy::new(name, spec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::severity::Severity;

    #[test]
    fn a_file_is_what_a_cluster_would_have() {
        let object =
            |spec: &str| format!("apiVersion: tidewaiter.dev/v1alpha1\nkind: ClusterScanPolicy\nspec: {spec}\n");
        let read = |text: &str| parse(text).map(|policy| (policy.block_at, policy.rules.len()));
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
        check("kind: ClusterScanPolicy", "has no spec");
        check("kind: [", "cannot be read");
    }
}
