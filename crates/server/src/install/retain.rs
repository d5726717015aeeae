//! Retains what runs before anything is enforced: it continues to run, may restart and scale.

use crate::context::ServerContext;
use crate::controllers::allowlist;
use crate::controllers::record::WorkloadRecord;
use crate::decide::evaluation::pin;
use crate::decide::images;
use crate::decide::pod::is_gated;
use crate::decide::pod_owner::PodOwner;
use crate::decide::record;
use crate::decide::workload_ref::WorkloadRef;
use crate::error::ReconcileError;
use crate::events;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::events::{Event, EventType};
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_crd::workload_scan::Container;

/// Pods of one list request: a few MiB.
const PAGE: u32 = 500;
/// Attempts to write a record that a controller writes, too.
const MAX_ATTEMPTS: u32 = 6;

/// Looks again at Pods whose node had not reported their images.
const RETRY_PAUSE: Duration = Duration::from_secs(10);
/// Looks at most: an hour, in which the slowest image is pulled.
const MAX_RETRIES: u32 = 360;

/// What was retained, and what was not.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// UIDs of workloads that are retained.
    pub(super) workloads: BTreeSet<String>,
    /// Workloads with a Pod that is not, by UID, and why.
    pub(super) not_retained: BTreeMap<String, (WorkloadRef, Unretained)>,
    /// Pods whose node has not reported their images yet.
    waiting: Vec<PodKey>,
}

/// A Pod, which another one of its name is not.
#[derive(Debug)]
struct PodKey {
    namespace: String,
    name: String,
    uid: Option<String>,
}

/// Why a running Pod cannot be retained: some image of it cannot be named by the digest that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unretained {
    /// The node has not reported an image of this container yet.
    Waiting(String),
    /// The node reports no digest of a repository, as of images that were loaded into it: container and image.
    NoDigest(String, String),
    /// No status reports what an image volume mounts: its name and image.
    FloatingVolume(String, String),
}

impl fmt::Display for Unretained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(container) => write!(f, "the node has not reported the image of container {container} yet"),
            Self::NoDigest(container, image) => write!(
                f,
                "the node reports no registry's digest for {image} of container {container}, as of an image that was loaded \
                 into it: push it to a registry"
            ),
            Self::FloatingVolume(volume, image) => {
                write!(f, "the image {image} of volume {volume} is not named by digest: name it by digest")
            }
        }
    }
}

