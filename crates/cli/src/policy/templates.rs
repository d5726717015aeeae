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

/// The annotation of a Pod that a node makes of a file: admission cannot stop it.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The templates of a namespace, or of all. Pods without a controller are their own.
pub(super) async fn read(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<WorkloadTemplate>> {
    let mut all = Vec::new();
    for kind in WITH_TEMPLATES {
        for object in list(cluster, kind, namespace).await? {
            all.extend(of(kind, &object)?);
        }
    }
    for pod in list(cluster, BuiltInKind::Pod, namespace).await?.iter().filter(|pod| is_its_own(pod)) {
        all.extend(of(BuiltInKind::Pod, pod)?.map(as_created));
    }
    Ok(all)
}

async fn list(cluster: &Cluster, kind: BuiltInKind, namespace: Option<&str>) -> Result<Vec<DynamicObject>> {
    let found = kind.api(&cluster.client, namespace).list(&ListParams::default()).await;
    Ok(found.with_context(|| format!("listing {}", kind.resource().plural))?.items)
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
