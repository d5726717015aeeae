//! Writes the condition of a Deployment, which says what its record does. It is never read back for a decision.

use super::record::WorkloadRecord;
use crate::context::ServerContext;
use crate::decide::condition::{due_after, state};
use crate::error::ReconcileError;
use crate::index;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::time::Duration;
use tidewaiter_crd::names::CONDITION;

/// Writes the condition, or returns how long it may wait; neither where it says what the record does. Last of all: the
/// controller of Deployments rests by then.
pub(super) async fn follow(ctx: &ServerContext, record: &WorkloadRecord) -> Result<Option<Duration>, ReconcileError> {
    let published = published(ctx, record);
    match due_after(&record.draft, published.as_ref(), Timestamp::now()) {
        Some(Duration::ZERO) => write(ctx, record, published.as_ref()).await.map(|()| None),
        pause => Ok(pause),
    }
}

/// The condition now.
fn published(ctx: &ServerContext, record: &WorkloadRecord) -> Option<DeploymentCondition> {
    let known = ctx.index.deployment(&record.workload)?;
    known.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == CONDITION).cloned()
}

async fn write(
    ctx: &ServerContext,
    record: &WorkloadRecord,
    published: Option<&DeploymentCondition>,
) -> Result<(), ReconcileError> {
    let (now, state) = (Timestamp::now().to_string(), state(&record.draft));
    let mut condition = json!({"type": CONDITION, "status": state, "reason": record.draft.image_status.to_string(),
        "message": record.draft.message, "lastUpdateTime": now});
    // A strategic merge keeps the time of the last transition where none is given.
    if published.is_none_or(|published| published.status != state) {
        condition["lastTransitionTime"] = json!(now);
    }
    let patch = json!({"status": {"conditions": [condition]}});
    let workload = &record.workload;
    let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &workload.namespace);
    let written = api.patch_status(&workload.name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    index::settled(&ctx.index.deployments, &written).await;
    Ok(())
}
