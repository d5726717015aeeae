//! Creates the policy of a new installation.

use super::{enforced, manifests};
use crate::context::ServerContext;
use crate::decide::first_policy::{InstallationTraces, first_policy};
use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::{ListParams, PostParams};
use kube::core::ClusterResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;
use tidewaiter_crd::names::{FIELD_MANAGER, WEBHOOKS};
use tidewaiter_crd::{ClusterScanPolicy, WorkloadScan};

/// Waits for the watch to show a created policy: half a minute.
const SEEN_ATTEMPTS: u32 = 300;
const SEEN_PAUSE: Duration = Duration::from_millis(100);

/// Creates the policy where there is no trace of an older installation. Before anything is registered: without a policy
/// everything would be enforced for a moment.
pub(crate) async fn create(ctx: &ServerContext) -> Result<()> {
    let Some(policy) = first_policy(traces(ctx).await?) else { return Ok(()) };
    let api: Api<ClusterScanPolicy> = Api::all(ctx.client.clone());
    let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
    match api.create(&params, &policy).await {
        Ok(_) => tracing::info!(
            "a new installation: created the ClusterScanPolicy default, which warns and holds nothing; see what it would \
             hold, and enforce it: kubectl scan policy enable NAMESPACE"
        ),
        // Somebody was faster, and knows what they want.
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => return Err(error).context("creating the ClusterScanPolicy default (see deploy/rbac.yaml)"),
    }
    for _ in 0..SEEN_ATTEMPTS {
        if !ctx.index.policies.state().is_empty() {
            return Ok(());
        }
        tokio::time::sleep(SEEN_PAUSE).await;
    }
    bail!("the API server does not show the ClusterScanPolicy default, which was created")
}

/// What the API server has; the watch may lag behind.
async fn traces(ctx: &ServerContext) -> Result<InstallationTraces> {
    let one = ListParams::default().limit(1);
    let policies: Api<ClusterScanPolicy> = Api::all(ctx.client.clone());
    let records: Api<WorkloadScan> = Api::all(ctx.client.clone());
    let policies = policies.list(&one).await.context("listing ClusterScanPolicies (see deploy/rbac.yaml)")?;
    let records = records.list(&one).await.context("listing WorkloadScans (see deploy/rbac.yaml)")?;
    Ok(InstallationTraces {
        policy: !policies.items.is_empty(),
        memory: enforced::remembered(&ctx.client).await?.is_some(),
        registration: is_registered(ctx).await.context("reading webhooks and policies (see deploy/rbac.yaml)")?,
        record: !records.items.is_empty(),
    })
}

async fn is_registered(ctx: &ServerContext) -> Result<bool, kube::Error> {
    if exists::<MutatingWebhookConfiguration>(ctx, WEBHOOKS).await? {
        return Ok(true);
    }
    for name in manifests::POLICIES {
        if exists::<ValidatingAdmissionPolicy>(ctx, name).await?
            || exists::<ValidatingAdmissionPolicyBinding>(ctx, name).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn exists<K>(ctx: &ServerContext, name: &str) -> Result<bool, kube::Error>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + DeserializeOwned + Debug,
{
    Ok(Api::<K>::all(ctx.client.clone()).get_opt(name).await?.is_some())
}
