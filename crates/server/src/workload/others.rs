//! The controller of what no Deployment owns: what runs is judged again when its scans or policies change. What waits is
//! the Pods controller's.

use super::decide::{rejudge, status};
use super::display::{self, Change};
use super::evaluate::evaluate;
use super::record::Record;
use super::{Error, Owner, approval, started};
use crate::allowlist;
use crate::context::Context;
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_crd::WorkloadScan;
use tidewaiter_crd::workload_scan::Decision;

/// Brings one record up to date.
pub(crate) async fn reconcile(scan: Arc<WorkloadScan>, ctx: Arc<Context>) -> Result<Action, Error> {
    let namespace = scan.namespace().unwrap_or_default();
    if scan.spec.kind == "Deployment" || !ctx.in_scope(&namespace) || scan.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let owner = Owner {
        namespace,
        api_version: scan.spec.api_version.clone(),
        kind: scan.spec.kind.clone(),
        name: scan.spec.name.clone(),
        uid: scan.spec.uid.clone(),
    };
    match update(&owner, &ctx).await {
        Err(error) if error.is_gone() => Ok(Action::await_change()),
        other => other.map(|again| again.map_or_else(Action::await_change, Action::requeue)),
    }
}

/// Gives the time after which to look again whether it has started.
async fn update(owner: &Owner, ctx: &Context) -> Result<Option<Duration>, Error> {
    let mut again = None;
    let mut record = Record::open(ctx, owner).await?;
    let changed = rejudge(ctx, owner, &mut record, None, &PodSpec::default()).await?;
    record.prune(ctx, &owner.namespace, &BTreeSet::new());
    let current = record.draft.current.clone().unwrap_or_default();
    let revision = record.draft.revisions.get(&current).filter(|r| r.decision != Decision::Held).cloned();
    if let Some(revision) = revision {
        let seen = evaluate(ctx, &owner.namespace, &revision, &record.draft);
        let (rollout, later) = started::look(ctx, owner, &record, revision.decision).await?;
        again = later;
        let status = status(revision.decision, &seen, approval(ctx, owner, &seen.pins), rollout);
        let change = Change { owner, hash: &current, seen: &seen, status, lost: revision.lost };
        display::apply(ctx, &mut record, &change).await?;
    }
    record.save(ctx).await?;
    if changed {
        allowlist::update(ctx, &owner.namespace).await?;
    }
    Ok(again)
}
