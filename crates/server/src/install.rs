//! What the server registers in the cluster itself, once it knows what runs there.
//!
//! ```text
//! retained inventory (first start only) → webhooks → policies → bindings
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
use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_crd::names::FIELD_MANAGER;

/// Name of the webhook configuration.
pub(crate) const WEBHOOKS: &str = "tidewaiter";
/// How often everything is applied again.
const AGAIN: Duration = Duration::from_secs(60);

/// Registers everything; on the first start of all, what runs already is recorded as retained before.
pub(crate) async fn install(ctx: &Context, ca_pem: &str) -> Result<()> {
    let webhooks: Api<MutatingWebhookConfiguration> = Api::all(ctx.client.clone());
    let known = webhooks.get_opt(WEBHOOKS).await.context("reading the webhook configuration (see deploy/rbac.yaml)")?;
    if known.is_none() {
        let kept = inventory::retain(ctx).await.context("recording what runs already")?;
        tracing::info!(workloads = kept, "first start: what runs already is retained");
    }
    apply(ctx, ca_pem).await
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
    put::<MutatingWebhookConfiguration>(ctx, manifests::webhooks(&ctx.settings, ca_pem)).await?;
    for policy in manifests::policies()? {
        put::<ValidatingAdmissionPolicy>(ctx, policy).await?;
    }
    for binding in manifests::bindings(&ctx.index.policies.state(), &ctx.settings.excluded) {
        put::<ValidatingAdmissionPolicyBinding>(ctx, binding).await?;
    }
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
