//! The retained inventory: what runs before anything is enforced goes on running.

use crate::admission::images;
use crate::allowlist;
use crate::context::Context;
use crate::pods::{Belongs, belongs};
use crate::queues::Wanted;
use crate::workload::record::Record;
use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_crd::workload_scan::{Container, Decision, Revision};

/// Pods read at once.
const PAGE: u32 = 500;

/// Records every running image of these namespaces as retained for its workload; gives the number of workloads.
pub(super) async fn retain(ctx: &Context, concerns: &(dyn Fn(&str) -> bool + Sync)) -> Result<usize> {
    let api: Api<Pod> = Api::all(ctx.client.clone());
    let mut parameters = ListParams::default().limit(PAGE);
    let (mut workloads, mut namespaces) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let page = api.list(&parameters).await?;
        for pod in &page.items {
            let namespace = pod.namespace().unwrap_or_default();
            if !concerns(&namespace) {
                continue;
            }
            if let Some(workload) = retain_pod(ctx, pod, &namespace).await? {
                workloads.insert(workload);
                namespaces.insert(namespace);
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
async fn retain_pod(ctx: &Context, pod: &Pod, namespace: &str) -> Result<Option<String>> {
    let Some(spec) = &pod.spec else { return Ok(None) };
    let wanted = images::of(spec);
    let running = running(pod);
    let container = |(name, image): (&String, &String)| {
        let pinned = running.get(name).and_then(|digest| pin(image, digest))?;
        Some((name.clone(), Container { image: image.clone(), pinned: Some(pinned), scan: None }))
    };
    let Some(containers) = wanted.iter().map(container).collect::<Option<BTreeMap<_, _>>>() else { return Ok(None) };
    let (owner, hash) = match belongs(pod, namespace, ctx) {
        Belongs::Deployment { owner, hash } => (owner, hash),
        Belongs::Other(owner) => {
            scan(ctx, namespace, &containers);
            (owner, images::images_hash(&wanted))
        }
        Belongs::Unknown => return Ok(None),
    };
    let mut record = Record::open(ctx, &owner).await?;
    let revision = Revision { decision: Decision::Retained, containers };
    record.draft.revisions.entry(hash).or_insert(revision);
    record.save(ctx).await?;
    Ok(Some(owner.uid))
}

/// No controller asks for the scan of what is not held and belongs to no Deployment.
fn scan(ctx: &Context, namespace: &str, containers: &BTreeMap<String, Container>) {
    for image in containers.values().filter_map(|c| c.pinned.clone()) {
        ctx.queues.unheld.add(Wanted { namespace: namespace.to_owned(), image, pull_secrets: Vec::new() });
    }
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
