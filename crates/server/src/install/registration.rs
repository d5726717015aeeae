//! Writes the server's own registrations: webhooks, policies and their bindings.

use crate::patches;
use anyhow::{Context as _, Result};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use tidewaiter_crd::names::FIELD_MANAGER;

/// What is written of a registration. Labels and annotations are for others.
const WRITTEN: [&str; 3] = ["/spec", "/webhooks", "/metadata/ownerReferences"];

/// Writes one registration, unless it is in the cluster as it is wanted: it is read from the API server, not from the watch,
/// whose loss is what repeated applications are for. Without an `owner`, who owns it stays as it is.
pub(super) async fn put<K>(api: &Api<K>, kind: &str, mut wanted: Value, owner: Option<&[OwnerReference]>) -> Result<()>
where
    K: Clone + DeserializeOwned + Serialize + Debug,
{
    if let Some(owner) = owner {
        wanted["metadata"]["ownerReferences"] = serde_json::to_value(owner)?;
    }
    let name = wanted.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let hint = || format!("applying {kind} {name} (see deploy/rbac.yaml)");
    let found = match api.get_opt(&name).await.with_context(hint)? {
        Some(found) => found,
        // Applied, not posted: so the permission to create it can be one for this name alone.
        None => {
            let params = PatchParams::apply(FIELD_MANAGER).force();
            api.patch(&name, &params, &Patch::Apply(&wanted)).await.with_context(hint)?
        }
    };
    let operations = replacement(&serde_json::to_value(found)?, &wanted);
    if !operations.is_empty() {
        patches::object(api, &name, operations).await.with_context(hint)?;
    }
    Ok(())
}

/// The JSON patch that makes an object what is wanted. It replaces whole values, as neither an application nor a merge does:
/// those leave what somebody added, which may narrow a registration until it concerns nothing. Nothing of what was read is
/// kept, so that there is no version to test.
fn replacement(found: &Value, wanted: &Value) -> Vec<Value> {
    let differs = |path: &str| match (found.pointer(path), wanted.pointer(path)) {
        (_, None) => false,
        (None, Some(wanted)) => !is_absent(wanted),
        (Some(found), Some(wanted)) => !is_same(found, wanted),
    };
    let replace = |path: &str| json!({"op": "add", "path": path, "value": wanted.pointer(path)});
    WRITTEN.into_iter().filter(|path| differs(path)).map(replace).collect()
}

/// Whether the `spec` or `webhooks` of an object are as they are wanted.
pub(super) fn holds(found: &Value, wanted: &Value) -> bool {
    replacement(found, wanted).is_empty()
}

/// Whether a value is as it is wanted, with the API server's defaults and nothing else.
fn is_same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted
                .iter()
                .all(|(key, wanted)| found.get(key).map_or_else(|| is_absent(wanted), |found| is_same(found, wanted)))
                && found.iter().all(|(key, value)| wanted.contains_key(key) || is_default(key, value))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| is_same(found, wanted))
        }
        _ => found == wanted,
    }
}

/// What the API server adds to a field that is not wanted (`SetDefaults_*` of `admissionregistration.k8s.io/v1`). A default
/// that a later version adds costs a patch that changes nothing at each application.
fn is_default(key: &str, value: &Value) -> bool {
    match key {
        "matchPolicy" => value == "Equivalent",
        "scope" => value == "*",
        "failurePolicy" => value == "Fail",
        "reinvocationPolicy" => value == "Never",
        "timeoutSeconds" => value == 10,
        // Empty ones select everything.
        "namespaceSelector" | "objectSelector" => value.as_object().is_some_and(|terms| terms.values().all(is_no_term)),
        "matchLabels" => is_no_term(value),
        _ => is_absent(value),
    }
}

