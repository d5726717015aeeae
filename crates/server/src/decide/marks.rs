//! The server's marks on objects of others, as JSON patches (RFC 6902).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Value, json};
use tidewaiter_crd::names::FIELD_MANAGER;

/// Whether an object has an annotation.
pub(crate) fn annotation(metadata: &ObjectMeta, key: &str) -> bool {
    metadata.annotations.iter().flatten().any(|(k, _)| k == key)
}

/// Adds entries to a map of metadata (`annotations`, `labels`); `present` says whether the object has the map.
pub(crate) fn add_metadata(map: &str, present: bool, entries: &[(&str, &str)]) -> Vec<Value> {
    let mut patch = Vec::new();
    // RFC 6902 adds nothing below what does not exist.
    if !present && !entries.is_empty() {
        patch.push(json!({"op": "add", "path": format!("/metadata/{map}"), "value": {}}));
    }
    let add = |(key, value): &(&str, &str)| json!({"op": "add", "path": metadata_path(map, key), "value": value});
    patch.extend(entries.iter().map(add));
    patch
}

/// Gives up the fields that the server wrote, so that whoever applies a manifest owns them; empty where it has none. A field
/// with a default, as `suspend` is, would else stay the server's after the hold, and conflict with server-side apply.
pub(crate) fn disown_patch(metadata: &ObjectMeta) -> Vec<Value> {
    let is_ours = |entry: &&ManagedFieldsEntry| {
        let manager = entry.manager.as_deref() == Some(FIELD_MANAGER);
        manager && entry.operation.as_deref() == Some("Update") && entry.subresource.is_none()
    };
    let all: Vec<&ManagedFieldsEntry> = metadata.managed_fields.iter().flatten().collect();
    let others: Vec<&ManagedFieldsEntry> = all.iter().copied().filter(|entry| !is_ours(entry)).collect();
    if others.len() == all.len() {
        return Vec::new();
    }
    // One empty entry is how Kubernetes spells none; an empty list would mean no change.
    let others = if others.is_empty() { json!([{}]) } else { json!(others) };
    vec![
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": metadata.resource_version}),
        json!({"op": "replace", "path": "/metadata/managedFields", "value": others}),
    ]
}

/// The JSON pointer (RFC 6901) of one entry of a metadata map.
pub(crate) fn metadata_path(map: &str, key: &str) -> String {
    format!("/metadata/{map}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_added_to_a_map_that_exists() {
        let check = |present: bool, entries: &[(&str, &str)], expected: &[&str]| {
            let patch = add_metadata("labels", present, entries);
            assert_eq!(patch.iter().filter_map(|op| op["path"].as_str()).collect::<Vec<_>>(), expected);
        };
        check(true, &[], &[]);
        check(false, &[], &[]);
        check(true, &[("a", "1")], &["/metadata/labels/a"]);
        check(false, &[("a", "1"), ("b", "2")], &["/metadata/labels", "/metadata/labels/a", "/metadata/labels/b"]);
    }

    #[test]
    fn the_servers_fields_are_given_up() {
        let entry = |manager: &str, operation: &str, subresource: Option<&str>| {
            let mut entry = json!({"manager": manager, "operation": operation});
            if let Some(subresource) = subresource {
                entry["subresource"] = json!(subresource);
            }
            entry
        };
        let check = |entries: &[Value], expected: Option<Value>| {
            let metadata = json!({"resourceVersion": "7", "managedFields": entries});
            let patch = disown_patch(&serde_json::from_value(metadata).unwrap());
            assert_eq!(patch.get(1).map(|op| op["value"].clone()), expected, "{entries:?}");
            assert!(patch.first().is_none_or(|op| op["op"] == "test" && op["value"] == "7"));
        };
        let (ours, helm) = (entry(FIELD_MANAGER, "Update", None), entry("helm", "Apply", None));
        let status = entry(FIELD_MANAGER, "Update", Some("status"));
        check(&[], None);
        check(std::slice::from_ref(&helm), None);
        check(&[helm.clone(), ours.clone()], Some(json!([helm])));
        check(std::slice::from_ref(&ours), Some(json!([{}])));
        check(&[ours, status.clone()], Some(json!([status])));
    }

    #[test]
    fn pointers_are_escaped() {
        let check = |key: &str, expected: &str| assert_eq!(metadata_path("annotations", key), expected);
        check("a", "/metadata/annotations/a");
        check("x.dev/a", "/metadata/annotations/x.dev~1a");
        // The tilde first, or the slash's own escape would be escaped.
        check("~1/", "/metadata/annotations/~01~1");
    }
}
