//! Retains what runs before anything is enforced: it continues to run, may restart and scale.

use crate::context::ServerContext;
use crate::controllers::allowlist;
use crate::controllers::record::WorkloadRecord;
use crate::decide::evaluation::pin;
use crate::decide::images;
use crate::decide::pod::PodOwner;
use crate::decide::record;
use crate::decide::workload_ref::WorkloadRef;
use crate::error::ReconcileError;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_crd::workload_scan::Container;

/// Pods of one list request: a few MiB.
const PAGE: u32 = 500;
/// Attempts to write a record that a controller writes, too.
const MAX_ATTEMPTS: u32 = 6;

/// Records every running image of these namespaces as retained for its workload; returns the number of workloads.
pub(super) async fn retain(ctx: &ServerContext, concerns: &(dyn Fn(&str) -> bool + Sync)) -> Result<usize> {
    let api: Api<Pod> = Api::all(ctx.client.clone());
    let mut parameters = ListParams::default().limit(PAGE);
    let (mut workloads, mut namespaces) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let page = api.list(&parameters).await?;
        for pod in page.items.iter().filter(|pod| concerns(&pod.namespace().unwrap_or_default())) {
            let namespace = pod.namespace().unwrap_or_default();
            match retain_pod(ctx, pod, &namespace).await {
                Ok(Some(workload)) => {
                    workloads.insert(workload);
                    namespaces.insert(namespace);
                }
                Ok(None) => {}
                // A Pod or namespace that is being deleted must not keep the others from being retained.
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error).with_context(|| format!("pod {namespace}/{}", pod.name_any())),
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => break,
        }
    }
    for namespace in &namespaces {
        allowlist::update(ctx, namespace).await?;
    }
    Ok(workloads.len())
}

/// Records one Pod; returns the UID of its workload when every image of it can be named by digest.
async fn retain_pod(ctx: &ServerContext, pod: &Pod, namespace: &str) -> Result<Option<String>, ReconcileError> {
    let Some(containers) = running_containers(pod) else { return Ok(None) };
    let (workload, hash) = match ctx.index.pod_owner(pod, namespace) {
        PodOwner::Deployment { workload, template } => (workload, template),
        PodOwner::Other(workload) => {
            let images = containers.iter().map(|(name, container)| (name.clone(), container.image.clone()));
            (workload, images::images_hash(&images.collect()))
        }
        PodOwner::Unknown => return Ok(None),
    };
    let uid = workload.uid.clone();
    for _ in 1..MAX_ATTEMPTS {
        match record_retained(ctx, workload.clone(), &hash, &containers).await {
            Err(error) if error.is_conflict() => {}
            other => return other.map(|()| Some(uid)),
        }
    }
    record_retained(ctx, workload, &hash, &containers).await.map(|()| Some(uid))
}

async fn record_retained(
    ctx: &ServerContext,
    workload: WorkloadRef,
    hash: &str,
    containers: &BTreeMap<String, Container>,
) -> Result<(), ReconcileError> {
    let mut record = WorkloadRecord::open(ctx, workload).await?;
    record::retain(&mut record.draft, &record.workload.kind, hash, containers, Timestamp::now());
    record.save(ctx).await
}

/// The containers of a Pod, pinned to the digests that run; `None` when one is not known.
fn running_containers(pod: &Pod) -> Option<BTreeMap<String, Container>> {
    let running = running_digests(pod);
    let images = images::of(pod.spec.as_ref()?).into_iter();
    images.map(|(name, image)| running_container(&running, name, image)).collect()
}

fn running_container(running: &BTreeMap<String, String>, name: String, image: String) -> Option<(String, Container)> {
    // No status reports the digest of an image volume: only its reference can name it.
    let digest = running.get(&name).map(String::as_str).or_else(|| images::digest(&image));
    let pinned = pin(&image, digest?)?;
    Some((name, Container { image, pinned: Some(pinned), scan: None }))
}

/// Container → digest, as the node reports it (`repository@sha256:…`).
fn running_digests(pod: &Pod) -> BTreeMap<String, String> {
    let Some(status) = &pod.status else { return BTreeMap::new() };
    let all = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    all.filter_map(|c| Some((c.name.clone(), images::digest(&c.image_id)?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{digest, pinned};
    use serde_json::{Value, json};

    #[test]
    fn what_runs_is_named_by_the_digest_that_the_node_reports() {
        let check = |spec: Value, statuses: &[(&str, &str)], expected: Option<&[(&str, &str)]>| {
            let statuses: Vec<Value> = statuses
                .iter()
                .map(|(name, id)| json!({"name": name, "image": "", "imageID": id, "ready": true, "restartCount": 0}))
                .collect();
            let pod = json!({"spec": spec, "status": {"containerStatuses": statuses}});
            let found = running_containers(&serde_json::from_value(pod).unwrap());
            let found: Option<Vec<(&str, &str)>> = found
                .as_ref()
                .map(|all| all.iter().map(|(name, c)| (name.as_str(), c.pinned.as_deref().unwrap())).collect());
            assert_eq!(found.as_deref(), expected, "{statuses:?}");
        };
        let one = || json!({"containers": [{"name": "c", "image": "r.example/x:1"}]});
        let reported = pinned("r.example/x", 1);
        let pin = pinned("r.example/x:1", 1);
        check(one(), &[("c", &reported)], Some(&[("c", &pin)]));
        check(one(), &[], None);
        check(one(), &[("c", "")], None);
        check(one(), &[("c", &digest(1))], None);
        check(one(), &[("other", &reported)], None);
        let volume = |reference: &str| {
            let mut spec = one();
            spec["volumes"] = json!([{"name": "v", "image": {"reference": reference}}]);
            spec
        };
        check(volume("r.example/v:1"), &[("c", &reported)], None);
        let named = pinned("r.example/v:1", 2);
        check(volume(&named), &[("c", &reported)], Some(&[("c", &pin), ("volume/v", &named)]));
    }
}
