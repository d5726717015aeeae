//! The retained inventory: what runs before anything is enforced goes on running.

use crate::admission::images;
use crate::allowlist;
use crate::context::Context;
use crate::pods::{Belongs, belongs};
use crate::workload::record::Record;
use crate::workload::{Error, Owner};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_crd::workload_scan::{Container, Decision, Revision};

/// Pods read at once.
const PAGE: u32 = 500;
/// Conflicts of one record outlived.
const TRIES: u32 = 5;

/// Records every running image of these namespaces as retained for its workload; gives the number of workloads.
pub(super) async fn retain(ctx: &Context, concerns: &(dyn Fn(&str) -> bool + Sync)) -> Result<usize> {
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
                // One Pod, or its namespace, is going away: that keeps nobody else.
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

/// Records one Pod; gives the UID of its workload when it runs something that can be named by digest.
async fn retain_pod(ctx: &Context, pod: &Pod, namespace: &str) -> Result<Option<String>, Error> {
    let Some(spec) = &pod.spec else { return Ok(None) };
    let wanted = images::of(spec);
    let running = running(pod);
    let container = |(name, image): (&String, &String)| {
        // Nobody reports what an image volume holds, unless its reference says it.
        let own = || images::digest(image).and_then(|digest| digest.parse().ok());
        let pinned = running.get(name).cloned().or_else(own).and_then(|digest| pin(image, &digest))?;
        Some((name.clone(), Container { image: image.clone(), pinned: Some(pinned), scan: None }))
    };
    let Some(containers) = wanted.iter().map(container).collect::<Option<BTreeMap<_, _>>>() else { return Ok(None) };
    let (owner, hash) = match belongs(pod, namespace, ctx) {
        Belongs::Deployment { owner, hash } => (owner, hash),
        Belongs::Other(owner) => (owner, images::images_hash(&wanted)),
        Belongs::Unknown => return Ok(None),
    };
    for _ in 0..TRIES {
        match record(ctx, &owner, &hash, &containers).await {
            Err(error) if error.is_conflict() => {}
            other => return other.map(|()| Some(owner.uid)),
        }
    }
    record(ctx, &owner, &hash, &containers).await.map(|()| Some(owner.uid))
}

/// What audit knew of it was what the image string named; what counts is what runs.
async fn record(
    ctx: &Context,
    owner: &Owner,
    hash: &str,
    containers: &BTreeMap<String, Container>,
) -> Result<(), Error> {
    let mut record = Record::open(ctx, owner).await?;
    let revision = record.draft.revisions.entry(hash.to_owned()).or_insert_with(|| Revision {
        decision: Decision::Retained,
        added: Timestamp::now().to_string(),
        ..Revision::default()
    });
    if revision.decision == Decision::Retained {
        revision.containers.clone_from(containers);
    }
    if owner.kind != "Deployment" {
        record.draft.current.get_or_insert_with(|| hash.to_owned());
    }
    record.save(ctx).await
}

/// Container → digest, as the node reports it (`repository@sha256:…`).
fn running(pod: &Pod) -> BTreeMap<String, Digest> {
    let Some(status) = &pod.status else { return BTreeMap::new() };
    let all = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    let digest = |id: &str| id.rsplit_once('@')?.1.parse().ok();
    all.filter_map(|c| Some((c.name.clone(), digest(&c.image_id)?))).collect()
}

fn pin(image: &str, digest: &Digest) -> Option<String> {
    Some(image.parse::<Reference>().ok()?.pinned(digest).to_string())
}
