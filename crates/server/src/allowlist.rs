//! The ImageAllowlist of each namespace: what the API server lets run while the server is away.

use crate::admission::images;
use crate::context::Context;
use crate::workload::Error;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewaiter_crd::allowlist::ImageAllowlistSpec;
use tidewaiter_crd::names::{ALLOWLIST, FIELD_MANAGER};
use tidewaiter_crd::workload_scan::Decision;
use tidewaiter_crd::{ImageAllowlist, WorkloadScan};

/// An object in etcd has bounds, and so has the API server's patience.
const MAX_ENTRIES: usize = 2000;

/// Keeps one namespace's list up to date.
pub(crate) async fn reconcile(namespace: Arc<Namespace>, ctx: Arc<Context>) -> Result<Action, Error> {
    let name = namespace.name_any();
    let ending = namespace.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Terminating"));
    if !ctx.in_scope(&name) || ending || namespace.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    match update(&ctx, &name).await {
        Err(error) if error.is_gone() => Ok(Action::await_change()),
        other => other.map(|()| Action::await_change()),
    }
}

/// Writes what follows from the recorded decisions.
pub(crate) async fn update(ctx: &Context, namespace: &str) -> Result<(), Error> {
    // One at a time, from looking to writing: an older look must not overwrite a newer one.
    let _turn = ctx.lists.turn.lock().await;
    let here = ctx.index.workloads.state_filter(|w| w.namespace().as_deref() == Some(namespace));
    let spec = spec(&here);
    if spec.digests.len() > MAX_ENTRIES {
        tracing::error!("namespace {namespace} runs more than {MAX_ENTRIES} images; the list is cut");
    }
    let known = ctx.lists.get(namespace);
    if known.as_ref() == Some(&spec) {
        return Ok(());
    }
    let api: Api<ImageAllowlist> = Api::namespaced(ctx.client.clone(), namespace);
    let list = ImageAllowlist::new(ALLOWLIST, spec.clone());
    api.patch(ALLOWLIST, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&list)).await?;
    ctx.lists.set(namespace, spec);
    Ok(())
}

/// Digests of all decisions that let something run, and image strings where all of them agree.
fn spec(workloads: &[Arc<WorkloadScan>]) -> ImageAllowlistSpec {
    let mut digests: BTreeMap<String, String> = BTreeMap::new();
    let mut images: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for revision in workloads.iter().filter_map(|w| w.status.as_ref()).flat_map(|s| s.revisions.values()) {
        let why = match revision.decision {
            Decision::Held => continue,
            Decision::Approved => "approved",
            Decision::Retained => "retained",
        };
        for container in revision.containers.values() {
            let Some((pinned, digest)) = container.pinned.as_ref().and_then(|p| Some((p, images::digest(p)?))) else {
                continue;
            };
            // What is approved for one workload may run for it, whatever another one's is.
            let entry = digests.entry(digest.to_owned()).or_insert_with(|| why.to_owned());
            if why == "approved" {
                why.clone_into(entry);
            }
            images.entry(container.image.clone()).or_default().insert(pinned.clone());
        }
    }
    let one = |(image, pins): (String, BTreeSet<String>)| {
        (pins.len() == 1).then(|| pins.into_iter().next().map(|p| (image, p)))?
    };
    ImageAllowlistSpec {
        digests: digests.into_iter().take(MAX_ENTRIES).collect(),
        images: images.into_iter().filter_map(one).take(MAX_ENTRIES).collect(),
    }
}

/// What was written last, by namespace. Lost with the process: then everything is written once more.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    turn: tokio::sync::Mutex<()>,
    written: std::sync::Mutex<BTreeMap<String, ImageAllowlistSpec>>,
}

impl Lists {
    fn get(&self, namespace: &str) -> Option<ImageAllowlistSpec> {
        self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(namespace).cloned()
    }

    fn set(&self, namespace: &str, spec: ImageAllowlistSpec) {
        self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(namespace.to_owned(), spec);
    }

    /// Forgets everything, so that what others deleted is written again.
    pub(crate) fn clear(&self) {
        self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }
}

/// Has every namespace's list looked at again.
pub(crate) fn refresh(ctx: &Context) {
    ctx.lists.clear();
    ctx.index.namespaces.state().iter().for_each(|n| ctx.queues.namespaces.add(ObjectRef::from_obj(&**n)));
}
