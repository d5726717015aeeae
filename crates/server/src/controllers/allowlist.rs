//! Writes the ImageAllowlist of each namespace: what the API server lets run even while the server is unreachable.

use super::concerns;
use crate::context::ServerContext;
use crate::decide::allowlist::{MAX_ENTRIES, allowlist};
use crate::error::ReconcileError;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use std::sync::Arc;
use tidewaiter_crd::ImageAllowlist;
use tidewaiter_crd::names::{ALLOWLIST, FIELD_MANAGER};

/// Reconciles the list of one namespace.
pub(super) async fn reconcile(namespace: Arc<Namespace>, ctx: Arc<ServerContext>) -> Result<Action, ReconcileError> {
    let name = namespace.name_any();
    let terminating = namespace.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Terminating"));
    if concerns(&*namespace, &ctx) && ctx.in_scope(&name) && !terminating {
        update(&ctx, &name).await?;
    }
    Ok(Action::await_change())
}

/// Writes the list that follows from the recorded decisions, where it differs from the one that was written last.
pub(crate) async fn update(ctx: &ServerContext, namespace: &str) -> Result<(), ReconcileError> {
    let _turn = ctx.written_allowlists.turn.lock().await;
    let records = ctx.index.workloads.state_filter(|w| w.namespace().as_deref() == Some(namespace));
    let spec = allowlist(records.iter().filter_map(|record| record.status.as_ref()));
    if spec.digests.len() >= MAX_ENTRIES {
        tracing::error!(
            "namespace {namespace} runs {MAX_ENTRIES} images or more; the list is limited to {MAX_ENTRIES}"
        );
    }
    if ctx.written_allowlists.is_written(namespace, &spec) {
        return Ok(());
    }
    let api: Api<ImageAllowlist> = Api::namespaced(ctx.client.clone(), namespace);
    let list = ImageAllowlist::new(ALLOWLIST, spec.clone());
    // Forced: the list is the server's alone, and a field that somebody else took over is taken back.
    api.patch(ALLOWLIST, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&list)).await?;
    ctx.written_allowlists.note(namespace, spec);
    Ok(())
}

/// Enqueues every namespace, and forgets what was written, so that deleted lists are written again.
pub(crate) fn refresh(ctx: &ServerContext) {
    ctx.written_allowlists.clear();
    ctx.index.enqueue_namespaces();
}
