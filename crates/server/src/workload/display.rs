//! What people see of a workload: message, transition, Event, condition, alert. Nothing here is ever read back.

use super::evaluate::Evaluation;
use super::record::Record;
use super::{Error, Owner};
use crate::alert::Alert;
use crate::context::Context;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::ObjectRef;
use serde_json::json;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
use tidewaiter_crd::condition::word;
use tidewaiter_crd::names::CONDITION;

/// Findings named in a message; the report holds all.
const NAMED: usize = 3;

/// What a look at a workload brought.
pub(crate) struct Change<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) hash: &'a str,
    pub(crate) seen: &'a Evaluation,
    pub(crate) status: WorkloadStatus,
    /// An approval was lost to a new finding.
    pub(crate) lost: bool,
}

/// Takes a change up in the record and shows it.
pub(crate) async fn apply(ctx: &Context, record: &mut Record, change: &Change<'_>) -> Result<(), Error> {
    let text = message(change);
    let from = (record.draft.image_status, record.draft.deployment_status);
    let moved = record.transition(change.status);
    let reworded = record.draft.message != text;
    record.draft.message.clone_from(&text);
    if change.lost || change.status.deployment == DeploymentStatus::Blocked {
        alert(ctx, record, change, &text);
    }
    if !moved && !reworded {
        return Ok(());
    }
    if change.owner.kind == "Deployment" {
        condition(ctx, change, &text).await?;
    }
    if moved || change.lost {
        ctx.metrics.transition(from, change.status);
        let bad = change.lost || change.status.deployment == DeploymentStatus::Blocked;
        let event = Event {
            type_: if bad { EventType::Warning } else { EventType::Normal },
            reason: change.status.deployment.to_string(),
            note: Some(text.chars().take(1000).collect()),
            action: "ImageGate".to_owned(),
            secondary: None,
        };
        // An Event that is not written takes nothing away: the record and the condition say the same.
        if let Err(e) = ctx.recorder.publish(&event, &change.owner.object()).await {
            tracing::warn!("an Event was not written: {e}");
        }
    }
    Ok(())
}

/// One paragraph: what is, why, what to do.
fn message(change: &Change<'_>) -> String {
    let lines = change.seen.lines.join("; ");
    let name = change.owner.label();
    let again = match change.owner.kind.as_str() {
        "Deployment" => format!("kubectl scan deployment {}", change.owner.name),
        _ => "kubectl scan image IMAGE".to_owned(),
    };
    let named: Vec<&str> = change.seen.reasons.iter().map(String::as_str).take(NAMED).collect();
    let more = change.seen.reasons.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    match (change.status.deployment, change.status.image) {
        _ if change.lost => format!(
            "a new finding in a running image: {lines}. It runs on; the next rollout is held: {}{more}",
            named.join("; ")
        ),
        (DeploymentStatus::Created, _) => format!("held until its images are scanned: {lines}"),
        (DeploymentStatus::Blocked, ImageStatus::ScanFailed) => {
            format!("held: {lines}. Once that is solved it is scanned again by itself, or at once: {again}")
        }
        (DeploymentStatus::Blocked, _) => format!(
            "blocked by policy: {lines}. {}{more}. Push a fixed image and set it (kubectl set image {name} …), or push \
             it under the same tag and: {again}",
            named.join("; ")
        ),
        (DeploymentStatus::PendingApproval, _) => {
            let seen = if lines.is_empty() { "No vulnerabilities found".to_owned() } else { lines };
            format!("{seen}. Policy allows it; a person must approve: kubectl scan approve {name}")
        }
        (_, ImageStatus::Approved) if lines.is_empty() => "every image is approved".to_owned(),
        (_, ImageStatus::Approved) => format!("every image is approved: {lines}"),
        _ if lines.is_empty() => "runs as it did before: its images are not judged yet".to_owned(),
        _ => format!("runs as it did before; its next rollout is held: {lines}"),
    }
}

async fn condition(ctx: &Context, change: &Change<'_>, text: &str) -> Result<(), Error> {
    let state = word(change.status.image, change.status.image == ImageStatus::Approved);
    let now = Timestamp::now().to_string();
    let mut condition = json!({"type": CONDITION, "status": state, "reason": change.status.image.to_string(),
        "message": text, "lastUpdateTime": now});
    // A strategic merge keeps the time of the last transition where none is given.
    if shown(ctx, change.owner).as_deref() != Some(state) {
        condition["lastTransitionTime"] = json!(now);
    }
    let patch = json!({"status": {"conditions": [condition]}});
    let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &change.owner.namespace);
    let written = api.patch_status(&change.owner.name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    crate::index::settled(&ctx.index.deployments, &written).await;
    Ok(())
}

/// The status that the condition has now.
fn shown(ctx: &Context, owner: &Owner) -> Option<String> {
    let known = ctx.index.deployments.get(&ObjectRef::new(&owner.name).within(&owner.namespace))?;
    known.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == CONDITION).map(|c| c.status.clone())
}

/// Queues an alert that was not delivered yet; the record remembers the last delivered one.
fn alert(ctx: &Context, record: &mut Record, change: &Change<'_>, text: &str) {
    let alert = Alert::new(change.owner, change.hash, change.status, &change.seen.reasons, text);
    if record.draft.alerted.as_ref() == Some(&alert.id) {
        return;
    }
    let routes = ctx.policy(&change.owner.namespace).alerts;
    if routes.is_empty() || ctx.alerts.was_delivered(&alert.id) {
        record.draft.alerted = Some(alert.id);
        return;
    }
    ctx.alerts.send(alert, routes);
}
