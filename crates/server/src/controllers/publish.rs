//! Publishes a workload's state: message, transition, Event, alert. None of it is ever read back for a decision.

use super::record::WorkloadRecord;
use crate::alert::Alert;
use crate::context::ServerContext;
use crate::decide::message::WorkloadNews;
use crate::decide::record;
use jiff::Timestamp;
use kube::runtime::events::{Event, EventType};
use tidewaiter_core::status::DeploymentStatus;

/// Characters of an Event's note; the API server accepts 1024 bytes.
const MAX_NOTE: usize = 1000;

/// Records news and publishes them where they differ from what was published before.
pub(super) async fn publish(ctx: &ServerContext, record: &mut WorkloadRecord, news: &WorkloadNews<'_>) {
    let text = news.message();
    let from = (record.draft.image_status, record.draft.deployment_status);
    let changed = record::transition(&mut record.draft, news.status, Timestamp::now());
    let reworded = record.draft.message != text;
    record.draft.message.clone_from(&text);
    // Also when nothing is new: an alert whose receiver was away is not delivered yet.
    if news.is_bad() {
        alert(ctx, record, news, &text);
    }
    if changed || reworded && news.lost {
        ctx.metrics.transition(from, news.status);
        if is_told(from.1, news) {
            event(ctx, news, &text);
        }
    }
}

/// Publishes news about what runs while the record shows something else: an Event where they are new, and the alert.
pub(super) fn publish_meanwhile(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    news: &WorkloadNews<'_>,
    is_new: bool,
) {
    let text = news.message();
    if news.is_bad() {
        alert(ctx, record, news, &text);
    }
    if is_new {
        event(ctx, news, &text);
    }
}

/// Whether a transition has an Event: a hold, a block, a release, what was found since. That a workload has started, released or
/// never held, is said by the Events of Kubernetes.
fn is_told(from: DeploymentStatus, news: &WorkloadNews<'_>) -> bool {
    let started = from == DeploymentStatus::RollingOut && news.status.deployment == DeploymentStatus::Deployed;
    !(started || news.passed) || news.lost
}

fn event(ctx: &ServerContext, news: &WorkloadNews<'_>, text: &str) {
    let event = Event {
        type_: if news.is_bad() { EventType::Warning } else { EventType::Normal },
        reason: news.event(),
        note: Some(text.chars().take(MAX_NOTE).collect()),
        action: "ImageGate".to_owned(),
        secondary: None,
    };
    ctx.events.send(event, news.workload.object_reference());
}

/// Sends an alert unless it was delivered; the record notes those delivered.
fn alert(ctx: &ServerContext, record: &mut WorkloadRecord, news: &WorkloadNews<'_>, text: &str) {
    let alert = Alert::new(news, text);
    if record.draft.alerted.contains(&alert.id) {
        return;
    }
    let receivers = ctx.policy(&news.workload.namespace).alerts;
    // Without a receiver it counts as delivered: one that is added later does not receive earlier alerts.
    if receivers.is_empty() || ctx.alerts.take_delivered(&alert.id) {
        record::note_alert(&mut record.draft, alert.id);
        return;
    }
    ctx.alerts.send(alert, receivers);
}
