//! Writes the ImageAllowlist of each namespace: what the API server lets run even while the server is unreachable.

use super::{concerns, exceptions};
use crate::context::ServerContext;
use crate::decide::allowlist::{MAX_ENTRIES, NamespaceList, allowlist, scanned};
use crate::error::ReconcileError;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource as _, ResourceExt as _};
use std::sync::Arc;
use tidewaiter_crd::ImageAllowlist;
use tidewaiter_crd::names::{ALLOWLIST, FIELD_MANAGER};

/// Reconciles the list of one namespace.
pub(super) async fn reconcile(namespace: Arc<Namespace>, ctx: Arc<ServerContext>) -> Result<Action, ReconcileError> {
    let name = namespace.name_any();
    let terminating = namespace.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Terminating"));
    if concerns(&*namespace, &ctx) && ctx.in_scope(&name) && !terminating {
        let list = wanted(&ctx, &name);
        // A decision often follows the scan, and writes both.
        if let Some(pause) = ctx.written_allowlists.pause(&name, &list.spec) {
            return Ok(Action::requeue(pause));
        }
        update(&ctx, &name).await?;
        if let Some(pause) = exceptions::reconcile(&ctx, &name).await? {
            return Ok(Action::requeue(pause));
        }
    }
    Ok(Action::await_change())
}

/// The list that follows from the recorded decisions and scans.
fn wanted(ctx: &ServerContext, namespace: &str) -> NamespaceList {
    let records = ctx.index.workloads.state_filter(|w| w.metadata.namespace.as_deref() == Some(namespace));
    let mut list = allowlist(records.iter().filter_map(|record| record.status.as_ref()));
    let scans = ctx.index.images.state_filter(|scan| scan.metadata.namespace.as_deref() == Some(namespace));
    list.spec.scanned = scanned(scans.iter().map(|scan| &**scan));
    list
}

/// Writes the list that follows from the recorded decisions, where it differs from the one that was written last.
pub(crate) async fn update(ctx: &ServerContext, namespace: &str) -> Result<(), ReconcileError> {
    let _turn = ctx.written_allowlists.turn.lock().await;
    let list = wanted(ctx, namespace);
    if ctx.written_allowlists.is_written(namespace, &list.spec) {
        return Ok(());
    }
    let api: Api<ImageAllowlist> = Api::namespaced(ctx.client.clone(), namespace);
    if !ctx.written_allowlists.is_known(namespace) {
        // After a restart: what is there is enforced already.
        let found = api.get_opt(ALLOWLIST).await?.map(|list| list.spec).unwrap_or_default();
        ctx.written_allowlists.found(namespace, &found);
    }
    let object = ImageAllowlist::new(ALLOWLIST, list.spec.clone());
    // Forced: the list is the server's alone, and a field that somebody else took over is taken back.
    let written = api.patch(ALLOWLIST, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&object)).await?;
    ctx.written_allowlists.note(namespace, list.spec);
    if list.left_out > 0 {
        report_full(ctx, namespace, &written, list.left_out).await;
    }
    Ok(())
}

/// Says that a list has no room for some digests.
async fn report_full(ctx: &ServerContext, namespace: &str, list: &ImageAllowlist, left_out: usize) {
    let note = format!(
        "the list is limited to {MAX_ENTRIES} digests, and {left_out} have no room: Pods with them start only while \
         tidewaiter runs; delete workloads that are not used, or split the namespace"
    );
    tracing::error!("ImageAllowlist {namespace}/{ALLOWLIST}: {note}");
    let event = Event {
        type_: EventType::Warning,
        reason: "ImageAllowlistFull".to_owned(),
        note: Some(note),
        action: "ImageGate".to_owned(),
        secondary: None,
    };
    if let Err(e) = ctx.recorder.publish(&event, &list.object_ref(&())).await {
        tracing::warn!("an Event was not written: {e}");
    }
}

/// Enqueues every namespace and writes every list again: it may have been deleted.
pub(crate) fn refresh(ctx: &ServerContext) {
    ctx.written_allowlists.write_again();
    ctx.index.enqueue_namespaces();
}
