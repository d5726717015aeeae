//! Reads the Pod templates of a cluster's workloads, and the Pods that have none.

use crate::built_in::{BuiltInKind, PartialPodSpec};
use crate::cluster::Cluster;
use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};

/// What makes a workload's Pods.
#[derive(Debug, Clone)]
pub(super) struct WorkloadTemplate {
    pub(super) namespace: String,
    /// `deployment/web`.
    pub(super) workload: String,
    pub(super) spec: PartialPodSpec,
}

/// The kinds whose Pods are created again. ReplicaSets and Jobs have the templates of their owners.
const WITH_TEMPLATES: [BuiltInKind; 4] =
    [BuiltInKind::Deployment, BuiltInKind::StatefulSet, BuiltInKind::DaemonSet, BuiltInKind::CronJob];

/// Objects that are asked for at once: as dynamic objects they take some 100 KB each.
const PAGE: u32 = 500;

/// The annotation of a Pod that a node makes of a file: admission cannot stop it.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The templates of a namespace, or of all. Pods without a controller are their own.
pub(super) async fn read(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<WorkloadTemplate>> {
    let mut all = Vec::new();
    for kind in WITH_TEMPLATES {
        list(cluster, kind, namespace, &mut all).await?;
    }
    list(cluster, BuiltInKind::Pod, namespace, &mut all).await?;
    Ok(all)
}

/// Adds the templates of a kind, page by page: a large cluster's Pods are not in memory together.
async fn list(
    cluster: &Cluster,
    kind: BuiltInKind,
    namespace: Option<&str>,
    all: &mut Vec<WorkloadTemplate>,
) -> Result<()> {
    let api = kind.api(&cluster.client, namespace);
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await.with_context(|| format!("listing {}", kind.resource().plural))?;
        for object in &page.items {
            all.extend(created(kind, object)?);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

/// What admission is asked about when an object makes Pods again; `None` where nothing would.
fn created(kind: BuiltInKind, object: &DynamicObject) -> Result<Option<WorkloadTemplate>> {
    match kind {
        BuiltInKind::Pod if !is_its_own(object) => Ok(None),
        BuiltInKind::Pod => Ok(of(kind, object)?.map(as_created)),
        _ => of(kind, object),
    }
}

fn of(kind: BuiltInKind, object: &DynamicObject) -> Result<Option<WorkloadTemplate>> {
    let workload = format!("{}/{}", kind.resource().kind.to_lowercase(), object.name_any());
    let spec = kind.pod_spec(object).with_context(|| format!("reading {workload}"))?;
    let namespace = object.namespace().unwrap_or_default();
    Ok(spec.map(|spec| WorkloadTemplate { namespace, workload, spec }))
}

/// Whether nothing creates a Pod again but whoever created it.
fn is_its_own(pod: &DynamicObject) -> bool {
    pod.owner_references().iter().all(|owner| owner.controller != Some(true)) && !pod.annotations().contains_key(MIRROR)
}

/// The scheduler has named the node of a Pod that runs; a new one does not.
fn as_created(mut template: WorkloadTemplate) -> WorkloadTemplate {
    template.spec.node_name = None;
    template
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(metadata: &Value, spec: &Value) -> DynamicObject {
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn pods_of_controllers_and_nodes_are_left_out() {
        let check = |metadata: Value, expected: bool| {
            let pod = object(&metadata, &json!({"containers": [], "nodeName": "n"}));
            let found = created(BuiltInKind::Pod, &pod).unwrap();
            assert_eq!(found.is_some(), expected, "{metadata}");
            assert!(found.is_none_or(|template| template.spec.node_name.is_none()));
        };
        let owner = |controller: bool| json!({"ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": controller}]});
        check(json!({"name": "p"}), true);
        check(owner(true), false);
        check(owner(false), true);
        check(json!({"annotations": {"kubernetes.io/config.mirror": "hash"}}), false);
    }

    #[test]
    fn a_template_is_named_by_kind_and_name() {
        let metadata = json!({"name": "web", "namespace": "shop"});
        let spec = json!({"template": {"spec": {"containers": [{"name": "c", "image": "r/app:v1"}], "nodeName": "n"}}});
        let found = created(BuiltInKind::Deployment, &object(&metadata, &spec)).unwrap().unwrap();
        assert_eq!((found.namespace.as_str(), found.workload.as_str()), ("shop", "deployment/web"));
        let images: Vec<_> = found.spec.containers().map(|container| container.image.as_deref()).collect();
        assert_eq!(images, [Some("r/app:v1")]);
        assert_eq!(found.spec.node_name.as_deref(), Some("n"));
        assert!(created(BuiltInKind::Deployment, &object(&metadata, &json!({}))).unwrap().is_none());
    }
}
