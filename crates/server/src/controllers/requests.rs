//! Requesting scans: an ImageScan is created, or asked to scan again.

use crate::context::ServerContext;
use crate::decide::evaluation::{RequestedScan, lacks_credentials, requested_scan, scanned_image};
use crate::decide::image_scan::{self as decide_scan, is_pending};
use crate::decide::images;
use crate::error::ReconcileError;
use crate::scan::pull_secrets;
use crate::{index, patches};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{self, ImageScanSpec};
use tidewaiter_crd::workload_scan::{Container, Decision, Revision, ScanRef};

/// Requests the scans that a revision lacks: none was requested, it was deleted, or other pull secrets may now open the
/// registry.
pub(super) async fn request_scans(
    ctx: &ServerContext,
    namespace: &str,
    revision: &mut Revision,
    spec: &PodSpec,
    age: WorkloadAge,
) -> Result<(), ReconcileError> {
    let known = ctx.index.known_scans(namespace, revision);
    let secrets = pull_secrets::names(&ctx.index.service_accounts, namespace, spec);
    let decision = revision.decision;
    for container in revision.containers.values_mut() {
        let image = scanned_image(container, decision, &known);
        // An approval needs no new scan as long as its tag is current: the ImageScan itself follows the database.
        if decision == Decision::Approved && image == container.image {
            continue;
        }
        let scan = known.get(&image);
        let wants_others = scan.is_some_and(|scan| lacks_credentials(scan) && !has_secrets(scan, &secrets));
        if !wants_others && is_requested(ctx, namespace, &image, container, scan).await? {
            continue;
        }
        container.scan = Some(request(ctx, namespace, &image, &secrets, age).await?);
    }
    Ok(())
}

/// Whether a workload was seen before, which decides how old the digest of a tag may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkloadAge {
    /// It has no other revision.
    New,
    /// Its rollout may be meant to fetch what was pushed just now.
    Known,
}

/// Whether the requested scan still exists; asks the API server where the index shows none.
async fn is_requested(
    ctx: &ServerContext,
    namespace: &str,
    image: &str,
    container: &Container,
    known: Option<&ImageScan>,
) -> Result<bool, ReconcileError> {
    match requested_scan(container, known) {
        RequestedScan::Present => Ok(true),
        RequestedScan::Absent => Ok(false),
        RequestedScan::Unseen => {
            let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), namespace);
            let found = api.get_opt(&image_scan::name(image)).await?.filter(|found| found.spec.image == image);
            Ok(requested_scan(container, found.as_ref()) == RequestedScan::Present)
        }
    }
}

fn has_secrets(scan: &ImageScan, secrets: &[String]) -> bool {
    secrets.iter().all(|name| scan.spec.pull_secrets.contains(name))
}

/// Requests a scan of an image; returns the run whose result counts: one that answers for this workload, if there is one.
async fn request(
    ctx: &ServerContext,
    namespace: &str,
    image: &str,
    secrets: &[String],
    age: WorkloadAge,
) -> Result<ScanRef, ReconcileError> {
    let requested = match ctx.index.image_scan(namespace, image) {
        Some(known) if answers(ctx, &known, secrets, age) => (*known).clone(),
        Some(known) => match rescan(ctx, namespace, &known, secrets).await {
            // It was deleted a moment ago.
            Err(error) if error.is_gone() => create(ctx, namespace, image, secrets).await?,
            requested => requested?,
        },
        None => create(ctx, namespace, image, secrets).await?,
    };
    let generation = requested.metadata.generation.unwrap_or_default();
    Ok(ScanRef { uid: requested.uid().unwrap_or_default(), generation })
}

/// Whether the requested run of an ImageScan answers for a workload that needs one now: it resolves the tag later than now,
/// or did it so recently that a new workload may use it, or there is no tag.
fn answers(ctx: &ServerContext, scan: &ImageScan, secrets: &[String], age: WorkloadAge) -> bool {
    // One without `rescan` is nobody's who waits: it would not be urgent.
    if scan.spec.rescan.is_none() || !has_secrets(scan, secrets) {
        return false;
    }
    let (uid, generation) = (scan.uid().unwrap_or_default(), scan.metadata.generation.unwrap_or_default());
    if is_pending(scan) && !ctx.runs.has_begun(&uid, generation) {
        return true;
    }
    let fresh =
        images::digest(&scan.spec.image).is_some() || age == WorkloadAge::New && ctx.runs.is_recent(&uid, generation);
    let ended = scan.status.as_ref().is_some_and(|status| status.is_final(generation));
    fresh && (!ended || is_valid(ctx, scan))
}

/// Whether an ImageScan has a result by the database as it is, for all nodes.
fn is_valid(ctx: &ServerContext, scan: &ImageScan) -> bool {
    let platforms = decide_scan::platforms(scan, &ctx.index.platforms());
    let database = ctx.database.state();
    let current = database.id().is_some_and(|id| decide_scan::is_current(scan, &platforms, id, Timestamp::now()));
    current && scan.status.as_ref().is_some_and(|status| !decide_scan::has_failed(status))
}

