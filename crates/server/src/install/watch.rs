//! Watches the server's own registrations: what is deleted or changed is applied again at once, not within a minute.

use super::{APPLY_PAUSE, gate, manifests};
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
    let client = || ctx.client.clone();
    watch(ctx, Api::<MutatingWebhookConfiguration>::all(client()), "MutatingWebhookConfiguration", WEBHOOKS);
    for name in manifests::POLICIES {
        watch(ctx, Api::<ValidatingAdmissionPolicy>::all(client()), "ValidatingAdmissionPolicy", name);
        watch(ctx, Api::<ValidatingAdmissionPolicyBinding>::all(client()), "ValidatingAdmissionPolicyBinding", name);
    }
    tokio::spawn(start_gate(Arc::clone(ctx)));
}

/// Starts the watches of the gate in the API server, once that has it: a watch of what is not served fails without end.
async fn start_gate(ctx: Arc<ServerContext>) {
    while !gate::is_served(&ctx.client).await.unwrap_or_default() {
        tokio::time::sleep(APPLY_PAUSE).await;
    }
    for kind in gate::KINDS {
        for name in gate::GATES {
            watch(&ctx, gate::api(&ctx.client, kind), kind.0, name);
        }
    }
}

/// By name: the server may read no others.
fn watch<K>(ctx: &Arc<ServerContext>, api: Api<K>, kind: &'static str, name: &'static str)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let ctx = Arc::clone(ctx);
    tokio::spawn(async move {
        let mut events = Box::pin(watcher(api, config).default_backoff());
        // What the first list shows was applied just before it.
        let mut expected = false;
        let mut first = true;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::InitDone) if std::mem::take(&mut first) && expected => {}
                // Also the server's own changes, of which nothing differs then.
                Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) => ctx.queues.policies.add(()),
                Ok(Event::Init) => {}
                Ok(Event::InitApply(_)) => expected = true,
                Err(error) => tracing::warn!("watching {kind} {name} fails (see deploy/rbac.yaml): {error}"),
            }
        }
    });
}
