//! Jobs and CronJobs: whose a Job is, and what a change of one enqueues.

use super::Index;
use crate::decide::job::{JobOwner, awaits_decision, cron_job_of, is_waiting, job_owner};
use crate::decide::workload_ref::WorkloadRef;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use tidewaiter_crd::WorkloadKind;

impl Index {
    /// The workload of a Job.
    pub(crate) fn job_owner(&self, job: &Job, namespace: &str) -> JobOwner {
        let reference = cron_job_of(job);
        let cron_job = reference.and_then(|o| self.cron_jobs.get(&ObjectRef::new(&o.name).within(namespace)));
        let record = cron_job.as_ref().and_then(|c| self.record(&WorkloadRef::held(&**c, namespace)));
        let status = record.as_ref().and_then(|record| record.status.as_ref());
        job_owner(job, namespace, cron_job.as_deref(), status)
    }

    /// The Job of this name and UID.
    pub(crate) fn job(&self, namespace: &str, name: &str, uid: &str) -> Option<Arc<Job>> {
        let job = self.jobs.get(&ObjectRef::new(name).within(namespace));
        job.filter(|job| job.metadata.uid.as_deref() == Some(uid))
    }

    /// The Jobs of a CronJob.
    pub(crate) fn jobs_of(&self, cron_job: &CronJob) -> Vec<Arc<Job>> {
        let uid = cron_job.uid();
        self.jobs.state_filter(|job| cron_job_of(job).is_some_and(|owner| Some(&owner.uid) == uid.as_ref()))
    }

    /// Whether the controller of Jobs decides about a workload: a Job that waits, and is no run of a CronJob.
    pub(crate) fn is_waiting_job(&self, workload: &WorkloadRef) -> bool {
        let Some(job) = self.job_of_workload(workload) else { return false };
        let record = self.record(workload);
        let status = record.as_ref().and_then(|record| record.status.as_ref());
        let own = matches!(self.job_owner(&job, &workload.namespace), JobOwner::Itself(..));
        own && awaits_decision(&job, status)
    }

    /// The Job that a record is about.
    pub(crate) fn job_of_workload(&self, workload: &WorkloadRef) -> Option<Arc<Job>> {
        let built_in = workload.kind == WorkloadKind::Job && workload.kind.is_built_in(&workload.api_version);
        built_in.then(|| self.job(&workload.namespace, &workload.name, &workload.uid)).flatten()
    }

    /// The Pods of a Job may have waited for it.
    pub(super) fn job_changed(&self, changed: &Job) {
        self.queues.jobs.add(ObjectRef::from_obj(changed));
        self.enqueue_pods_of(changed);
    }

    pub(super) fn cron_job_changed(&self, changed: &CronJob) {
        self.queues.cron_jobs.add(ObjectRef::from_obj(changed));
        self.enqueue_waiting_jobs(&changed.namespace().unwrap_or_default(), &changed.uid().unwrap_or_default());
    }

    /// Enqueues the Jobs of a CronJob that wait for its decision.
    pub(super) fn enqueue_waiting_jobs(&self, namespace: &str, cron_job_uid: &str) {
        let of = |job: &Job| cron_job_of(job).is_some_and(|owner| owner.uid == cron_job_uid);
        let waits = |job: &Job| job.namespace().as_deref() == Some(namespace) && is_waiting(job) && of(job);
        self.jobs.state_filter(waits).iter().for_each(|job| self.queues.jobs.add(ObjectRef::from_obj(&**job)));
    }

    /// Enqueues the CronJobs of these namespaces, and the Jobs that wait.
    pub(super) fn enqueue_jobs(&self, is_meant: &dyn Fn(Option<&str>) -> bool) {
        let cron_jobs = self.cron_jobs.state_filter(|cron_job| is_meant(cron_job.metadata.namespace.as_deref()));
        cron_jobs.iter().for_each(|c| self.queues.cron_jobs.add(ObjectRef::from_obj(&**c)));
        let jobs = self.jobs.state_filter(|job| is_waiting(job) && is_meant(job.metadata.namespace.as_deref()));
        jobs.iter().for_each(|job| self.queues.jobs.add(ObjectRef::from_obj(&**job)));
    }
}