/// Asks for another run of an ImageScan. Another object of this name is a conflict.
async fn rescan(
    ctx: &ServerContext,
    namespace: &str,
    known: &ImageScan,
    secrets: &[String],
) -> Result<ImageScan, ReconcileError> {
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), namespace);
    let all = pull_secrets::joined(known.spec.pull_secrets.iter().chain(secrets));
    let patch = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": known.uid()}),
        json!({"op": "add", "path": "/spec/rescan", "value": Timestamp::now().to_string()}),
        json!({"op": "add", "path": "/spec/pullSecrets", "value": all}),
    ];
    let written = patches::object(&api, &known.name_any(), patch).await?;
    index::settled(&ctx.index.images, &written).await;
    Ok(written)
}

/// Creates the ImageScan of an image that the index shows none of.
async fn create(
    ctx: &ServerContext,
    namespace: &str,
    image: &str,
    secrets: &[String],
) -> Result<ImageScan, ReconcileError> {
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), namespace);
    let new = new_scan(image, secrets, Some(Timestamp::now().to_string()));
    let created = match api.create(&PostParams::default(), &new).await.map_err(ReconcileError::from) {
        Err(error) if error.is_conflict() => {
            let name = new.name_any();
            match api.get_opt(&name).await? {
                // A user's ImageScan of another image under this name.
                Some(other) if other.spec.image != image => {
                    api.delete(&name, &DeleteParams::default()).await?;
                    api.create(&PostParams::default(), &new).await?
                }
                // The watch is behind.
                Some(known) => rescan(ctx, namespace, &known, secrets).await?,
                None => return Err(error),
            }
        }
        created => created?,
    };
    index::settled(&ctx.index.images, &created).await;
    Ok(created)
}

/// Creates an ImageScan for every image that runs without a decision, until the process ends.
pub(super) async fn follow_unheld(ctx: Arc<ServerContext>) {
    loop {
        for namespace in ctx.queues.unheld.due().await {
            // Its mode may have changed since.
            if ctx.in_scope(&namespace)
                && !ctx.enforced(&namespace)
                && let Err(error) = scan_unheld(&ctx, &namespace).await
            {
                tracing::warn!("what runs in {namespace} is not scanned: {error}");
            }
        }
    }
}

/// Requests scans of the images of a namespace's Pods that have none, with the pull secrets of those Pods.
async fn scan_unheld(ctx: &ServerContext, namespace: &str) -> Result<(), ReconcileError> {
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace);
    // From the API server's cache: reviews decide how often this is asked.
    let pods = pods.list(&ListParams::default().match_any()).await?;
    let scans: Api<ImageScan> = Api::namespaced(ctx.client.clone(), namespace);
    for (image, secrets) in secrets_of_images(pods.iter().filter_map(|pod| pod.spec.as_ref())) {
        if ctx.index.image_scan(namespace, &image).is_some() {
            continue;
        }
        let created = scans.create(&PostParams::default(), &new_scan(&image, &secrets, None)).await;
        match created.map_err(ReconcileError::from) {
            Ok(_) => {}
            // It exists already, or its namespace is being deleted.
            Err(error) if error.is_conflict() || error.is_gone() => {}
            Err(error) => tracing::warn!("{image} in {namespace} is not scanned: {error}"),
        }
    }
    Ok(())
}

/// Image → the pull secrets of all Pods that run it, in their order; the API server adds those of their ServiceAccounts to
/// Pods.
fn secrets_of_images<'a>(specs: impl IntoIterator<Item = &'a PodSpec>) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for spec in specs {
        let secrets = pull_secrets::in_order(spec.image_pull_secrets.as_deref().unwrap_or_default());
        for image in images::of(spec).into_values().filter(|image| !image.is_empty()) {
            let known = all.entry(image).or_default();
            *known = pull_secrets::joined(known.iter().chain(&secrets));
        }
    }
    all
}

fn new_scan(image: &str, secrets: &[String], rescan: Option<String>) -> ImageScan {
    let spec = ImageScanSpec { image: image.to_owned(), platforms: Vec::new(), pull_secrets: secrets.to_vec(), rescan };
    ImageScan::new(&image_scan::name(image), spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_scanned_with_the_pull_secrets_of_the_pods_that_run_it() {
        let check = |pods: &[(&str, &[&str])], expected: &[(&str, &[&str])]| {
            let spec = |(image, secrets): &(&str, &[&str])| {
                let secrets: Vec<_> = secrets.iter().map(|name| json!({"name": name})).collect();
                let containers = json!([{"name": "c", "image": image}]);
                serde_json::from_value(json!({"containers": containers, "imagePullSecrets": secrets})).unwrap()
            };
            let specs: Vec<PodSpec> = pods.iter().map(spec).collect();
            let found = secrets_of_images(&specs);
            let found: Vec<(&str, Vec<&str>)> =
                found.iter().map(|(image, all)| (image.as_str(), all.iter().map(String::as_str).collect())).collect();
            let expected: Vec<(&str, Vec<&str>)> = expected.iter().map(|(image, all)| (*image, all.to_vec())).collect();
            assert_eq!(found, expected, "{pods:?}");
        };
        check(&[], &[]);
        check(&[("a", &[])], &[("a", &[])]);
        check(&[("a", &["x", ""]), ("b", &["y"])], &[("a", &["x"]), ("b", &["y"])]);
        check(&[("a", &["y"]), ("a", &["x", "y"])], &[("a", &["y", "x"])]);
        check(&[("", &["x"])], &[]);
    }
}
