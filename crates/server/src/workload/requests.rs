//! Asking for a scan: an ImageScan is made, or told to run again.

use super::Error;
use crate::context::Context;
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{self, ImageScanSpec};
use tidewaiter_crd::workload_scan::ScanRef;

/// Asks for a scan of an image string; the answer names the run whose result counts.
pub(super) async fn scan(ctx: &Context, namespace: &str, image: &str, secrets: &[String]) -> Result<ScanRef, Error> {
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), namespace);
    let name = image_scan::name(image);
    let rescan = Some(Timestamp::now().to_string());
    let asked = match api.get_opt(&name).await? {
        // Somebody took the name for another image.
        Some(other) if other.spec.image != image => {
            api.delete(&name, &DeleteParams::default()).await?;
            api.create(&PostParams::default(), &new(image, secrets, rescan)).await?
        }
        Some(known) => {
            let all: BTreeSet<&String> = known.spec.pull_secrets.iter().chain(secrets).collect();
            let patch = json!({"spec": {"rescan": rescan, "pullSecrets": all}});
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?
        }
        None => api.create(&PostParams::default(), &new(image, secrets, rescan)).await?,
    };
    Ok(ScanRef { uid: asked.uid().unwrap_or_default(), generation: asked.metadata.generation.unwrap_or_default() })
}

/// Makes an ImageScan for every image that runs although nobody decides about it, where there is none; for ever.
pub(crate) async fn follow_unheld(ctx: Arc<Context>) {
    while let Some(wanted) = ctx.queues.unheld.next().await {
        let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), &wanted.namespace);
        let made = api.create(&PostParams::default(), &new(&wanted.image, &wanted.pull_secrets, None)).await;
        match made.map_err(Error) {
            Ok(_) => {}
            // It is there already, or its namespace goes.
            Err(error) if error.is_conflict() || error.is_gone() => {}
            Err(error) => tracing::warn!("{} in {} is not scanned: {error}", wanted.image, wanted.namespace),
        }
    }
}

fn new(image: &str, secrets: &[String], rescan: Option<String>) -> ImageScan {
    let spec = ImageScanSpec { image: image.to_owned(), platforms: Vec::new(), pull_secrets: secrets.to_vec(), rescan };
    ImageScan::new(&image_scan::name(image), spec)
}
