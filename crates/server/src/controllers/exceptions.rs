//! Writes the status of the ScanExceptions of a namespace: whether they apply, and which images use them.

use crate::context::ServerContext;
use crate::decide::exception;
use crate::error::ReconcileError;
use crate::events;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::json;
use std::time::Duration;
use tidewaiter_crd::ScanException;
use tidewaiter_crd::exception::{ExceptionState, ScanExceptionStatus};

/// Writes what has changed. Returns the pause until a state may change by itself; `None` without exceptions.
pub(super) async fn reconcile(ctx: &ServerContext, namespace: &str) -> Result<Option<Duration>, ReconcileError> {
    let exceptions = ctx.index.exceptions_in(namespace);
    if exceptions.is_empty() {
        return Ok(None);
    }
    let (now, max_days) = (Timestamp::now(), ctx.policy(namespace).max_exception_days);
    let scans = ctx.index.images.state_filter(|scan| scan.namespace().as_deref() == Some(namespace));
    for object in &exceptions {
        let status = exception::status(object, scans.iter().map(|scan| &**scan), max_days, now);
        if object.status.as_ref() != Some(&status) {
            write(ctx, namespace, object, &status).await?;
        }
    }
    Ok(Some(exception::next_change(now)))
}

/// The watch of the status enqueues the images of the namespace.
async fn write(
    ctx: &ServerContext,
    namespace: &str,
    object: &ScanException,
    status: &ScanExceptionStatus,
) -> Result<(), ReconcileError> {
    let api: Api<ScanException> = Api::namespaced(ctx.client.clone(), namespace);
    // With every field: what is no longer used must go.
    let patch =
        json!({"status": {"state": status.state, "endsByPolicy": status.ends_by_policy, "usedBy": status.used_by}});
    let written = api.patch_status(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
    if let Err(error) = written.map_err(ReconcileError::from) {
        // It was deleted meanwhile.
        return if error.is_gone() { Ok(()) } else { Err(error) };
    }
    let before = object.status.as_ref().map(|status| status.state);
    if before != Some(status.state) {
        tell(ctx, object, status).await;
    }
    Ok(())
}

/// Says on the exception that it ends soon, or has ended, if anything uses it.
async fn tell(ctx: &ServerContext, object: &ScanException, status: &ScanExceptionStatus) {
    let used = object.status.as_ref().is_some_and(|before| !before.used_by.is_empty()) || !status.used_by.is_empty();
    let (verb, next) = match status.state {
        ExceptionState::Ending => ("ends", "fix them, or request another exception"),
        ExceptionState::Expired => ("has ended", "their findings count again"),
        ExceptionState::Pending | ExceptionState::Active => return,
    };
    if !used {
        return;
    }
    let images = match status.used_by.as_slice() {
        [] => "images".to_owned(),
        images => images.join(", "),
    };
    let end = match &status.ends_by_policy {
        Some(day) => format!("{day} (UTC), by the policy's maxExceptionDays,"),
        None => format!("{} (UTC)", object.spec.expires),
    };
    let note = format!("it {verb} on {end} and is used by {images}: {next}");
    tracing::warn!("ScanException {}/{}: {note}", object.namespace().unwrap_or_default(), object.name_any());
    let event = Event {
        type_: EventType::Warning,
        reason: format!("Exception{:?}", status.state),
        note: Some(events::note(&note)),
        action: "ImageGate".to_owned(),
        secondary: None,
    };
    if let Err(e) = ctx.recorder.publish(&event, &object.object_ref(&())).await {
        tracing::warn!("an Event was not written: {e}");
    }
}
