//! Pull secrets: read one by one with `get`, for the namespace they are in and no other.

use crate::context::Context;
use crate::worker::{Failure, PullSecret};
use k8s_openapi::api::core::v1::{PodSpec, Secret, ServiceAccount};
use kube::{Api, ResourceExt as _};
use std::collections::BTreeSet;
use tidewaiter_core::Reason;
use tidewaiter_crd::ImageScan;

/// Names of the pull secrets a Pod would use: its own and its ServiceAccount's.
///
/// # Errors
/// When the ServiceAccount cannot be read.
pub(crate) async fn names(ctx: &Context, namespace: &str, spec: &PodSpec) -> Result<Vec<String>, kube::Error> {
    let account = spec.service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("default");
    let api: Api<ServiceAccount> = Api::namespaced(ctx.client.clone(), namespace);
    let of_account = api.get_opt(account).await?.and_then(|a| a.image_pull_secrets).unwrap_or_default();
    let own = spec.image_pull_secrets.clone().unwrap_or_default();
    let names: BTreeSet<String> = own.into_iter().chain(of_account).map(|secret| secret.name).collect();
    Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
}

/// The secrets of a scan: those the ImageScan names, then those of the namespace's default ServiceAccount, which a Pod
/// of this image would use if nobody said otherwise. One that is missing is as if it were empty, as for a kubelet.
///
/// # Errors
/// When one cannot be read.
pub(crate) async fn of(scan: &ImageScan, ctx: &Context) -> Result<Vec<PullSecret>, Failure> {
    let namespace = scan.namespace().unwrap_or_default();
    let unreadable = |what: &str, e: kube::Error| Failure::new(Reason::PullSecretUnreadable, format!("{what}: {e}"));
    let default = names(ctx, &namespace, &PodSpec::default()).await;
    let default = default.map_err(|e| unreadable("the default ServiceAccount", e))?;
    let more = default.iter().filter(|name| !scan.spec.pull_secrets.contains(name));
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
    let mut found = Vec::new();
    for name in scan.spec.pull_secrets.iter().chain(more) {
        let secret = api.get_opt(name).await.map_err(|e| unreadable(&format!("pull secret {name}"), e))?;
        let data = secret.and_then(|s| s.data).unwrap_or_default();
        for (key, legacy) in [(".dockerconfigjson", false), (".dockercfg", true)] {
            if let Some(document) = data.get(key).and_then(|v| String::from_utf8(v.0.clone()).ok()) {
                found.push(PullSecret { legacy, document });
            }
        }
    }
    Ok(found)
}
