//! Watches the server's own registrations: what is deleted or changed is applied again at once, not within a minute.

use super::manifests;
use crate::context::ServerContext;
use futures::StreamExt as _;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use tidewaiter_crd::names::WEBHOOKS;

/// Starts a watch for each registration, until the process ends.
pub(super) fn start(ctx: &Arc<ServerContext>) {
    watch::<MutatingWebhookConfiguration>(ctx, WEBHOOKS);
    for name in manifests::POLICIES {
        watch::<ValidatingAdmissionPolicy>(ctx, name);
        watch::<ValidatingAdmissionPolicyBinding>(ctx, name);
    }
}

/// By name: the server may read no others.
fn watch<K>(ctx: &Arc<ServerContext>, name: &'static str)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = Box::pin(watcher(Api::<K>::all(ctx.client.clone()), config).default_backoff());
    let ctx = Arc::clone(ctx);
    tokio::spawn(async move {
        // What the first list shows was applied just before it.
        let mut expected = false;
        let mut first = true;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::InitDone) if std::mem::take(&mut first) && expected => {}
                // Also the server's own changes; applying them once more changes nothing.
                Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) => ctx.queues.policies.add(()),
                Ok(Event::Init) => {}
                Ok(Event::InitApply(_)) => expected = true,
                Err(error) => tracing::warn!("watching {} {name} fails (see deploy/rbac.yaml): {error}", K::kind(&())),
            }
        }
    });
}
