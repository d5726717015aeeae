//! Whose a Job is: a run of its CronJob, which was decided about once, or a workload of its own.

use super::holdable::{Holdable as _, controller, is_cron_job};
use super::images;
use super::pins::{ImageUse, pins};
use super::workload_ref::WorkloadRef;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_crd::workload_scan::{Decision, Revision, WorkloadScanStatus};

/// The workload that a Job belongs to, with the name of the revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobOwner {
    /// Itself.
    Itself(WorkloadRef, String),
    /// Its CronJob.
    CronJob(WorkloadRef, String),
    /// A CronJob that the watch has not delivered yet.
    Unknown,
}

/// The owner reference to look up as a CronJob before [`job_owner`] can decide.
pub(crate) fn cron_job_of(job: &Job) -> Option<&OwnerReference> {
    controller(&job.metadata).filter(|owner| is_cron_job(owner))
}

/// Finds a Job's workload; `cron_job` is the object of the name that [`cron_job_of`] refers to, and `record` its record. Users
/// write owner references, and create Jobs of a CronJob with other images: only the same images make a run of it.
pub(crate) fn job_owner(
    job: &Job,
    namespace: &str,
    cron_job: Option<&CronJob>,
    record: Option<&WorkloadScanStatus>,
) -> JobOwner {
    let itself = || JobOwner::Itself(WorkloadRef::held(job, namespace), job.revision());
    let Some(reference) = cron_job_of(job) else { return itself() };
    let Some(cron_job) = cron_job.filter(|c| c.metadata.uid.as_ref() == Some(&reference.uid)) else {
        return JobOwner::Unknown;
    };
    let template = job.template().map(images::template_hash).unwrap_or_default();
    match revision_of_run(cron_job, record, &template, &job.images()) {
        Some(revision) => JobOwner::CronJob(WorkloadRef::held(cron_job, namespace), revision),
        None => itself(),
    }
}

/// The revision of a CronJob that a run with these images is of: that of the very template, unless it was superseded while it
/// was held and another one with the same images may run; else, where something changed more than images in the Job, the
/// present one; else any with the same images, one that may run first.
fn revision_of_run(
    cron_job: &CronJob,
    record: Option<&WorkloadScanStatus>,
    template: &str,
    wanted: &BTreeMap<String, String>,
) -> Option<String> {
    let present = cron_job.revision();
    let is_present = cron_job.images() == *wanted;
    let has_images = |revision: &Revision| {
        let images = revision.containers.iter().map(|(name, container)| (name, &container.image));
        !wanted.is_empty() && images.eq(wanted.iter())
    };
    let known = record.iter().flat_map(|record| &record.revisions);
    let same: Vec<_> = known.filter(|(hash, revision)| !images::is_images_hash(hash) && has_images(revision)).collect();
    let is_known = same.iter().any(|(hash, _)| *hash == template);
    if is_present && (present == template || !is_known) {
        return Some(present);
    }
    // What may run first; of those the very template, then the present one.
    let rank =
        |hash: &str, revision: &Revision| (revision.decision != Decision::Held, hash == template, hash == present);
    let best = same.into_iter().max_by_key(|(hash, revision)| rank(hash, revision));
    best.map(|(hash, _)| hash.clone())
}

/// The revisions that were superseded before anything was decided about them, and of which there are runs: these wait for a
/// decision that the CronJob itself needs no more.
pub(crate) fn awaited_by_runs<'a>(
    record: &WorkloadScanStatus,
    current: &str,
    used: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<String> {
    let is_held = |hash: &str| record.revisions.get(hash).is_some_and(|revision| revision.decision == Decision::Held);
    used.into_iter().filter(|hash| *hash != current && is_held(hash)).map(str::to_owned).collect()
}

/// Name → pinned image of a run that may start immediately: what a CronJob may run, its Jobs may. What is retained runs where
/// the present template has the same images.
pub(crate) fn pins_of_run(record: &WorkloadScanStatus, revision: &str, job: &Job) -> Option<BTreeMap<String, String>> {
    let of_run = record.revisions.get(revision).map(Revision::pins);
    let is_present = record.current_revision().is_none_or(|current| Some(current.pins()) == of_run);
    pins(record, revision, &job.images(), if is_present { ImageUse::Pod } else { ImageUse::Rollout })
}

/// Whether a Job waits to be started: it is suspended, and has not ended.
pub(crate) fn is_waiting(job: &Job) -> bool {
    job.paused() && !is_finished(job)
}

/// Whether a Job is to be decided about as an object: it waits to be started, or its revision still waits for its decision.
pub(crate) fn awaits_decision(job: &Job, record: Option<&WorkloadScanStatus>) -> bool {
    let revision = record.and_then(|record| record.revisions.get(&job.revision()));
    let is_held = revision.is_some_and(|revision| revision.decision == Decision::Held);
    !is_finished(job) && (job.paused() || is_held)
}

