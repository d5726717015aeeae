//! What the server registers in the cluster itself, once it knows what runs there.
//!
//! ```text
//! retained inventory of namespaces that become enforced → webhooks → policies → bindings → in force
//! ```
//!
//! Everything is applied again whenever policies change and every minute, so that what somebody deleted comes back.

pub(crate) mod certificate;
pub(crate) mod inventory;
mod manifests;
pub(crate) mod nudge;
pub(crate) mod uninstall;

use crate::allowlist;
use crate::context::Context;
use crate::policy;
use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::ImageScanSpec;
use tidewaiter_crd::names::{FIELD_MANAGER, NAMESPACE};

/// Name of the webhook configuration.
pub(crate) const WEBHOOKS: &str = "tidewaiter";
/// How often everything is applied again.
const AGAIN: Duration = Duration::from_secs(60);
/// Policies are in force within a second or two; on a busy API server within some more.
const IN_FORCE_LOOKS: u32 = 300;
const IN_FORCE_PAUSE: Duration = Duration::from_millis(100);

/// Registers everything and waits until it is in force.
pub(crate) async fn install(ctx: &Context, ca_pem: &str) -> Result<()> {
    apply(ctx, ca_pem).await?;
    in_force(ctx).await
}

/// The API server takes up policies in its own time. The one that was bound last is asked, by a request that changes
/// nothing.
async fn in_force(ctx: &Context) -> Result<()> {
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), NAMESPACE);
    let spec = ImageScanSpec { image: "none".to_owned(), platforms: vec![], pull_secrets: vec![], rescan: None };
    let probe = ImageScan::new("in-force", spec);
    let dry = PostParams { dry_run: true, field_manager: None };
    for _ in 0..IN_FORCE_LOOKS {
        match api.create(&dry, &probe).await {
            Err(kube::Error::Api(status)) if status.message.contains(manifests::IN_FORCE) => return Ok(()),
            Err(error) => return Err(error).context("asking whether the admission policies are in force"),
            Ok(_) => tokio::time::sleep(IN_FORCE_PAUSE).await,
        }
    }
    bail!("the API server does not enforce the admission policies; see: kubectl describe validatingadmissionpolicies")
}

/// Keeps everything registered, for ever.
pub(crate) async fn keep(ctx: Arc<Context>, ca_pem: String) {
    loop {
        let _ = tokio::time::timeout(AGAIN, ctx.queues.policies.next()).await;
        if let Err(error) = apply(&ctx, &ca_pem).await {
            tracing::error!("registering webhooks and policies: {error:#}");
        }
        allowlist::refresh(&ctx);
    }
}

async fn apply(ctx: &Context, ca_pem: &str) -> Result<()> {
    retain(ctx).await?;
    put::<MutatingWebhookConfiguration>(ctx, manifests::webhooks(&ctx.settings, ca_pem)).await?;
    for policy in manifests::policies()? {
        put::<ValidatingAdmissionPolicy>(ctx, policy).await?;
    }
    for binding in manifests::bindings(&ctx.index.policies.state(), &ctx.settings.excluded) {
        put::<ValidatingAdmissionPolicyBinding>(ctx, binding).await?;
    }
    Ok(())
}

/// What runs in namespaces that are not enforced yet, and are about to be, goes on running.
async fn retain(ctx: &Context) -> Result<()> {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(ctx.client.clone());
    let bound = bindings.get_opt(manifests::SHAPE).await.context("reading the bindings (see deploy/rbac.yaml)")?;
    let before = bound.as_ref().and_then(manifests::bound);
    let after = policy::selection(&ctx.index.policies.state(), &ctx.settings.excluded);
    if before.as_ref() == Some(&after) {
        return Ok(());
    }
    let new = |namespace: &str| after.holds(namespace) && !before.as_ref().is_some_and(|b| b.holds(namespace));
    let kept = inventory::retain(ctx, &new).await.context("recording what runs already")?;
    tracing::info!(workloads = kept, "what runs in newly enforced namespaces is retained");
    Ok(())
}

async fn put<K>(ctx: &Context, object: Value) -> Result<()>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Debug,
{
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let api: Api<K> = Api::all(ctx.client.clone());
    let applied = api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&object)).await;
    applied.with_context(|| format!("applying {} {name} (see deploy/rbac.yaml)", K::kind(&())))?;
    Ok(())
}
