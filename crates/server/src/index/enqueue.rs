//! Enqueues what reconciles an object.

use super::Index;
use crate::decide::pod_owner::PodOwner;
use crate::decide::workload_ref::WorkloadRef;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use tidewaiter_crd::workload_scan::Decision;
use tidewaiter_crd::{WorkloadKind, WorkloadScan};

impl Index {
    /// Enqueues the gated Pods of a namespace.
    pub(crate) fn enqueue_pods(&self, namespace: &str) {
        self.gated_pods(namespace).iter().for_each(|pod| self.queues.pods.add(ObjectRef::from_obj(&**pod)));
    }

    /// Enqueues all ImageScans.
    pub(crate) fn enqueue_images(&self) {
        self.images.state().iter().for_each(|scan| self.queues.images.add(ObjectRef::from_obj(&**scan)));
    }

    /// Enqueues everything, as the first lists do when the server starts: for a process that begins to lead.
    pub(crate) fn enqueue_all(&self) {
        self.enqueue_namespaces();
        self.enqueue_decided(&|_| true);
    }

    /// Enqueues all namespaces.
    pub(crate) fn enqueue_namespaces(&self) {
        self.namespaces.state().iter().for_each(|n| self.queues.namespaces.add(ObjectRef::from_obj(&**n)));
    }

    /// Enqueues what reconciles a workload: Deployments, Jobs and CronJobs have their own controllers; of anything else the
    /// Pods wait.
    pub(crate) fn enqueue_workload(&self, workload: &WorkloadRef) {
        let (name, namespace) = (&workload.name, &workload.namespace);
        match workload.kind {
            // One of the same name in another API group has no controller here.
            _ if !workload.kind.is_built_in(&workload.api_version) => self.enqueue_pods(namespace),
            WorkloadKind::Deployment => self.queues.deployments.add(ObjectRef::new(name).within(namespace)),
            WorkloadKind::CronJob => self.queues.cron_jobs.add(ObjectRef::new(name).within(namespace)),
            WorkloadKind::Job => {
                self.queues.jobs.add(ObjectRef::new(name).within(namespace));
                self.enqueue_pods(namespace);
            }
            _ => self.enqueue_pods(namespace),
        }
    }

    /// Enqueues whatever publishes the state of a workload, and so notes its alerts: its own controller, those of its Pods, and that
    /// of its record, where nothing waits.
    pub(crate) fn enqueue_publishers(&self, workload: &WorkloadRef) {
        self.enqueue_workload(workload);
        self.record(workload).iter().for_each(|record| self.enqueue_record(record));
    }

    /// Enqueues the record of a Pod that may start although its workload's current revision is held: the workload went
    /// back to what was approved, and no gated Pod tells.
    pub(crate) fn enqueue_returned(&self, pod: &Pod, namespace: &str) {
        let PodOwner::Other(workload) = self.pod_owner(pod, namespace) else { return };
        if let Some(record) = self.record(&workload).filter(|record| is_held(record)) {
            self.queues.returned.add(ObjectRef::from_obj(&*record));
        }
    }

    /// Enqueues a record with the controllers of its kind.
    pub(super) fn enqueue_record(&self, record: &WorkloadScan) {
        let (spec, namespace) = (&record.spec, record.namespace().unwrap_or_default());
        match spec.kind {
            WorkloadKind::Deployment => self.queues.deployments.add(ObjectRef::new(&spec.name).within(&namespace)),
            WorkloadKind::CronJob if spec.kind.is_built_in(&spec.api_version) => {
                self.queues.cron_jobs.add(ObjectRef::new(&spec.name).within(&namespace));
                self.enqueue_waiting_jobs(&namespace, &spec.uid);
            }
            WorkloadKind::Job => {
                self.queues.jobs.add(ObjectRef::new(&spec.name).within(&namespace));
                self.queues.workloads.add(ObjectRef::from_obj(record));
            }
            _ => self.queues.workloads.add(ObjectRef::from_obj(record)),
        }
    }
}

fn is_held(record: &WorkloadScan) -> bool {
    let current = record.status.as_ref().and_then(|status| status.current_revision());
    current.is_some_and(|revision| revision.decision == Decision::Held)
}
