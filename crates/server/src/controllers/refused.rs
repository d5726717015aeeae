//! Updates of DaemonSets and StatefulSets that admission refused until their images are approved: recorded, scanned, decided
//! about and shown, so that applying them again goes through. Until then what runs goes on.

use super::publish;
use super::record::WorkloadRecord;
use crate::context::ServerContext;
use crate::decide::images;
use crate::decide::message::WorkloadNews;
use crate::decide::refused::{self, UpdateFacts, is_over, remaining};
use crate::decide::revision::workload_status;
use crate::error::ReconcileError;
use crate::queues::updates::ReviewedUpdate;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodSpec;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::status::RolloutProgress;
use tidewaiter_crd::workload_scan::{RefusedUpdate, WorkloadScanStatus};
use tokio::task::JoinError;

/// Records the updates that admission saw, until the process ends.
pub(super) async fn follow_updates(ctx: Arc<ServerContext>) {
    loop {
        let waiting = ctx.queues.updates.next().await;
        let update = Arc::clone(&waiting.update);
        // A task of its own: a panic in it must not end this one.
        match outcome(tokio::spawn(note(Arc::clone(&ctx), Arc::clone(&update))).await) {
            NoteOutcome::Done => {}
            NoteOutcome::GivenUp(problem) => warn(&update, &problem),
            NoteOutcome::Again(problem) => {
                problem.iter().for_each(|problem| warn(&update, problem));
                if !ctx.queues.updates.add_failed(waiting) {
                    warn(&update, &"the update is not recorded; apply it again");
                }
            }
        }
    }
}

/// What an attempt to record an update brought.
#[derive(Debug, PartialEq, Eq)]
enum NoteOutcome {
    Done,
    /// Another attempt ends the same: the workload is gone, or a user wrote a wrong owner reference.
    GivenUp(String),
    /// It is tried again. That another client wrote at the same time is no problem to report.
    Again(Option<String>),
}

fn outcome(noted: Result<Result<(), ReconcileError>, JoinError>) -> NoteOutcome {
    match noted {
        Ok(Ok(())) => NoteOutcome::Done,
        Ok(Err(error)) if error.is_gone() || matches!(error, ReconcileError::RecordTaken(_)) => {
            NoteOutcome::GivenUp(error.to_string())
        }
        Ok(Err(error)) if error.is_conflict() => NoteOutcome::Again(None),
        Ok(Err(error)) => NoteOutcome::Again(Some(error.to_string())),
        Err(panic) => NoteOutcome::Again(Some(panic.to_string())),
    }
}

fn warn(update: &ReviewedUpdate, problem: &dyn Display) {
    tracing::warn!("{} in {}: {problem}", update.workload.label(), update.workload.namespace);
}

async fn note(ctx: Arc<ServerContext>, update: Arc<ReviewedUpdate>) -> Result<(), ReconcileError> {
    let hash = images::images_hash(&update.wanted);
    let mut record = WorkloadRecord::open(&ctx, update.workload.clone()).await?;
    let facts =
        UpdateFacts { hash: &hash, wanted: &update.wanted, before: &update.before, is_refused: update.is_refused };
    refused::note(&mut record.draft, facts, Timestamp::now());
    if update.is_refused {
        show(&ctx, &mut record, &hash, &update.access).await?;
    }
    // The change of the record enqueues it.
    record.save(&ctx).await
}

/// What following a refused update brought.
#[derive(Debug)]
pub(super) struct FollowedUpdate {
    /// Whether a decision changed.
    pub(super) changed: bool,
    /// When it is forgotten, unless it is applied again.
    pub(super) remaining: Duration,
}

/// The refused update of a record, as long as it is remembered.
fn remembered(record: &WorkloadScanStatus) -> Option<RefusedUpdate> {
    record.refused.clone().filter(|refused| !is_over(refused, Timestamp::now()))
}

/// Tells that what runs has lost its approval: the state that is shown is that of the update. The Event is written once, when
/// that `is_new`; the alert until it is delivered.
pub(super) fn tell_lost(ctx: &ServerContext, record: &mut WorkloadRecord, is_new: bool) {
    let lost = refused::lost_meanwhile(&record.draft).map(|(hash, revision)| (hash.to_owned(), revision.clone()));
    let Some((hash, revision)) = lost else { return };
    let workload = record.workload.clone();
    let (evaluation, approvals) = record.evaluate(ctx, &revision);
    let status = workload_status(revision.decision, &evaluation, approvals.state, RolloutProgress::Complete);
    let news = WorkloadNews { lost: true, ..WorkloadNews::new(&workload, &hash, &evaluation, status) };
    publish::publish_meanwhile(ctx, record, &news, is_new);
}

/// Re-evaluates the refused update of a record and shows its state; `None` where there is none, any more.
pub(super) async fn follow_refused(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
) -> Result<Option<FollowedUpdate>, ReconcileError> {
    // What waits as a Pod shows its own state.
    if !ctx.index.gated_pods_of(&record.workload).is_empty() {
        return Ok(None);
    }
    let Some(refused) = remembered(&record.draft) else {
        return Ok(None);
    };
    record.draft.current = Some(refused.revision.clone());
    let changed = show(ctx, record, &refused.revision, &PodSpec::default()).await?;
    Ok(Some(FollowedUpdate { changed, remaining: remaining(&refused, Timestamp::now()) }))
}

/// Evaluates a revision and publishes it as the state of the workload; true when its decision changed.
async fn show(
    ctx: &ServerContext,
    record: &mut WorkloadRecord,
    hash: &str,
    spec: &PodSpec,
) -> Result<bool, ReconcileError> {
    let workload = record.workload.clone();
    let evaluated = record.re_evaluate(ctx, hash, spec, ctx.enforced(&workload.namespace)).await?;
    let decision = record.draft.revisions.get(hash).map(|revision| revision.decision).unwrap_or_default();
    // Approved is not applied.
    let status = workload_status(
        refused::shown(decision),
        &evaluated.evaluation,
        evaluated.approvals.state,
        RolloutProgress::Running,
    );
    let news = WorkloadNews { refused: true, ..WorkloadNews::new(&workload, hash, &evaluated.evaluation, status) };
    publish::publish(ctx, record, &news).await?;
    Ok(evaluated.changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_for_now_is_tried_again() {
        let error = |code: u16, reason: &str| {
            let status = serde_json::json!({"code": code, "reason": reason, "message": "m"});
            ReconcileError::Api(kube::Error::Api(serde_json::from_value(status).unwrap()))
        };
        let check = |noted, expected: fn(&NoteOutcome) -> bool| {
            let outcome = outcome(noted);
            assert!(expected(&outcome), "{outcome:?}");
        };
        check(Ok(Ok(())), |outcome| *outcome == NoteOutcome::Done);
        check(Ok(Err(error(409, "Conflict"))), |outcome| *outcome == NoteOutcome::Again(None));
        check(Ok(Err(error(500, "InternalError"))), |outcome| matches!(outcome, NoteOutcome::Again(Some(_))));
        check(Ok(Err(error(404, "NotFound"))), |outcome| matches!(outcome, NoteOutcome::GivenUp(_)));
        let taken = ReconcileError::RecordTaken("x".to_owned());
        check(Ok(Err(taken)), |outcome| matches!(outcome, NoteOutcome::GivenUp(_)));
        let panicked = tokio::spawn(async { panic!("in a note") }).await;
        check(panicked, |outcome| matches!(outcome, NoteOutcome::Again(Some(_))));
    }
}
