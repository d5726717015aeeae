//! Logs the decisions that a write of a record makes (`docs/audit-log.md`).

use crate::context::ServerContext;
use crate::decide::audit::{AuditFacts, changes, entry};
use crate::decide::workload_ref::WorkloadRef;
use crate::decide::{approval, policy};
use crate::log;
use jiff::Timestamp;
use tidewaiter_crd::ScanException;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

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
        let now = Timestamp::now();
        let pins = revision.pins();
        let given = ctx.index.approvals.find(|given| approval::is_of(given, workload, &pins, now));
        let exceptions = ctx.index.exceptions_in(namespace);
        let facts = AuditFacts {
            workload,
            scans: &ctx.index.known_scans(namespace, revision),
            policies: policy::names(&ctx.index.policies.state(), namespace),
            approval: ctx.policy(namespace).approval,
            given: given.as_deref(),
            exceptions: exceptions.iter().map(|exception| &**exception).collect::<Vec<&ScanException>>(),
        };
        log::audit(&entry((hash, decision), revision, &facts, now));
    }
}
