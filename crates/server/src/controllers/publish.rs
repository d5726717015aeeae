//! Publishes a workload's state: message, transition, Event, condition, alert. None of it is ever read back for a decision.

use super::record::WorkloadRecord;
use crate::alert::news;
use crate::context::ServerContext;
use crate::decide::alert_route::{self, PolicyReceiver};
use crate::decide::alerted;
use crate::decide::evaluation::Evaluation;
use crate::decide::message::WorkloadNews;
use crate::decide::record;
use crate::decide::workload_ref::WorkloadRef;
use crate::error::ReconcileError;
use crate::events;
use crate::index;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::ObjectRef;
use serde_json::json;
use tidewaiter_alerts::Alert;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
use tidewaiter_crd::WorkloadKind;
use tidewaiter_crd::condition;
use tidewaiter_crd::names::CONDITION;

/// How a hold ended that nobody decided about.
const UNENFORCED: &str = "policy is not enforced any more in its namespace";

/// Records news and publishes them where they differ from what was published before.
pub(super) async fn publish(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    news: &WorkloadNews<'_>,
) -> Result<(), ReconcileError> {
    let text = news.message();
    let from = (record.draft.image_status, record.draft.deployment_status);
    let changed = record::transition(&mut record.draft, news.status, Timestamp::now());
    let reworded = record.draft.message != text;
    record.draft.message.clone_from(&text);
    // Also when nothing is new: an alert whose receiver was away is not delivered yet.
    alert(ctx, record, news, &text, changed);
    if !changed && !reworded {
        return Ok(());
    }
    // A condition that says that nothing is known yet is worth no request at the beginning.
    let says_nothing = record.is_new() && news.status.image == ImageStatus::NotScanned;
    if news.workload.kind == WorkloadKind::Deployment && !says_nothing {
        condition(ctx, news, &text).await?;
    }
    if changed || news.lost {
        ctx.metrics.transition(from, news.status);
        if is_told(from.1, news) {
            event(ctx, news, &text);
        }
    }
    Ok(())
}

/// Publishes news about what runs while the record shows something else: an Event where they are new, and the alert.
pub(super) fn publish_meanwhile(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    news: &WorkloadNews<'_>,
    is_new: bool,
) {
    let text = news.message();
    alert(ctx, record, news, &text, is_new);
    if is_new {
        event(ctx, news, &text);
    }
}

/// Whether a transition has an Event: a hold, a block, a release, what was found since. That a released workload has started
/// is said by the Events of Kubernetes.
fn is_told(from: DeploymentStatus, news: &WorkloadNews<'_>) -> bool {
    let started = from == DeploymentStatus::RollingOut && news.status.deployment == DeploymentStatus::Deployed;
    !started || news.lost
}

fn event(ctx: &ServerContext, news: &WorkloadNews<'_>, text: &str) {
    let event = Event {
        type_: if news.is_bad() { EventType::Warning } else { EventType::Normal },
        reason: news.event(),
        note: Some(events::note(text)),
        action: "ImageGate".to_owned(),
        secondary: None,
    };
    ctx.events.send(event, news.workload.object_reference());
}

/// Writes the condition, unless the Deployment has it.
async fn condition(ctx: &ServerContext, news: &WorkloadNews<'_>, text: &str) -> Result<(), ReconcileError> {
    let image = news.status.image;
    let state = condition::status(image, image == ImageStatus::Approved);
    let reason = image.to_string();
    let published = published_condition(ctx, news.workload);
    let same = |old: &DeploymentCondition| {
        (old.status.as_str(), old.reason.as_deref(), old.message.as_deref()) == (state, Some(&reason), Some(text))
    };
    if published.as_ref().is_some_and(same) {
        return Ok(());
    }
    let now = Timestamp::now().to_string();
    let mut condition = json!({"type": CONDITION, "status": state, "reason": reason,
        "message": text, "lastUpdateTime": now});
    // A strategic merge keeps the time of the last transition where none is given.
    if published.is_none_or(|old| old.status != state) {
        condition["lastTransitionTime"] = json!(now);
    }
    let patch = json!({"status": {"conditions": [condition]}});
    let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &news.workload.namespace);
    let written = api.patch_status(&news.workload.name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    index::settled(&ctx.index.deployments, &written).await;
    Ok(())
}

