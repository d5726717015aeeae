//! Writes the server's own registrations: webhooks, policies and their bindings.

use anyhow::{Context as _, Result};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use tidewaiter_crd::names::FIELD_MANAGER;

/// Which registrations are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Application {
    /// All: an earlier version of the server may have written fields that this one does not want.
    Everything,
    /// Those that are not in the cluster as this server wrote them. They are read from the API server, not from the watch, whose
    /// loss is what repeated applications are for.
    Differences,
}

/// Applies one registration.
pub(super) async fn put<K>(
    api: &Api<K>,
    kind: &str,
    mut wanted: Value,
    owner: &[OwnerReference],
    application: Application,
) -> Result<()>
where
    K: Clone + DeserializeOwned + Serialize + Debug,
{
    wanted["metadata"]["ownerReferences"] = serde_json::to_value(owner)?;
    let name = wanted.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let hint = || format!("applying {kind} {name} (see deploy/rbac.yaml)");
    if application == Application::Differences
        && let Some(found) = api.get_opt(&name).await.with_context(hint)?
        && holds(&serde_json::to_value(found)?, &wanted)
    {
        return Ok(());
    }
    let applied = api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&wanted)).await;
    if let Ok(found) = &applied
        && holds(&serde_json::to_value(found)?, &wanted)
    {
        return Ok(());
    }
    if let Err(error) = applied
        && !is_invalid(&error)
    {
        return Err(error).with_context(hint);
    }
    // Somebody put entries of their own into a list that is merged (`validationActions: [Warn]`): with ours they are too many,
    // and may be invalid together. A merge patch replaces lists.
    let patch = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(&name, &patch, &Patch::Merge(&wanted)).await.with_context(hint)?;
    Ok(())
}

fn is_invalid(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 422)
}

/// Whether an object has every field as it is wanted. The API server adds defaults and fields of its own.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).map_or_else(|| is_empty(wanted), |found| holds(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| holds(found, wanted))
        }
        _ => found == wanted,
    }
}

/// Objects are stored without their empty fields.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_from_what_is_wanted() {
        let check = |found: Value, wanted: Value, expected: bool| {
            assert_eq!(holds(&found, &wanted), expected, "{found} {wanted}");
        };
        check(json!({"a": 1, "default": 2}), json!({"a": 1}), true);
        check(json!({"a": 1}), json!({"a": 2}), false);
        check(json!({"a": 1}), json!({"a": "1"}), false);
        check(json!({}), json!({"a": 1}), false);
        check(json!({"a": {"b": 1, "default": 2}}), json!({"a": {"b": 1}}), true);
        check(json!({"a": [{"b": 1, "default": 2}]}), json!({"a": [{"b": 1}]}), true);
        // Lists are whole: what somebody added is not wanted.
        check(json!({"a": [1, 2]}), json!({"a": [1]}), false);
        check(json!({"a": [1]}), json!({"a": [1, 2]}), false);
        check(json!({"a": [2, 1]}), json!({"a": [1, 2]}), false);
        check(json!({"owners": [{"uid": "x"}]}), json!({"owners": []}), false);
        check(json!({}), json!({"a": [], "b": {}, "c": null, "d": {"e": []}}), true);
        check(json!({}), json!({"a": ""}), false);
        check(json!({"a": {}}), json!({"a": [1]}), false);
    }
}
