//! Tells the process that leads what the webhooks of this one leave to controllers. What cannot be told is kept, within bounds,
//! and told again: nobody may lead for some seconds.

use super::{RecordName, WebhookNotices, tell_leader};
use crate::context::ServerContext;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Pause before something is told again.
const PAUSE: Duration = Duration::from_secs(1);
/// Records that are remembered while nobody leads. Those beyond are followed up when their workloads next change.
const MAX_RECORDS: usize = 10_000;

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
        let notices = WebhookNotices { updates: vec![(*waiting.update).clone()], ..WebhookNotices::default() };
        if let Err(error) = tell_leader(&ctx, &notices).await {
            let workload = waiting.update.workload.clone();
            tracing::warn!("{} in {}: its update is recorded later: {error:#}", workload.label(), workload.namespace);
            if !ctx.queues.updates.add_failed(waiting) {
                tracing::warn!(
                    "{} in {}: its update is not recorded; apply it again",
                    workload.label(),
                    workload.namespace
                );
            }
        }
    }
}

async fn forward_unheld(ctx: Arc<ServerContext>) {
    loop {
        let unheld = ctx.queues.unheld.due().await;
        let notices = WebhookNotices { unheld, ..WebhookNotices::default() };
        if let Err(error) = tell_leader(&ctx, &notices).await {
            tracing::warn!("what runs in {} is scanned later: {error:#}", notices.unheld.join(", "));
            // Its pause is that before the first look.
            notices.unheld.iter().for_each(|name| ctx.queues.unheld.add(name, ctx.index.is_namespace(name)));
        }
    }
}

async fn forward_returned(ctx: Arc<ServerContext>) {
    let mut records: BTreeSet<RecordName> = BTreeSet::new();
    loop {
        if records.is_empty() {
            let Some(first) = ctx.queues.returned.next().await else { return };
            records.insert(first.into());
        }
        // Also those beyond the bound are taken out of the queue, which has none.
        let more = ctx.queues.returned.take_all().await.into_iter().map(RecordName::from);
        let room = MAX_RECORDS.saturating_sub(records.len());
        records.extend(more.take(room));
        let returned = records.iter().cloned().collect();
        match tell_leader(&ctx, &WebhookNotices { returned, ..WebhookNotices::default() }).await {
            Ok(()) => records.clear(),
            Err(error) => {
                tracing::warn!("{} workloads that went back are followed up later: {error:#}", records.len());
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