fn is_no_term(value: &Value) -> bool {
    is_absent(value) || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Objects are stored without their empty lists. An empty object is not the same as none: the selector of a binding's
/// parameters selects all of them.
fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: Value, wanted: Value, expected: bool) {
        let (found, wanted) = (json!({"spec": found}), json!({"spec": wanted}));
        assert_eq!(holds(&found, &wanted), expected, "{found} {wanted}");
    }

    #[test]
    fn what_differs_from_what_is_wanted() {
        check(json!({"a": 1}), json!({"a": 1}), true);
        check(json!({"a": 1}), json!({"a": 2}), false);
        check(json!({"a": 1}), json!({"a": "1"}), false);
        check(json!({}), json!({"a": 1}), false);
        // Lists are whole: what somebody added is not wanted.
        check(json!({"a": [1, 2]}), json!({"a": [1]}), false);
        check(json!({"a": [1]}), json!({"a": [1, 2]}), false);
        check(json!({"a": [2, 1]}), json!({"a": [1, 2]}), false);
        check(json!({}), json!({"a": [], "c": null}), true);
        check(json!({}), json!({"a": ""}), false);
        check(json!({"a": {}}), json!({"a": [1]}), false);
        // Where nothing is selected, no parameter is found.
        check(json!({"paramRef": {}}), json!({"paramRef": {"selector": {}}}), false);
        check(json!({"paramRef": {"selector": {}}}), json!({"paramRef": {"selector": {}}}), true);
    }

    /// A webhook, a policy and a binding, as the API server returns them.
    #[test]
    fn defaults_are_no_difference() {
        let rule = json!({"apiGroups": [""], "resources": ["pods"]});
        let mut stored = rule.clone();
        stored["scope"] = json!("*");
        check(json!({"rules": [stored], "objectSelector": {}}), json!({"rules": [rule]}), true);
        let defaults = json!({"resourceRules": [stored], "matchPolicy": "Equivalent", "namespaceSelector": {},
            "objectSelector": {"matchLabels": {}}});
        check(json!({"matchConstraints": defaults}), json!({"matchConstraints": {"resourceRules": [rule]}}), true);
        let only = json!({"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]});
        let stored = json!({"namespaceSelector": only, "objectSelector": {}, "matchPolicy": "Equivalent"});
        check(json!({"matchResources": stored}), json!({"matchResources": {"namespaceSelector": only}}), true);
    }

    #[test]
    fn what_narrows_is_a_difference() {
        let wanted = json!({"matchConstraints": {"resourceRules": [{"resources": ["pods"]}]},
            "matchResources": {"namespaceSelector": {"matchExpressions": [1]}}, "paramRef": {"selector": {}}});
        let check = |pointer: &str, key: &str, value: Value, expected: bool| {
            let mut found = wanted.clone();
            found.pointer_mut(pointer).unwrap()[key] = value;
            check(found, wanted.clone(), expected);
        };
        let labels = || json!({"matchLabels": {"a": "b"}});
        check("", "matchConditions", json!([{"name": "never", "expression": "false"}]), false);
        check("", "matchConditions", json!([]), true);
        check("", "objectSelector", labels(), false);
        check("", "timeoutSeconds", json!(1), false);
        check("/matchConstraints", "excludeResourceRules", json!([{"resources": ["pods"]}]), false);
        check("/matchConstraints", "objectSelector", labels(), false);
        check("/matchConstraints", "namespaceSelector", labels(), false);
        check("/matchConstraints", "matchPolicy", json!("Exact"), false);
        check("/matchConstraints/resourceRules/0", "resourceNames", json!(["none"]), false);
        check("/matchConstraints/resourceRules/0", "scope", json!("Cluster"), false);
        check("/matchResources", "objectSelector", json!({"matchExpressions": [{"key": "k"}]}), false);
        check("/matchResources", "resourceRules", json!([{"resources": ["secrets"]}]), false);
        check("/matchResources/namespaceSelector", "matchLabels", json!({"a": "b"}), false);
        check("/matchResources/namespaceSelector", "matchLabels", json!({}), true);
        check("/paramRef", "name", json!("no-such"), false);
        check("/paramRef", "selector", labels(), false);
    }

    #[test]
    fn a_difference_is_replaced_whole() {
        let check = |found: Value, wanted: Value, expected: &[&str]| {
            let patch = replacement(&found, &wanted);
            let paths: Vec<&str> = patch.iter().map(|operation| operation["path"].as_str().unwrap()).collect();
            assert_eq!(paths, expected, "{found} {wanted}");
            let whole =
                |operation: &Value| wanted.pointer(operation["path"].as_str().unwrap()) == operation.get("value");
            assert!(patch.iter().all(whole), "{patch:?}");
        };
        let owned = |uid: &str| json!({"metadata": {"ownerReferences": [{"uid": uid}]}, "spec": {"a": 1}});
        check(owned("u"), owned("u"), &[]);
        check(owned("other"), owned("u"), &["/metadata/ownerReferences"]);
        check(json!({"metadata": {}, "spec": {"a": 1, "b": 2}}), owned("u"), &["/spec", "/metadata/ownerReferences"]);
        // Unknown: as it is. None: nobody.
        check(owned("u"), json!({"metadata": {}, "spec": {"a": 1}}), &[]);
        check(
            owned("u"),
            json!({"metadata": {"ownerReferences": []}, "spec": {"a": 1}}),
            &["/metadata/ownerReferences"],
        );
        check(json!({"metadata": {}}), json!({"metadata": {"ownerReferences": []}}), &[]);
        let labelled = json!({"metadata": {"labels": {"a": "b"}}, "webhooks": [], "status": {}});
        check(labelled.clone(), json!({"metadata": {}, "webhooks": []}), &[]);
        check(labelled, json!({"metadata": {}, "webhooks": [1]}), &["/webhooks"]);
    }
}
