//! The audit log: what was decided about which images, by which rule, and who approved it.
//!
//! A decision is logged when it is written into a WorkloadScan, and not again while the record says the same: evaluations
//! that change nothing, restarts and retries of a failed scan log nothing.

use super::evaluation::{KnownScans, scanned_image};
use super::workload_ref::WorkloadRef;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;
use tidewaiter_core::Reason;
use tidewaiter_core::policy::Outcome;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};
use tidewaiter_crd::policy::ApprovalMode;
use tidewaiter_crd::workload_scan::{Container, Decision, GivenApproval, Revision, Transition, WorkloadScanStatus};
use tidewaiter_crd::{ObjectTime, ScanException};

/// A decision in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum AuditedDecision {
    /// Its images must be scanned first.
    Held,
    /// An update of a DaemonSet or StatefulSet was refused until its images are approved.
    Refused,
    /// Policy does not allow an image, or it cannot be scanned.
    Blocked,
    /// Policy allows it; a person must approve.
    AwaitingApproval,
    /// It may run.
    Approved,
    /// It runs and continues to; nothing approved it.
    Retained,
    /// It was approved, and is no longer: what runs continues to.
    ApprovalLost,
}

/// The decisions that a write of a record makes, by the hashes of their revisions.
pub(crate) fn changes(
    before: Option<&WorkloadScanStatus>,
    after: &WorkloadScanStatus,
) -> Vec<(String, AuditedDecision)> {
    let changed = |(hash, revision): (&String, &Revision)| {
        let known = before.and_then(|record| Some((record, record.revisions.get(hash)?)));
        let new = decision(after, hash, revision);
        let old = known.map(|(record, revision)| decision(record, hash, revision));
        let by_others = known.is_some_and(|(_, known)| known.approved_by != revision.approved_by);
        let is_news =
            is_news(old, new, || was_logged(after, revision)) || (new == AuditedDecision::Approved && by_others);
        is_news.then(|| (hash.clone(), new))
    };
    after.revisions.iter().filter_map(changed).collect()
}

/// What a record says about one of its revisions. The statuses are those of the current one.
fn decision(record: &WorkloadScanStatus, hash: &str, revision: &Revision) -> AuditedDecision {
    let is_current = record.current.as_deref() == Some(hash);
    match revision.decision {
        Decision::Approved => AuditedDecision::Approved,
        Decision::Retained if revision.lost => AuditedDecision::ApprovalLost,
        Decision::Retained => AuditedDecision::Retained,
        Decision::Held if is_current && record.deployment_status == DeploymentStatus::Blocked => {
            AuditedDecision::Blocked
        }
        Decision::Held if is_current && record.deployment_status == DeploymentStatus::PendingApproval => {
            AuditedDecision::AwaitingApproval
        }
        Decision::Held if record.refused.as_ref().is_some_and(|refused| refused.revision == hash) => {
            AuditedDecision::Refused
        }
        Decision::Held => AuditedDecision::Held,
    }
}

fn is_news(old: Option<AuditedDecision>, new: AuditedDecision, was_logged: impl FnOnce() -> bool) -> bool {
    use AuditedDecision::{ApprovalLost, Approved, AwaitingApproval, Blocked, Held, Refused, Retained};
    match (old, new) {
        (None, _) => true,
        (Some(old), new) if old == new => false,
        // A scan runs again, or another revision became the current one: what was said of this one holds.
        (Some(Blocked | AwaitingApproval | Refused), Held) | (Some(Blocked | AwaitingApproval), Refused) => false,
        // A scan ended again, and as before.
        (Some(Held | Refused), Blocked | AwaitingApproval) => !was_logged(),
        (Some(_), Held | Refused | Blocked | AwaitingApproval | Approved | Retained | ApprovalLost) => true,
    }
}

