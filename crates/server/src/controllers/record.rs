//! The WorkloadScan of a workload: opened, changed as a draft, saved when it differs.

use super::requests::{WorkloadAge, request_scans};
use super::{audit, publish};
use crate::context::ServerContext;
use crate::decide::alerted::last_told;
use crate::decide::approval::{ApprovalRule, Approvals, approvals, injected_template};
use crate::decide::evaluation::{Evaluation, evaluate};
use crate::decide::workload_ref::WorkloadRef;
use crate::decide::{prune, record, revision};
use crate::error::ReconcileError;
use crate::index;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodSpec;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_crd::WorkloadScan;
use tidewaiter_crd::workload_scan::{Decision, Revision, WorkloadScanStatus};

/// One workload's record.
#[derive(Debug)]
pub(crate) struct WorkloadRecord {
    pub(crate) workload: WorkloadRef,
    object: WorkloadScan,
    /// What will be saved.
    pub(crate) draft: WorkloadScanStatus,
}

/// What an evaluation of one revision brought.
#[derive(Debug)]
pub(super) struct EvaluatedRevision {
    pub(super) evaluation: Evaluation,
    pub(super) approvals: Approvals,
    /// Whether the decision changed.
    pub(super) changed: bool,
}

impl WorkloadRecord {
    /// Opens the record of a workload; creates it where there is none.
    pub(crate) async fn open(ctx: &ServerContext, workload: WorkloadRef) -> Result<Self, ReconcileError> {
        let object = match ctx.index.record(&workload) {
            Some(known) => (*known).clone(),
            None => create(ctx, &workload).await?,
        };
        let draft = object.status.clone().unwrap_or_default();
        Ok(WorkloadRecord { workload, object, draft })
    }

    /// Notes that a hold ended without a decision, because its namespace is not enforced any more: the next pause is its
    /// user's, and who was told of the hold hears that it is over.
    pub(super) async fn forget_hold(ctx: &ServerContext, workload: WorkloadRef) -> Result<(), ReconcileError> {
        let Some(known) = ctx.index.record(&workload) else { return Ok(()) };
        let draft = known.status.clone().unwrap_or_default();
        if !draft.paused_by_server && last_told(&draft.alerted).is_none() {
            return Ok(());
        }
        let draft = WorkloadScanStatus { paused_by_server: false, ..draft };
        let mut record = WorkloadRecord { workload, object: (*known).clone(), draft };
        publish::end_unenforced(ctx, &mut record);
        record.save(ctx).await
    }

    /// Adds the revision of a set of images, unless it is recorded.
    pub(super) fn add_revision(&mut self, hash: &str, wanted: &BTreeMap<String, String>) {
        record::revision(&mut self.draft, hash, wanted, Timestamp::now());
    }

    /// Requests the scans that a revision lacks, evaluates it, and re-evaluates its decision.
    pub(super) async fn re_evaluate(
        &mut self,
        ctx: &ServerContext,
        hash: &str,
        spec: &PodSpec,
        enforced: bool,
    ) -> Result<EvaluatedRevision, ReconcileError> {
        let mut revision = self.draft.revisions.get(hash).cloned().unwrap_or_default();
        let age = if self.draft.revisions.len() > 1 { WorkloadAge::Known } else { WorkloadAge::New };
        request_scans(ctx, &self.workload.namespace, &mut revision, spec, age).await?;
        let (evaluation, approvals) = self.evaluate(ctx, &revision);
        let changed = revision::re_evaluate(&mut revision, &evaluation, &approvals, enforced);
        self.draft.revisions.insert(hash.to_owned(), revision);
        Ok(EvaluatedRevision { evaluation, approvals, changed })
    }

    /// Re-evaluates every other revision that may run: a rollback to one of them must not find an approval that was lost
    /// meanwhile. True when a decision changed.
    pub(super) async fn re_evaluate_others(
        &mut self,
        ctx: &ServerContext,
        current: Option<&str>,
        spec: &PodSpec,
    ) -> Result<bool, ReconcileError> {
        let enforced = ctx.enforced(&self.workload.namespace);
        let may_run = |(hash, revision): &(&String, &Revision)| {
            current != Some(hash.as_str()) && revision.decision != Decision::Held
        };
        let others: Vec<String> = self.draft.revisions.iter().filter(may_run).map(|(hash, _)| hash.clone()).collect();
        let mut changed = false;
        for hash in others {
            changed |= self.re_evaluate(ctx, &hash, spec, enforced).await?.changed;
        }
        Ok(changed)
    }