/// Whether a Job has started and not ended: it has Pods, or is about to have.
pub(crate) fn is_active(job: &Job) -> bool {
    let started = job.status.as_ref().is_some_and(|status| status.start_time.is_some());
    started && !job.paused() && !is_finished(job)
}

/// Whether a Job has no Pod yet: it was released a moment ago.
pub(crate) fn is_starting(job: &Job) -> bool {
    let active = job.status.as_ref().and_then(|status| status.active).unwrap_or_default();
    !is_finished(job) && active == 0
}

/// Whether a Job has ended.
pub(crate) fn is_finished(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|c| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{pinned, record, revision};
    use Decision::{Approved, Held, Retained};
    use serde_json::{Value, from_value, json};

    fn template(image: &str, variable: &str) -> Value {
        json!({"spec": {"containers": [{"name": "c", "image": image, "env": [{"name": "V", "value": variable}]}]}})
    }

    fn cron_job(uid: &str, image: &str) -> CronJob {
        from_value(json!({"metadata": {"name": "nightly", "uid": uid}, "spec": {"schedule": "@daily",
            "jobTemplate": {"spec": {"template": template(image, "1")}}}}))
        .unwrap()
    }

    /// As the API server stores it: with the labels that it adds.
    fn job(owner: Option<(&str, &str)>, image: &str, variable: &str) -> Job {
        let reference = |(kind, uid): (&str, &str)| json!({"kind": kind, "apiVersion": "batch/v1", "name": "nightly", "uid": uid, "controller": true});
        let owners: Vec<Value> = owner.into_iter().map(reference).collect();
        let mut template = template(image, variable);
        template["metadata"]["labels"] = json!({"job-name": "j", "batch.kubernetes.io/job-name": "j",
            "controller-uid": "ju", "batch.kubernetes.io/controller-uid": "ju"});
        from_value(
            json!({"metadata": {"name": "j", "uid": "ju", "ownerReferences": owners}, "spec": {"template": template}}),
        )
        .unwrap()
    }

    fn label(owner: JobOwner) -> String {
        match owner {
            JobOwner::Itself(workload, _) | JobOwner::CronJob(workload, _) => workload.label(),
            JobOwner::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn whose_a_job_is() {
        let known = record(&[("before", revision(Approved, &[("c", "b", None)]))]);
        let check = |owner: Option<(&str, &str)>, image: &str, cron: Option<&CronJob>, expected: &str| {
            assert_eq!(
                label(job_owner(&job(owner, image, "1"), "n", cron, Some(&known))),
                expected,
                "{owner:?} {image}"
            );
        };
        let nightly = cron_job("cu", "a");
        let of = Some(("CronJob", "cu"));
        check(of, "a", Some(&nightly), "cronjob/nightly");
        // Of its last template.
        check(of, "b", Some(&nightly), "cronjob/nightly");
        // A user's claim, or another webhook's image.
        check(of, "other", Some(&nightly), "job/j");
        check(of, "a", None, "unknown");
        check(of, "a", Some(&cron_job("another", "a")), "unknown");
        check(None, "a", Some(&nightly), "job/j");
        check(Some(("JobSet", "cu")), "a", Some(&nightly), "job/j");
    }

    #[test]
    fn a_run_is_of_the_template_that_it_was_made_from() {
        let nightly = cron_job("cu", "a");
        let present = nightly.revision();
        let before = job(None, "a", "0").template().map(images::template_hash).unwrap();
        let check = |recorded: &[(&str, Decision)], image: &str, variable: &str, expected: &str| {
            let of = |(hash, decision): &(&str, Decision)| {
                ((*hash).to_owned(), revision(*decision, &[("c", if *hash == "b" { "b" } else { "a" }, None)]))
            };
            let record =
                WorkloadScanStatus { revisions: recorded.iter().map(of).collect(), ..WorkloadScanStatus::default() };
            let job = job(Some(("CronJob", "cu")), image, variable);
            match job_owner(&job, "n", Some(&nightly), Some(&record)) {
                JobOwner::CronJob(_, revision) => assert_eq!(revision, expected, "{recorded:?} {variable}"),
                other => panic!("{other:?}"),
            }
        };
        check(&[], "a", "1", &present);
        check(&[(&before, Approved), (&present, Held)], "a", "0", &before);
        // Something changed a variable of the Job: its images are decided about.
        check(&[(&before, Approved), (&present, Held)], "a", "2", &present);
        check(&[("b", Held)], "b", "1", "b");
        // Superseded while it was held: what may run with the same images runs.
        check(&[(&before, Held), (&present, Approved)], "a", "0", &present);
        check(&[(&before, Held), (&present, Retained)], "a", "0", &present);
        check(&[(&before, Held), ("other", Approved), (&present, Held)], "a", "0", "other");
        check(&[(&before, Held), ("other", Approved), (&present, Approved)], "a", "0", &present);
        // Nothing with them may: it is decided about as it is.
        check(&[(&before, Held), (&present, Held)], "a", "0", &before);
        // Nor with other images.
        check(&[(&before, Held), ("b", Approved)], "a", "0", &before);
        // A run of the present template waits for its decision.
        check(&[(&before, Approved), (&present, Held)], "a", "1", &present);
        check(&[(&before, Retained), (&present, Approved)], "a", "0", &before);
    }

    #[test]
    fn runs_wait_for_decisions_about_superseded_templates() {
        let record = record(&[
            ("held", revision(Held, &[])),
            ("now", revision(Held, &[])),
            ("approved", revision(Approved, &[])),
            ("retained", revision(Retained, &[])),
        ]);
        let check = |used: &[&str], expected: &[&str]| {
            let awaited = awaited_by_runs(&record, "now", used.iter().copied());
            assert_eq!(awaited.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{used:?}");
        };
        check(&[], &[]);
        check(&["held", "held"], &["held"]);
        // The current one is decided about anyway; these may run; this was pruned.
        check(&["now", "approved", "retained", "unknown"], &[]);
    }

    #[test]
    fn a_run_may_start_what_its_cron_job_may() {
        let check = |decision: Decision, image: &str, expected: bool| {
            let pin = pinned("a", 1);
            let record = record(&[("h", revision(decision, &[("c", "a", Some(&pin))]))]);
            assert_eq!(pins_of_run(&record, "h", &job(None, image, "1")).is_some(), expected, "{decision:?} {image}");
        };
        check(Approved, "a", true);
        check(Retained, "a", true);
        check(Held, "a", false);
        check(Approved, "b", false);
    }

    #[test]
    fn what_lost_its_approval_runs_as_the_present_template_only() {
        let check = |decision: Decision, present: (&str, u8), expected: bool| {
            let (a, b) = (pinned("a", 1), pinned(present.0, present.1));
            let all = [
                ("h", revision(decision, &[("c", "a", Some(&a))])),
                ("now", revision(Approved, &[("c", present.0, Some(&b))])),
            ];
            let record = WorkloadScanStatus { current: Some("now".to_owned()), ..record(&all) };
            assert_eq!(pins_of_run(&record, "h", &job(None, "a", "1")).is_some(), expected, "{decision:?} {present:?}");
        };
        check(Approved, ("b", 2), true);
        check(Retained, ("b", 2), false);
        // Another template of the same images; other images under the same tag.
        check(Retained, ("a", 1), true);
        check(Retained, ("a", 2), false);
    }

    #[test]
    fn which_jobs_are_decided_about() {
        let check = |suspend: bool, decision: Option<Decision>, expected: bool| {
            let mut job = job(None, "a", "1");
            job.spec.as_mut().unwrap().suspend = Some(suspend);
            let hash = job.revision();
            let known = decision.map(|decision| record(&[(&hash, revision(decision, &[("c", "a", None)]))]));
            assert_eq!(awaits_decision(&job, known.as_ref()), expected, "{suspend} {decision:?}");
        };
        check(true, None, true);
        check(true, Some(Approved), true);
        // Its Pods are decided about.
        check(false, None, false);
        check(false, Some(Approved), false);
        // Resumed while the server was away.
        check(false, Some(Held), true);
    }

    #[test]
    fn what_a_job_does() {
        let check = |suspend: bool, status: Value, waiting: bool, active: bool| {
            let job: Job = from_value(json!({"metadata": {}, "spec": {"suspend": suspend, "template": {}},
                "status": status}))
            .unwrap();
            assert_eq!((is_waiting(&job), is_active(&job)), (waiting, active), "{suspend} {status}");
        };
        let started = |conditions: Value| json!({"startTime": "2026-01-01T00:00:00Z", "conditions": conditions});
        let condition = |kind: &str, status: &str| json!([{"type": kind, "status": status}]);
        check(true, json!({}), true, false);
        check(false, json!({}), false, false);
        check(false, started(json!([])), false, true);
        check(false, started(condition("Suspended", "False")), false, true);
        check(true, started(condition("Suspended", "True")), true, false);
        check(false, started(condition("Complete", "True")), false, false);
        check(true, started(condition("Failed", "True")), false, false);
        check(false, started(condition("Failed", "False")), false, true);
    }
}
