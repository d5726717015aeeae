//! Asking for a scan: an ImageScan is made, or told to run again.

use super::Error;
use crate::context::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PodSpec, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use std::collections::BTreeSet;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{self, ImageScanSpec};
use tidewaiter_crd::workload_scan::ScanRef;

/// Asks for a scan of an image string; the answer names the run whose result counts.
pub(super) async fn scan(ctx: &Context, namespace: &str, image: &str, secrets: &[String]) -> Result<ScanRef, Error> {
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), namespace);
    let name = image_scan::name(image);
    let rescan = Some(Timestamp::now().to_string());
    let asked = match api.get_opt(&name).await? {
        Some(known) => {
            let all: BTreeSet<&String> = known.spec.pull_secrets.iter().chain(secrets).collect();
            let patch = json!({"spec": {"rescan": rescan, "pullSecrets": all}});
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?
        }
        None => {
            let spec = ImageScanSpec {
                image: image.to_owned(),
                platforms: Vec::new(),
                pull_secrets: secrets.to_vec(),
                rescan,
            };
            api.create(&PostParams::default(), &ImageScan::new(&name, spec)).await?
        }
    };
    Ok(ScanRef { uid: asked.uid().unwrap_or_default(), generation: asked.metadata.generation.unwrap_or_default() })
}

/// Names of the pull secrets a Pod would use: its own and its ServiceAccount's.
pub(super) async fn pull_secrets(ctx: &Context, namespace: &str, spec: &PodSpec) -> Result<Vec<String>, Error> {
    let account = spec.service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("default");
    let api: Api<ServiceAccount> = Api::namespaced(ctx.client.clone(), namespace);
    let of_account = api.get_opt(account).await?.and_then(|a| a.image_pull_secrets).unwrap_or_default();
    let own = spec.image_pull_secrets.clone().unwrap_or_default();
    let names: BTreeSet<String> = own.into_iter().chain(of_account).map(|secret| secret.name).collect();
    Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
}
