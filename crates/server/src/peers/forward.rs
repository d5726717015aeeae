//! Tells the process that leads what the webhooks of this one leave to controllers. What cannot be told is kept, within bounds,
//! and told again: nobody may lead for some seconds.

use super::untold::Untold;
use super::{RecordName, WebhookNotices, tell_leader};
use crate::context::ServerContext;
use crate::queues::updates::WaitingUpdate;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Pause before something is told again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells the leader until what is returned is dropped.
#[must_use]
pub(crate) fn forward(ctx: &Arc<ServerContext>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(forward_updates(Arc::clone(ctx)));
    tasks.spawn(forward_unheld(Arc::clone(ctx)));
    tasks.spawn(forward_returned(Arc::clone(ctx)));
    tasks
}

async fn forward_updates(ctx: Arc<ServerContext>) {
    loop {
        let waiting = ctx.queues.updates.next().await;
        let update = Arc::clone(&waiting.update);
        let untold = Untold::new(waiting, |waiting| put_back(&ctx, waiting));
        let notices = WebhookNotices { updates: vec![(*update).clone()], ..WebhookNotices::default() };
        match tell_leader(&ctx, &notices).await {
            Ok(()) => untold.told(),
            Err(error) => {
                let workload = &update.workload;
                tracing::warn!(
                    "{} in {}: its update is recorded later: {error:#}",
                    workload.label(),
                    workload.namespace
                );
            }
        }
    }
}

fn put_back(ctx: &ServerContext, waiting: WaitingUpdate) {
    let workload = waiting.update.workload.clone();
    if !ctx.queues.updates.add_failed(waiting) {
        tracing::warn!("{} in {}: its update is not recorded; apply it again", workload.label(), workload.namespace);
    }
}

async fn forward_unheld(ctx: Arc<ServerContext>) {
    // Its pause is that before the first look.
    let put_back = |names: Vec<String>| {
        names.iter().for_each(|name| ctx.queues.unheld.add(name, ctx.index.is_namespace(name)));
    };
    loop {
        let unheld = ctx.queues.unheld.due().await;
        let untold = Untold::new(unheld.clone(), put_back);
        let notices = WebhookNotices { unheld, ..WebhookNotices::default() };
        match tell_leader(&ctx, &notices).await {
            Ok(()) => untold.told(),
            Err(error) => tracing::warn!("what runs in {} is scanned later: {error:#}", notices.unheld.join(", ")),
        }
    }
}

async fn forward_returned(ctx: Arc<ServerContext>) {
    loop {
        ctx.queues.returned.some().await;
        let records = ctx.queues.returned.take_all();
        let returned: Vec<RecordName> = records.iter().cloned().map(RecordName::from).collect();
        let untold = Untold::new(records, |records| ctx.queues.returned.add_all(records));
        let notices = WebhookNotices { returned, ..WebhookNotices::default() };
        match tell_leader(&ctx, &notices).await {
            Ok(()) => untold.told(),
            Err(error) => {
                tracing::warn!("{} workloads that went back are followed up later: {error:#}", notices.returned.len());
                drop(untold);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
