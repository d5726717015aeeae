//! The message of a workload's record: state, cause and next step in one paragraph.

use super::evaluation::Evaluation;
use super::holdable::Holdable as _;
use super::refused::lost_meanwhile;
use super::workload_ref::WorkloadRef;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use tidewaiter_core::severity::Severity;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
use tidewaiter_crd::WorkloadKind;
use tidewaiter_crd::alert::AlertState;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// Reasons named in a message; a condition is read in one terminal line or two, and the report holds all of them.
const NAMED_REASONS: usize = 3;

/// What to do about a container that the workload's template does not name.
const INJECTED: &str =
    "set it in what injects it (a sidecar injector or an admission policy) and delete the Pods that wait";

/// What an evaluation of a workload brought, for people.
#[derive(Debug)]
pub(crate) struct WorkloadNews<'a> {
    pub(crate) workload: &'a WorkloadRef,
    /// Hash of the current template.
    pub(crate) template: &'a str,
    pub(crate) evaluation: &'a Evaluation,
    pub(crate) status: WorkloadStatus,
    /// Whether a running revision lost its approval to a new finding.
    pub(crate) lost: bool,
    /// Whether the images are those of Pods that something injected containers into.
    pub(crate) injected: bool,
    /// Whether it is about an update that admission refused.
    pub(crate) refused: bool,
    /// Whether only a pause of the user's own keeps it from rolling out.
    pub(crate) paused_by_user: bool,
    /// Whether it can go back to a template that may run.
    pub(crate) has_earlier: bool,
}

impl<'a> WorkloadNews<'a> {
    /// News of a workload's own images.
    pub(crate) fn new(
        workload: &'a WorkloadRef,
        template: &'a str,
        evaluation: &'a Evaluation,
        status: WorkloadStatus,
    ) -> Self {
        WorkloadNews {
            workload,
            template,
            evaluation,
            status,
            lost: false,
            injected: false,
            refused: false,
            paused_by_user: false,
            has_earlier: false,
        }
    }

    /// Whether action is needed: Events warn then.
    pub(crate) fn is_bad(&self) -> bool {
        self.lost || self.status.deployment == DeploymentStatus::Blocked || self.evaluation.break_glass.is_some()
    }

    /// What has happened, as Events and alerts name it: what overrides policy is told as that, once, however far the rollout is.
    pub(crate) fn event(&self) -> String {
        match self.evaluation.break_glass {
            Some(_) => "BreakGlass".to_owned(),
            None => self.status.deployment.to_string(),
        }
    }

    /// What receivers of alerts choose by.
    pub(crate) fn alert_state(&self) -> AlertState {
        match self.status.deployment {
            _ if self.evaluation.break_glass.is_some() => AlertState::BreakGlass,
            _ if self.lost => AlertState::ApprovalLost,
            DeploymentStatus::NotCreated | DeploymentStatus::Created => AlertState::Created,
            DeploymentStatus::Blocked => AlertState::Blocked,
            DeploymentStatus::PendingApproval => AlertState::PendingApproval,
            DeploymentStatus::RollingOut => AlertState::RollingOut,
            DeploymentStatus::Deployed => AlertState::Deployed,
        }
    }

    /// The worst severity, where it is findings that it is about: not where a scan failed, a person overrides policy, or an
    /// approval ended.
    pub(crate) fn severity(&self) -> Option<Severity> {
        let of_people = self.evaluation.break_glass.is_some() || self.evaluation.ended.is_some();
        self.evaluation.severity.filter(|_| !of_people && self.status.image != ImageStatus::ScanFailed)
    }

    /// Whether nobody has to do anything about it any more: it is not held, whether it was approved or runs as before, and
    /// nothing else that runs has lost its approval, while the record shows an update of it.
    pub(crate) fn is_over(&self, record: &WorkloadScanStatus) -> bool {
        let is_free = matches!(self.alert_state(), AlertState::RollingOut | AlertState::Deployed);
        is_free && lost_meanwhile(record).is_none()
    }

    /// The message.
    pub(crate) fn message(&self) -> String {
        let state = self.state();
        match (self.refused, self.status.image) {
            (false, _) => state,
            (true, ImageStatus::Approved) => {
                format!("{state}. The update that was refused may be applied now: apply it again")
            }
            (true, _) => {
                format!("an update waits, and what runs goes on: {state}. Apply it again once its images are approved")
            }
        }
    }