/// Whether the newest transition of a revision repeats the last one that was a decision.
fn was_logged(record: &WorkloadScanStatus, revision: &Revision) -> bool {
    let added = revision.added.as_ref().and_then(ObjectTime::timestamp);
    let own = |transition: &&Transition| transition.time.timestamp() >= added;
    let decided = |transition: &&Transition| {
        matches!(transition.deployment_status, DeploymentStatus::Blocked | DeploymentStatus::PendingApproval)
    };
    let statuses = |transition: &Transition| (transition.image_status, transition.deployment_status);
    let mut all = record.transitions.iter().rev().filter(own).filter(decided).map(statuses);
    let now: (ImageStatus, DeploymentStatus) = (record.image_status, record.deployment_status);
    all.next() == Some(now) && all.next() == Some(now)
}

/// What the cluster says at the time of a decision.
#[derive(Debug)]
pub(crate) struct AuditFacts<'a> {
    pub(crate) workload: &'a WorkloadRef,
    pub(crate) scans: &'a KnownScans,
    /// Names of the policies of the namespace.
    pub(crate) policies: Vec<String>,
    pub(crate) approval: ApprovalMode,
    /// The ScanExceptions of the namespace.
    pub(crate) exceptions: Vec<&'a ScanException>,
}

/// One line of the audit log (`docs/audit-log.md`).
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditEntry {
    time: String,
    decision: AuditedDecision,
    namespace: String,
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    revision: String,
    images: Vec<AuditedImage>,
    policies: Vec<String>,
    approval: ApprovalMode,
    /// The people's approvals that it followed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approved_by: Vec<GivenApproval>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exceptions: Vec<AuditedException>,
}

/// An image of the decision, and what its scan says.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditedImage {
    container: String,
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// Why the image is not allowed, worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    /// Why it could not be scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Reason>,
    /// Names of the exceptions that its findings use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exceptions: Vec<String>,
}

/// An exception that an image of the decision uses.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditedException {
    name: String,
    vulnerabilities: Vec<String>,
    reason: String,
    requested_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    /// The day that it names, or the earlier one on which policy ends it.
    expires: String,
}

/// The entry of one decision.
pub(crate) fn entry(
    (hash, decision): (String, AuditedDecision),
    revision: &Revision,
    facts: &AuditFacts<'_>,
    now: Timestamp,
) -> AuditEntry {
    let images: Vec<AuditedImage> = revision.containers.iter().map(|one| image(one, revision, facts.scans)).collect();
    let used: BTreeSet<&str> = images.iter().flat_map(|image| &image.exceptions).map(String::as_str).collect();
    let name = |object: &ScanException| object.metadata.name.clone().unwrap_or_default();
    let exceptions = facts.exceptions.iter().filter(|object| used.contains(name(object).as_str()));
    let workload = facts.workload;
    AuditEntry {
        time: now.to_string(),
        decision,
        namespace: workload.namespace.clone(),
        api_version: workload.api_version.clone(),
        kind: workload.kind.to_string(),
        name: workload.name.clone(),
        uid: workload.uid.clone(),
        revision: hash,
        policies: facts.policies.clone(),
        approval: facts.approval,
        approved_by: revision.approved_by.clone(),
        exceptions: exceptions.map(|object| exception(name(object), object)).collect(),
        images,
    }
}

fn image((name, container): (&String, &Container), revision: &Revision, scans: &KnownScans) -> AuditedImage {
    let scan = scans.get(&scanned_image(container, revision.decision, scans));
    let status = scan.and_then(|scan| scan.status.clone()).unwrap_or_default();
    AuditedImage {
        container: name.clone(),
        image: container.image.clone(),
        // Of a held one: what was scanned.
        pinned: container
            .pinned
            .clone()
            .or_else(|| status.digest.map(|digest| format!("{}@{digest}", container.image))),
        verdict: status.verdict,
        database: status.database,
        reasons: status.reasons,
        failure: status.reason,
        exceptions: status.exceptions,
    }
}

fn exception(name: String, object: &ScanException) -> AuditedException {
    let spec = object.spec.clone();
    let by_policy = object.status.as_ref().and_then(|status| status.ends_by_policy.clone());
    AuditedException {
        name,
        vulnerabilities: spec.vulnerabilities,
        reason: spec.reason,
        requested_by: spec.requested_by,
        approved_by: spec.approved_by,
        expires: by_policy.unwrap_or(spec.expires),
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
