//! What the index drops of objects before it keeps them: what nothing here reads, and what makes half of many an object.

use k8s_openapi::api::core::v1::Node;
use kube::{Resource, ResourceExt as _};

/// `kubectl apply` stores the whole manifest in it. Admission reads it, in the objects of its requests alone.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Drops what objects of every kind may have. A map of annotations remains, if it is an empty one: patches ask whether the
/// object has one.
pub(super) fn slim<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// Drops the images that a node has pulled, too: up to 50, each with all of its names.
pub(super) fn slim_node(node: &mut Node) {
    slim(node);
    if let Some(status) = &mut node.status {
        status.images = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::{Value, from_value, json, to_value};

    #[test]
    fn what_nothing_reads() {
        let check = |metadata: Value, expected: Value| {
            let mut object: Deployment = from_value(json!({"metadata": metadata})).unwrap();
            slim(&mut object);
            assert_eq!(to_value(&object).unwrap()["metadata"], expected);
        };
        check(json!({"name": "a"}), json!({"name": "a", "managedFields": []}));
        check(
            json!({"annotations": {LAST_APPLIED: "{}", "mine": "x"}, "managedFields": [{"manager": "kubectl"}]}),
            json!({"annotations": {"mine": "x"}, "managedFields": []}),
        );
        check(json!({"annotations": {LAST_APPLIED: "{}"}}), json!({"annotations": {}, "managedFields": []}));
    }

    #[test]
    fn images_of_a_node() {
        let images = json!([{"names": ["a:v1"], "sizeBytes": 1}]);
        let mut node: Node =
            from_value(json!({"status": {"images": images, "nodeInfo": {"architecture": "arm64", "bootID": "",
                "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "",
                "machineID": "", "operatingSystem": "linux", "osImage": "", "systemUUID": ""}}}))
            .unwrap();
        slim_node(&mut node);
        let status = node.status.unwrap();
        assert!(status.images.is_none() && status.node_info.unwrap().architecture == "arm64");
    }
}