    /// Evaluates a revision with what the index shows now.
    pub(super) fn evaluate(&self, ctx: &ServerContext, revision: &Revision) -> (Evaluation, Approvals) {
        let namespace = &self.workload.namespace;
        let known = ctx.index.known_scans(namespace, revision);
        let Some(template) = injected_template(&self.draft, revision) else {
            let mut evaluation = evaluate(revision, &self.draft, &known);
            let approvals = self.approvals(ctx, revision.containers.len(), &evaluation.pins);
            if let Some(by) = approvals.break_glass() {
                evaluation = evaluation.overridden(by, approvals.skips_people);
            }
            evaluation.approved_by = approvals.so_far();
            evaluation.ended = revision.ended_approvals(&approvals.given);
            return (evaluation, approvals);
        };
        let pins = template.pins();
        let mut injected = revision.clone();
        injected.containers.retain(|name, _| !pins.contains_key(name));
        let approvals = self.approvals(ctx, pins.len(), &pins);
        (evaluate(&injected, &self.draft, &known).with_approved(pins), approvals)
    }

    fn approvals(&self, ctx: &ServerContext, containers: usize, pins: &BTreeMap<String, String>) -> Approvals {
        let policy = ctx.policy(&self.workload.namespace);
        let rule = ApprovalRule { mode: policy.approval, required: policy.required_approvals };
        let all = ctx.index.approvals.state_filter(|approval| approval.spec.uid == self.workload.uid);
        approvals(rule, &self.workload, (containers, pins), Timestamp::now(), all.iter().map(|approval| &**approval))
    }

    /// Whether it was never saved.
    pub(super) fn is_new(&self) -> bool {
        self.object.status.is_none()
    }

    /// Deletes revisions that nothing uses; `templates` can be rolled back to.
    pub(super) fn prune(&mut self, ctx: &ServerContext, templates: &BTreeSet<String>) {
        prune::prune(&mut self.draft, templates, &ctx.index.gated_pods(&self.workload.namespace));
    }

    /// Writes the draft when it differs. A concurrent write is a conflict.
    pub(crate) async fn save(&mut self, ctx: &ServerContext) -> Result<(), ReconcileError> {
        self.draft.observed_generation = self.object.metadata.generation.unwrap_or_default();
        self.draft.set_condition(Timestamp::now());
        if self.object.status.as_ref() == Some(&self.draft) {
            ctx.alerts.noted(&self.draft.alerted);
            return Ok(());
        }
        let before = self.object.status.replace(self.draft.clone());
        let api: Api<WorkloadScan> = Api::namespaced(ctx.client.clone(), &self.workload.namespace);
        let written = api.replace_status(&self.object.name_any(), &PostParams::default(), &self.object).await?;
        ctx.alerts.noted(&self.draft.alerted);
        audit::log_decisions(ctx, &self.workload, before.as_ref(), &self.draft);
        index::settled(&ctx.index.workloads, &written).await;
        self.object = written;
        Ok(())
    }
}

async fn create(ctx: &ServerContext, workload: &WorkloadRef) -> Result<WorkloadScan, ReconcileError> {
    let mut new = WorkloadScan::new(&workload.record_name(), workload.record_spec());
    new.metadata.owner_references = Some(vec![workload.owner_reference()]);
    let api: Api<WorkloadScan> = Api::namespaced(ctx.client.clone(), &workload.namespace);
    match api.create(&PostParams::default(), &new).await {
        Ok(created) => Ok(created),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let found = api.get(&new.name_any()).await?;
            if workload.is_recorded_in(&found.spec) {
                Ok(found)
            } else {
                Err(ReconcileError::RecordTaken(found.name_any()))
            }
        }
        Err(error) => Err(error.into()),
    }
}
