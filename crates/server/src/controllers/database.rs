//! Follows the database file: a replacement re-matches the store and enqueues every scan.

use crate::context::ServerContext;
use crate::decide::database::{DatabaseState, RematchState};
use crate::events;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_crd::names::{NAMESPACE, SERVER};

/// Pause between two checks of the file. Volumes have no notifications that work everywhere, and a check is one system call.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// Follows the file in a process that does not lead: it answers for reports, and may lead next.
pub(crate) async fn follow_quietly(ctx: Arc<ServerContext>) {
    loop {
        tokio::time::sleep(LOOK_PAUSE).await;
        if ctx.database.is_replaced() {
            log(&reopened(&ctx).await);
        }
    }
}

/// Follows the file until the process ends.
pub(super) async fn follow(ctx: Arc<ServerContext>) {
    publish(&ctx, &ctx.database.state()).await;
    rematch(&ctx).await;
    loop {
        tokio::time::sleep(LOOK_PAUSE).await;
        if ctx.database.is_replaced() {
            reconcile(&ctx).await;
        }
    }
}

async fn reopened(ctx: &ServerContext) -> DatabaseState {
    let (database, program) = (ctx.database.clone(), ctx.settings.program.clone());
    let state = tokio::task::spawn_blocking(move || database.reopen(&program)).await;
    state.unwrap_or_else(|e| ctx.database.give_up(format!("the database cannot be read: {e}")))
}

/// Takes up a file that was replaced since the last check.
async fn reconcile(ctx: &Arc<ServerContext>) {
    let state = reopened(ctx).await;
    ctx.index.enqueue_images();
    publish(ctx, &state).await;
    // Without a database the scans above say so, and there is nothing to compare.
    if state.id().is_some() {
        rematch(ctx).await;
    }
}

/// Compares the database with the previous one, in a process of its own, and enqueues every scan.
async fn rematch(ctx: &Arc<ServerContext>) {
    let shared = Arc::clone(ctx);
    let work = move || shared.database.compare(&*shared.store, &shared.settings);
    let change = tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from).flatten();
    let state = match change {
        Ok(Some(change)) => {
            let summary = &change.summary;
            let (all, visited, changed) = (summary.inventories, summary.visited, summary.changed);
            tracing::info!("the new database changes {changed} of {all} inventories ({visited} re-matched)");
            RematchState::Done(Arc::new(change))
        }
        Ok(None) => RematchState::None,
        Err(error) => {
            tracing::warn!("every image is scanned again, because re-matching failed: {error:#}");
            RematchState::None
        }
    };
    ctx.database.set_rematch_state(state);
    ctx.index.enqueue_images();
}

/// Says which database is loaded, or why there is none: in the log, and by an Event of the server's own Deployment, which
/// is what people look at who install or operate it. Without a database the server is ready, because admission is, and
/// everything new waits.
async fn publish(ctx: &ServerContext, state: &DatabaseState) {
    log(state);
    ctx.newest_database.note(state.info().and_then(|info| info.built));
    let DatabaseState::Missing(why) = state else { return };
    let Some(own) = ctx.index.deployments.get(&ObjectRef::new(SERVER).within(NAMESPACE)) else { return };
    let event = Event {
        type_: EventType::Warning,
        reason: Reason::NoDatabase.to_string(),
        note: Some(events::note(&format!("everything new is held: {why}"))),
        action: "Scan".to_owned(),
        secondary: None,
    };
    if let Err(error) = ctx.recorder.publish(&event, &own.object_ref(&())).await {
        tracing::warn!("an Event was not written: {error}");
    }
}

fn log(state: &DatabaseState) {
    match state {
        DatabaseState::Ready(info) => {
            let built = info.built.map(|built| built.to_string()).unwrap_or_default();
            tracing::info!(id = %info.id, built, "database loaded");
        }
        DatabaseState::Missing(why) => tracing::error!("{why}"),
    }
}
