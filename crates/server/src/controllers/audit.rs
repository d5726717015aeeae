//! Logs the decisions that a write of a record makes (`docs/audit-log.md`).

use crate::context::ServerContext;
use crate::decide::audit::{AuditFacts, changes, entry};
use crate::decide::policy;
use crate::decide::workload_ref::WorkloadRef;
use crate::log;
use jiff::Timestamp;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;
use tidewaiter_crd::{ChosenNamespace, ScanException};

/// After the write: what was not written was not decided.
pub(super) fn log_decisions(
    ctx: &ServerContext,
    workload: &WorkloadRef,
    before: Option<&WorkloadScanStatus>,
    after: &WorkloadScanStatus,
) {
    let namespace = &workload.namespace;
    for (hash, decision) in changes(before, after) {
        let Some(revision) = after.revisions.get(&hash) else { continue };
        let exceptions = ctx.index.exceptions_in(namespace);
        let labels = ctx.index.labels_of(namespace).unwrap_or_default();
        let chosen = ChosenNamespace::new(namespace, &labels);
        let facts = AuditFacts {
            workload,
            scans: &ctx.index.known_scans(namespace, revision),
            policies: policy::names(&ctx.index.policies.state(), &ctx.index.policies_in(namespace), chosen),
            approval: ctx.policy(namespace).approval,
            exceptions: exceptions.iter().map(|exception| &**exception).collect::<Vec<&ScanException>>(),
        };
        log::audit(&entry((hash, decision), revision, &facts, Timestamp::now()));
    }
}
