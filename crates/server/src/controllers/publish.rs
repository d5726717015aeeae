//! Publishes a workload's state: message, transition, Event, condition, alert. None of it is ever read back for a decision.

use super::record::WorkloadRecord;
use crate::alert::Alert;
use crate::context::ServerContext;
use crate::decide::message::WorkloadNews;
use crate::decide::record;
use crate::decide::workload_ref::WorkloadRef;
use crate::error::ReconcileError;
use crate::index;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::ObjectRef;
use serde_json::json;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};
use tidewaiter_crd::WorkloadKind;
use tidewaiter_crd::condition;
use tidewaiter_crd::names::CONDITION;

/// Characters of an Event's note; the API server accepts 1024 bytes.
const MAX_NOTE: usize = 1000;

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
    if news.is_bad() {
        alert(ctx, record, news, &text);
    }
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
    if news.is_bad() {
        alert(ctx, record, news, &text);
    }
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
        note: Some(text.chars().take(MAX_NOTE).collect()),
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