/// Records every running image of these namespaces as retained for its workload, and says what it cannot retain.
pub(super) async fn retain(ctx: &ServerContext, concerns: &(dyn Fn(&str) -> bool + Sync)) -> Result<Retention> {
    let api: Api<Pod> = Api::all(ctx.client.clone());
    let mut parameters = ListParams::default().limit(PAGE);
    let (mut all, mut namespaces) = (Retention::default(), BTreeSet::new());
    loop {
        let page = api.list(&parameters).await?;
        for pod in page.items.iter().filter(|pod| concerns(&pod.namespace().unwrap_or_default())) {
            let namespace = pod.namespace().unwrap_or_default();
            match retain_pod(ctx, pod, &namespace, &mut all).await {
                Ok(()) => drop(namespaces.insert(namespace)),
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
    for (workload, why) in all.not_retained.values() {
        report(ctx, workload, why).await;
    }
    Ok(all)
}

/// Says that a workload runs and is not retained.
async fn report(ctx: &ServerContext, workload: &WorkloadRef, why: &Unretained) {
    let note = format!("it runs and is not retained, so that its next Pod waits for a scan: {why}");
    tracing::warn!("{} in {}: {note}", workload.label(), workload.namespace);
    let event = Event {
        type_: EventType::Warning,
        reason: "NotRetained".to_owned(),
        note: Some(events::note(&note)),
        action: "ImageGate".to_owned(),
        secondary: None,
    };
    if let Err(e) = ctx.recorder.publish(&event, &workload.object_reference()).await {
        tracing::warn!("an Event was not written: {e}");
    }
}

/// Retains Pods once their node reports their images: they ran before anything was enforced, and their images cannot have
/// changed since.
pub(super) async fn follow(ctx: Arc<ServerContext>, retention: Retention) {
    let mut waiting = retention.waiting;
    for _ in 0..MAX_RETRIES {
        if waiting.is_empty() {
            return;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        let mut still = Vec::new();
        for key in waiting {
            match retain_later(&ctx, &key).await {
                Ok(true) => {}
                Ok(false) => still.push(key),
                Err(error) => {
                    tracing::warn!("pod {}/{} is not retained yet: {error}", key.namespace, key.name);
                    still.push(key);
                }
            }
        }
        waiting = still;
    }
}

/// Whether nothing more is to be done for a Pod.
async fn retain_later(ctx: &ServerContext, key: &PodKey) -> Result<bool, ReconcileError> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let Some(pod) = api.get_opt(&key.name).await?.filter(|pod| pod.uid() == key.uid) else { return Ok(true) };
    let mut found = Retention::default();
    retain_pod(ctx, &pod, &key.namespace, &mut found).await?;
    if !found.waiting.is_empty() {
        return Ok(false);
    }
    for (workload, why) in found.not_retained.values() {
        report(ctx, workload, why).await;
    }
    if !found.workloads.is_empty() {
        allowlist::update(ctx, &key.namespace).await?;
        tracing::info!("pod {}/{} is retained", key.namespace, key.name);
    }
    Ok(true)
}

/// Records one Pod, when every image of it can be named by digest.
async fn retain_pod(
    ctx: &ServerContext,
    pod: &Pod,
    namespace: &str,
    all: &mut Retention,
) -> Result<(), ReconcileError> {
    // It does not run, whatever its images are named by.
    if is_gated(pod) {
        return Ok(());
    }
    let owner = ctx.index.pod_owner(pod, namespace);
    let containers = match running_containers(pod) {
        Ok(containers) => containers,
        Err(_) if is_finished(pod) => return Ok(()),
        Err(why) => {
            if let Unretained::Waiting(_) = why {
                let (namespace, name) = (namespace.to_owned(), pod.name_any());
                all.waiting.push(PodKey { namespace, name, uid: pod.uid() });
            }
            if let PodOwner::Template { workload, .. } | PodOwner::Other(workload) = owner {
                all.not_retained.insert(workload.uid.clone(), (workload, why));
            }
            return Ok(());
        }
    };
    let (workload, hash) = match owner {
        PodOwner::Template { workload, template } => (workload, template),
        PodOwner::Other(workload) => {
            let images = containers.iter().map(|(name, container)| (name.clone(), container.image.clone()));
            (workload, images::images_hash(&images.collect()))
        }
        PodOwner::Unknown => return Ok(()),
    };
    all.workloads.insert(workload.uid.clone());
    for _ in 1..MAX_ATTEMPTS {
        match record_retained(ctx, workload.clone(), &hash, &containers).await {
            Err(error) if error.is_conflict() => {}
            other => return other,
        }
    }
    record_retained(ctx, workload, &hash, &containers).await
}

/// Whether a Pod ran to its end: nothing of it runs any more.
fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

async fn record_retained(
    ctx: &ServerContext,
    workload: WorkloadRef,
    hash: &str,
    containers: &BTreeMap<String, Container>,
) -> Result<(), ReconcileError> {
    let mut record = WorkloadRecord::open(ctx, workload).await?;
    record::retain(&mut record.draft, &record.workload, hash, containers, Timestamp::now());
    record.save(ctx).await
}

/// The containers of a Pod, pinned to the digests that run.
fn running_containers(pod: &Pod) -> Result<BTreeMap<String, Container>, Unretained> {
    let reported = reported_images(pod);
    let images = pod.spec.as_ref().map(images::of).unwrap_or_default();
    images.into_iter().map(|(name, image)| running_container(&reported, name, image)).collect()
}

fn running_container(
    reported: &BTreeMap<String, String>,
    name: String,
    image: String,
) -> Result<(String, Container), Unretained> {
    let unnamed = || match (name.strip_prefix(images::VOLUME), reported.contains_key(&name)) {
        (Some(volume), _) => Unretained::FloatingVolume(volume.to_owned(), image.clone()),
        (None, true) => Unretained::NoDigest(name.clone(), image.clone()),
        (None, false) => Unretained::Waiting(name.clone()),
    };
    // No status reports the digest of an image volume: only its reference can name it.
    let digest = reported.get(&name).and_then(|id| images::digest(id)).or_else(|| images::digest(&image));
    let pinned = digest.and_then(|digest| pin(&image, digest)).ok_or_else(unnamed)?;
    Ok((name, Container { image, pinned: Some(pinned), scan: None }))
}

/// Container → image, as the node reports it (`repository@sha256:…`); those that are not reported yet are left out.
fn reported_images(pod: &Pod) -> BTreeMap<String, String> {
    let Some(status) = &pod.status else { return BTreeMap::new() };
    let all = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    all.filter(|c| !c.image_id.is_empty()).map(|c| (c.name.clone(), c.image_id.clone())).collect()
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
            let found = running_containers(&serde_json::from_value(pod).unwrap()).ok();
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

    #[test]
    fn what_cannot_be_retained_has_a_cause() {
        let check = |image: &str, volume: Option<&str>, reported: Option<&str>, expected: Result<(), Unretained>| {
            let mut spec = json!({"containers": [{"name": "c", "image": image}]});
            if let Some(volume) = volume {
                spec["volumes"] = json!([{"name": "v", "image": {"reference": volume}}]);
            }
            let status = |id: &str| json!({"name": "c", "image": "", "imageID": id, "ready": true, "restartCount": 0});
            let statuses: Vec<Value> = reported.iter().map(|id| status(id)).collect();
            let pod = json!({"spec": spec, "status": {"containerStatuses": statuses}});
            let found = running_containers(&serde_json::from_value(pod).unwrap()).map(drop);
            assert_eq!(found, expected, "{image} {volume:?} {reported:?}");
        };
        let c = || "c".to_owned();
        let tag = "r.example/x:1";
        let runs = pinned("r.example/x", 1);
        check(tag, None, Some(&runs), Ok(()));
        check(tag, None, Some(&format!("docker-pullable://{runs}")), Ok(()));
        check(tag, None, None, Err(Unretained::Waiting(c())));
        check(tag, None, Some(""), Err(Unretained::Waiting(c())));
        // Loaded into the node: an image's id is no digest of a registry.
        check(tag, None, Some(&digest(1)), Err(Unretained::NoDigest(c(), tag.to_owned())));
        // The template names it.
        check(&pinned(tag, 2), None, None, Ok(()));
        check(&pinned(tag, 2), None, Some(&digest(1)), Ok(()));
        let floating = Unretained::FloatingVolume("v".to_owned(), "r.example/v:1".to_owned());
        check(tag, Some("r.example/v:1"), Some(&runs), Err(floating));
    }
}
