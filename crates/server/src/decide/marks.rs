//! The server's marks on objects of others, as JSON patches (RFC 6902).

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

/// Whether a Deployment is paused, by whomever.
pub(crate) fn paused(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().and_then(|s| s.paused).unwrap_or_default()
}

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
    fn pointers_are_escaped() {
        let check = |key: &str, expected: &str| assert_eq!(metadata_path("annotations", key), expected);
        check("a", "/metadata/annotations/a");
        check("x.dev/a", "/metadata/annotations/x.dev~1a");
        // The tilde first, or the slash's own escape would be escaped.
        check("~1/", "/metadata/annotations/~01~1");
    }
}