/// The condition now.
fn published_condition(ctx: &ServerContext, workload: &WorkloadRef) -> Option<DeploymentCondition> {
    let known = ctx.index.deployments.get(&ObjectRef::new(&workload.name).within(&workload.namespace))?;
    known.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == CONDITION).cloned()
}

/// Tells the receivers of the namespace that want to know. What waits for people is told until the record notes that it was; other
/// states when they begin.
fn alert(ctx: &ServerContext, record: &mut WorkloadRecord, news: &WorkloadNews<'_>, text: &str, is_new: bool) {
    let all = ctx.policy(&news.workload.namespace).alerts;
    let since = since(record);
    let state = news.alert_state();
    if state.waits_for_people() {
        note_end_under_way(ctx, record, news.workload);
    }
    let alert = news::news(news, text, since, &record.draft.alerted);
    let receivers = alert_route::told(&all, state, alert.severity);
    if state.waits_for_people() {
        ctx.alerts.open(news.workload, &alert, &receivers, since);
        tell_until_noted(ctx, record, news.workload, &alert, &receivers);
        return;
    }
    if is_new {
        ctx.alerts.tell(&alert, &receivers);
    }
    if news.is_over(&record.draft) {
        ctx.alerts.close(news.workload);
        // Also where nobody has an alert that is open: what happens again is told again.
        if let Some(over) = news::over(news, text, since, &record.draft.alerted) {
            tell_until_noted(ctx, record, news.workload, &over, &alert_route::keeping_open(&all));
        }
    }
}

/// Tells that what was told is over where its namespace is not enforced any more.
pub(super) fn end_unenforced(ctx: &ServerContext, record: &mut WorkloadRecord) {
    let (workload, evaluation) = (record.workload.clone(), Evaluation::default());
    let template = record.draft.current.clone().unwrap_or_default();
    let status = WorkloadStatus { image: record.draft.image_status, deployment: DeploymentStatus::Deployed };
    let news = WorkloadNews::new(&workload, &template, &evaluation, status);
    ctx.alerts.close(&workload);
    if let Some(over) = news::over(&news, UNENFORCED, Timestamp::now(), &record.draft.alerted) {
        let all = ctx.policy(&workload.namespace).alerts;
        tell_until_noted(ctx, record, &workload, &over, &alert_route::keeping_open(&all));
    }
}

/// Notes an end that is being told, or was and is not noted yet: what is told now comes after it.
fn note_end_under_way(ctx: &ServerContext, record: &mut WorkloadRecord, workload: &WorkloadRef) {
    if let Some(end) = news::end_id(workload, &record.draft.alerted)
        && ctx.alerts.is_under_way(&end)
    {
        alerted::note_alert(&mut record.draft, end);
    }
}

/// Sends an alert unless it was delivered; the record notes those delivered. Without a receiver it counts as delivered: one that
/// is added later does not receive earlier alerts.
fn tell_until_noted(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    workload: &WorkloadRef,
    alert: &Alert,
    receivers: &[PolicyReceiver],
) {
    if record.draft.alerted.contains(&alert.id) {
        return;
    }
    if receivers.is_empty() || ctx.alerts.send(workload, alert, receivers) {
        alerted::note_alert(&mut record.draft, alert.id.clone());
    }
}

/// Since when the workload has been in its state.
fn since(record: &WorkloadRecord) -> Timestamp {
    let last = record.draft.transitions.last().and_then(|last| last.time.timestamp());
    last.unwrap_or_else(Timestamp::now)
}
