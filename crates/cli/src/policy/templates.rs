//! Reads the Pod templates of a cluster's workloads, and the Pods that have none.

use super::list_in;
use crate::cluster::Cluster;
use anyhow::Result;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::{Resource, ResourceExt as _};

/// What makes a workload's Pods.
#[derive(Debug, Clone)]
pub(super) struct WorkloadTemplate {
    pub(super) namespace: String,
    /// `deployment/web`.
    pub(super) workload: String,
    pub(super) spec: PodSpec,
}

/// The annotation of a Pod that a node makes of a file: admission cannot stop it.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The templates of a namespace, or of all. ReplicaSets and Jobs have those of their owners, and Pods without a controller are
/// their own.
pub(super) async fn read(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<WorkloadTemplate>> {
    let mut all = Vec::new();
    for object in list_in::<Deployment>(cluster, namespace).await? {
        all.extend(of(&object, object.spec.clone().and_then(|spec| spec.template.spec)));
    }
    for object in list_in::<StatefulSet>(cluster, namespace).await? {
        all.extend(of(&object, object.spec.clone().and_then(|spec| spec.template.spec)));
    }
    for object in list_in::<DaemonSet>(cluster, namespace).await? {
        all.extend(of(&object, object.spec.clone().and_then(|spec| spec.template.spec)));
    }
    for object in list_in::<CronJob>(cluster, namespace).await? {
        let template = object.spec.clone().and_then(|spec| spec.job_template.spec).map(|job| job.template);
        all.extend(of(&object, template.and_then(|template| template.spec)));
    }
    for object in list_in::<Pod>(cluster, namespace).await?.iter().filter(|pod| is_its_own(pod)) {
        all.extend(of(object, object.spec.clone().map(as_created)));
    }
    Ok(all)
}

fn of<K: Resource<DynamicType = ()>>(object: &K, spec: Option<PodSpec>) -> Option<WorkloadTemplate> {
    let workload = format!("{}/{}", K::kind(&()).to_lowercase(), object.name_any());
    Some(WorkloadTemplate { namespace: object.namespace().unwrap_or_default(), workload, spec: spec? })
}

/// Whether nothing creates a Pod again but whoever created it.
fn is_its_own(pod: &Pod) -> bool {
    pod.owner_references().iter().all(|owner| owner.controller != Some(true)) && !pod.annotations().contains_key(MIRROR)
}

/// The scheduler has named the node of a Pod that runs; a new one does not.
fn as_created(spec: PodSpec) -> PodSpec {
    PodSpec { node_name: None, ..spec }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn pods_of_controllers_and_nodes_are_left_out() {
        let check = |metadata: Value, expected: bool| {
            let pod = serde_json::from_value(json!({"metadata": metadata})).unwrap();
            assert_eq!(is_its_own(&pod), expected, "{metadata}");
        };
        let owner = |controller: bool| json!({"ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": controller}]});
        check(json!({"name": "p"}), true);
        check(owner(true), false);
        check(owner(false), true);
        check(json!({"annotations": {MIRROR: "hash"}}), false);
    }

    #[test]
    fn a_template_is_named_by_kind_and_name() {
        let object = |spec: Value| -> Deployment {
            let metadata = json!({"name": "web", "namespace": "shop"});
            serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
        };
        let spec = json!({"selector": {}, "template": {"spec": {"containers": [{"name": "c", "image": "r/app:v1"}]}}});
        let object = object(spec);
        let found = of(&object, object.spec.clone().and_then(|spec| spec.template.spec)).unwrap();
        assert_eq!((found.namespace.as_str(), found.workload.as_str()), ("shop", "deployment/web"));
        assert_eq!(found.spec.containers[0].image.as_deref(), Some("r/app:v1"));
        assert!(of(&object, None).is_none());
    }
}
