//! What a look at the scans makes of a revision's decision.

use super::evaluate::{Evaluation, evaluate, request_scans};
use super::record::Record;
use super::{Error, Owner, approval};
use crate::context::Context;
use k8s_openapi::api::core::v1::PodSpec;
use tidewaiter_core::status::{Approval, DeploymentStatus, ImageStatus, RolloutProgress, WorkloadStatus, derive};
use tidewaiter_crd::workload_scan::{Decision, Revision};

/// Takes a look up in a revision; true when its decision changed.
pub(crate) fn revise(revision: &mut Revision, seen: &Evaluation, word: Approval, enforced: bool) -> bool {
    let before = revision.decision;
    revision.decision = decide(before, seen, word, enforced);
    if revision.decision != Decision::Held {
        for (name, container) in &mut revision.containers {
            container.pinned = seen.pins.get(name).cloned().or(container.pinned.take());
        }
    }
    revision.lost = match (before, revision.decision) {
        (Decision::Approved, Decision::Retained) => true,
        (_, Decision::Retained) => revision.lost,
        _ => false,
    };
    before != revision.decision
}

/// Judges again what was let run before: every revision but `current`. True when a decision changed: who rolls back to
/// one must not find an approval that no longer holds.
pub(crate) async fn rejudge(
    ctx: &Context,
    owner: &Owner,
    record: &mut Record,
    current: Option<&str>,
    spec: &PodSpec,
) -> Result<bool, Error> {
    let mut changed = false;
    let let_run = |(hash, revision): (&String, &Revision)| {
        (current != Some(hash.as_str()) && revision.decision != Decision::Held)
            .then(|| (hash.clone(), revision.clone()))
    };
    let others: Vec<(String, Revision)> = record.draft.revisions.iter().filter_map(let_run).collect();
    for (hash, mut revision) in others {
        request_scans(ctx, &owner.namespace, &mut revision, spec).await?;
        let seen = evaluate(ctx, &owner.namespace, &revision, &record.draft);
        let word = approval(ctx, owner, &seen.pins);
        changed |= revise(&mut revision, &seen, word, ctx.enforced(&owner.namespace));
        record.draft.revisions.insert(hash, revision);
    }
    Ok(changed)
}

/// What the images of a revision may do from now on. Audit lets everything run that a user rolled out.
fn decide(before: Decision, seen: &Evaluation, word: Approval, enforced: bool) -> Decision {
    let judged = seen.facts.iter().all(|f| f.scan != ImageStatus::NotScanned);
    let approved = derive(&seen.facts, word, RolloutProgress::Running).image == ImageStatus::Approved;
    match before {
        Decision::Held if approved => Decision::Approved,
        Decision::Held if !enforced => Decision::Retained,
        Decision::Retained if judged && approved => Decision::Approved,
        Decision::Approved if seen.facts.iter().any(|f| !f.allowed) => Decision::Retained,
        other => other,
    }
}

/// Both statuses, for display.
pub(crate) fn status(
    decision: Decision,
    seen: &Evaluation,
    word: Approval,
    rollout: RolloutProgress,
) -> WorkloadStatus {
    let deployment = match rollout {
        RolloutProgress::Running => DeploymentStatus::RollingOut,
        RolloutProgress::Complete => DeploymentStatus::Deployed,
    };
    match decision {
        Decision::Held => derive(&seen.facts, word, rollout),
        Decision::Approved => WorkloadStatus { image: ImageStatus::Approved, deployment },
        // Nobody's approval: what the scans say, worst first.
        Decision::Retained => {
            WorkloadStatus { image: derive(&seen.facts, Approval::Awaited, rollout).image, deployment }
        }
    }
}