    fn state(&self) -> String {
        let lines = self.evaluation.lines.join("; ");
        let name = self.workload.label();
        let rescan = match self.workload.kind {
            WorkloadKind::Deployment => format!("kubectl scan deployment {}", self.workload.name),
            _ => "kubectl scan image IMAGE".to_owned(),
        };
        let rescan = if self.injected { "kubectl scan image IMAGE" } else { &rescan };
        let reasons = self.named_reasons();
        match (self.status.deployment, self.status.image) {
            _ if self.lost
                && let Some(people) = &self.evaluation.ended =>
            {
                format!(
                    "the approval by {people} has ended. It continues to run; a rollout of another image is held{}",
                    self.findings()
                )
            }
            _ if self.lost => format!(
                "a new finding in a running image: {lines}. It continues to run; a rollout of another image is held: {reasons}"
            ),
            (DeploymentStatus::Created, _) => format!("held until its images are scanned: {lines}"),
            (DeploymentStatus::Blocked, ImageStatus::ScanFailed) => {
                format!("held: {lines}. It is scanned again automatically once that is solved; to rescan now: {rescan}")
            }
            (DeploymentStatus::Blocked, _) => {
                let advice = if self.injected { INJECTED.to_owned() } else { self.way_to_another_image() };
                format!(
                    "blocked by policy: {lines}. {reasons}. Push a fixed image and {advice}, or push it under the same tag \
                     and: {rescan}{}",
                    self.way_back()
                )
            }
            (DeploymentStatus::PendingApproval, _) => {
                let found = if lines.is_empty() { "No vulnerabilities found".to_owned() } else { lines };
                let who = match &self.evaluation.approved_by {
                    Some(people) => format!("{people} approved it, and another person"),
                    None => "a person".to_owned(),
                };
                format!("{found}. Policy allows it; {who} must approve: kubectl scan approve {name}")
            }
            (_, ImageStatus::Approved) if let Some(by) = &self.evaluation.break_glass => {
                let until = by.expires.as_ref().map(ToString::to_string).unwrap_or_default();
                format!(
                    "policy is overridden until {until} by {}, who says: {}. Then it runs on, and a rollout of another image is held{}",
                    by.by,
                    by.reason,
                    self.findings()
                )
            }
            (_, ImageStatus::Approved) if self.paused_by_user => {
                let (stopped, resume) = match self.workload.kind {
                    WorkloadKind::Job => (Job::STOPPED, Job::resume_command(&name)),
                    WorkloadKind::CronJob => (CronJob::STOPPED, CronJob::resume_command(&name)),
                    _ => (Deployment::STOPPED, Deployment::resume_command(&name)),
                };
                format!("every image is approved; its user {stopped} it, and ends that by: {resume}")
            }
            (_, ImageStatus::Approved) if lines.is_empty() => "every image is approved".to_owned(),
            (_, ImageStatus::Approved) => format!("every image is approved: {lines}"),
            _ if lines.is_empty() => "runs as before: its images are not scanned yet".to_owned(),
            _ => format!("runs as before; a rollout of another image is held: {lines}"),
        }
    }

    /// How a fixed image of another name gets into the workload: not every kind's template may be changed, and not every
    /// controller replaces the Pods that wait.
    fn way_to_another_image(&self) -> String {
        let name = self.workload.label();
        match &self.workload.kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::CronJob => {
                format!("set it (kubectl set image {name} …)")
            }
            WorkloadKind::ReplicaSet => {
                format!("set it (kubectl set image {name} …) and delete the Pods that wait")
            }
            WorkloadKind::Job => {
                format!("create {name} again with it (if a CronJob made it: set it there, and delete {name})")
            }
            WorkloadKind::Pod => format!("create {name} again with it"),
            WorkloadKind::Other(_) => format!("set it in {name} and delete the Pods that wait"),
        }
    }

    fn way_back(&self) -> String {
        match self.has_earlier && self.workload.kind == WorkloadKind::Deployment {
            true => format!(". Back to what ran: kubectl scan rollback {}", self.workload.label()),
            false => String::new(),
        }
    }

    /// What scans and policy say, to end a sentence with; nothing where the images are clean.
    fn findings(&self) -> String {
        let parts = [self.evaluation.lines.join("; "), self.named_reasons()];
        let said: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        if said.is_empty() { String::new() } else { format!(": {}", said.join(". ")) }
    }

    fn named_reasons(&self) -> String {
        let named: Vec<&str> = self.evaluation.reasons.iter().map(String::as_str).take(NAMED_REASONS).collect();
        match self.evaluation.reasons.len().saturating_sub(NAMED_REASONS) {
            0 => named.join("; "),
            more => format!("{} and {more} more", named.join("; ")),
        }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
