//! What a change of an object enqueues.

use super::{Index, SeenPolicy};
use crate::decide::enforced::enforced_namespaces;
use crate::decide::evaluation::lacks_credentials;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use tidewaiter_crd::{
    ClusterScanPolicy, ImageScan, RolloutApproval, ScanException, ScanPolicy, WorkloadKind, WorkloadScan,
};

impl Index {
    pub(super) fn deployment_changed(&self, changed: &Deployment) {
        self.queues.deployments.add(ObjectRef::from_obj(changed));
    }

    /// The Pods of a ReplicaSet may have waited for it: it names their Deployment.
    pub(super) fn replica_set_changed(&self, changed: &ReplicaSet) {
        self.enqueue_pods_of(changed);
    }

    /// A new revision supersedes the Pods that wait for the images of the last one.
    pub(super) fn stateful_set_changed(&self, changed: &StatefulSet) {
        self.enqueue_pods_of(changed);
    }

    /// Enqueues the gated Pods that an object owns.
    pub(super) fn enqueue_pods_of<K: Resource>(&self, owner: &K) {
        let uid = owner.uid();
        for pod in self.gated_pods(&owner.namespace().unwrap_or_default()) {
            if pod.owner_references().iter().any(|o| Some(&o.uid) == uid.as_ref()) {
                self.queues.pods.add(ObjectRef::from_obj(&*pod));
            }
        }
    }

    pub(super) fn pod_changed(&self, changed: &Pod) {
        self.queues.pods.add(ObjectRef::from_obj(changed));
    }

    /// A decision concerns the workload, the namespace's allowlist and the Pods that wait for it.
    pub(super) fn workload_changed(&self, changed: &WorkloadScan) {
        let namespace = changed.namespace().unwrap_or_default();
        self.enqueue_record(changed);
        self.queues.reported.notify_one();
        self.queues.namespaces.add(ObjectRef::new(&namespace));
        self.enqueue_pods(&namespace);
    }

    /// A verdict concerns the workloads that use the image, and what may debug in its namespace.
    pub(super) fn image_changed(&self, changed: &ImageScan) {
        let namespace = changed.namespace().unwrap_or_default();
        self.queues.namespaces.add(ObjectRef::new(&namespace));
        self.queues.images.add(ObjectRef::from_obj(changed));
        self.queues.reported.notify_one();
        self.users(changed).iter().for_each(|workload| self.enqueue_record(workload));
        self.enqueue_pods(&namespace);
    }

    /// What the server itself writes about a policy's alerts, and who asks for a test message, changes no decision.
    pub(super) fn policy_changed(&self, changed: &ClusterScanPolicy) {
        if !self.is_another_policy(changed) {
            return;
        }
        self.enqueue_bound();
        self.enqueue_decided(&|_| true);
    }

    /// Whether a policy differs from what was seen last in more than its status and annotations (its generation counts those changes
    /// alone), or is gone.
    fn is_another_policy(&self, changed: &ClusterScanPolicy) -> bool {
        let name = changed.name_any();
        let mut seen = self.last_policies.lock();
        if self.policies.get(&ObjectRef::new(&name)).is_none() {
            seen.remove(&name);
            return true;
        }
        let now = || SeenPolicy { uid: changed.uid(), generation: changed.metadata.generation };
        let before = seen.insert(name, now());
        changed.metadata.generation.is_none() || before != Some(now())
    }

    pub(super) fn namespaced_policy_changed(&self, changed: &ScanPolicy) {
        let namespace = changed.namespace();
        self.follow_enforced();
        self.enqueue_decided(&|other| other == namespace.as_deref());
    }

    /// Enqueues what is bound, whatever it is.
    pub(super) fn enqueue_bound(&self) {
        *self.last_enforced.lock() = None;
        self.queues.policies.add(());
    }

    /// Enqueues what is bound where other namespaces are enforced now. Tenants write ScanPolicies: who touches theirs every
    /// second must not delay what is bound for others, nor the repair of what somebody changed.
    pub(super) fn follow_enforced(&self) {
        let (policies, own) = (self.policies.state(), self.namespaced_policies.state());
        // Which ones are excluded never changes.
        let now = Some(enforced_namespaces(&policies, &own, &self.namespaces.state(), &[]));
        let before = std::mem::replace(&mut *self.last_enforced.lock(), now.clone());
        if before != now {
            self.queues.policies.add(());
        }
    }

    /// Enqueues everything that a policy decides in these namespaces.
    pub(super) fn enqueue_decided(&self, is_meant: &dyn Fn(Option<&str>) -> bool) {
        fn keys<K>(store: &Store<K>, is_meant: &dyn Fn(Option<&str>) -> bool) -> impl Iterator<Item = ObjectRef<K>>
        where
            K: Resource<DynamicType = ()> + Clone,
        {
            let objects = store.state_filter(|object| is_meant(object.meta().namespace.as_deref()));
            objects.into_iter().map(|object| ObjectRef::from_obj(&*object))
        }
        keys(&self.images, is_meant).for_each(|key| self.queues.images.add(key));
        keys(&self.deployments, is_meant).for_each(|key| self.queues.deployments.add(key));
        self.enqueue_jobs(is_meant);
        keys(&self.gated, is_meant).for_each(|key| self.queues.pods.add(key));
        // A policy may limit how long exceptions last, which their status says.
        let exceptions = self.exceptions.state_filter(|exception| is_meant(exception.meta().namespace.as_deref()));
        exceptions.iter().for_each(|exception| {
            self.queues.namespaces.add(ObjectRef::new(&exception.namespace().unwrap_or_default()));
        });
        let records = self.workloads.state_filter(|record| is_meant(record.meta().namespace.as_deref()));
        records.iter().for_each(|record| self.enqueue_record(record));
    }

    pub(crate) fn approval_changed(&self, changed: &RolloutApproval) {
        let namespace = changed.namespace().unwrap_or_default();
        let key = &changed.spec.name;
        match changed.spec.kind {
            WorkloadKind::Deployment => self.queues.deployments.add(ObjectRef::new(key).within(&namespace)),
            WorkloadKind::CronJob => self.queues.cron_jobs.add(ObjectRef::new(key).within(&namespace)),
            WorkloadKind::Job => self.queues.jobs.add(ObjectRef::new(key).within(&namespace)),
            _ => {}
        }
        // Names are for people: the UID decides what it is for.
        self.enqueue_records(&changed.spec.uid);
        self.enqueue_pods(&namespace);
    }

    /// Enqueues the record of a workload: where it runs already, or its update was refused, no Pod waits.
    fn enqueue_records(&self, uid: &str) {
        self.workloads
            .state_filter(|record| record.spec.uid == uid)
            .iter()
            .for_each(|record| self.enqueue_record(record));
    }

    /// An exception concerns the verdicts of its namespace, and has a status of its own.
    pub(super) fn exception_changed(&self, changed: &ScanException) {
        let namespace = changed.namespace().unwrap_or_default();
        // What nobody approved changes no verdict, and anybody can make many of them.
        if changed.spec.approved_by.is_some() {
            let images = self.images.state_filter(|scan| scan.namespace().as_deref() == Some(&namespace));
            images.iter().for_each(|scan| self.queues.images.add(ObjectRef::from_obj(&**scan)));
        }
        self.queues.namespaces.add(ObjectRef::new(&namespace));
    }

    /// Every image must be scanned for a platform that no node had before. Nodes report their state every few seconds:
    /// only a change of the platforms counts.
    pub(super) fn node_changed(&self, _: &Node) {
        let now = self.platforms();
        let mut last = self.last_platforms.lock();
        if *last != now {
            *last = now;
            self.enqueue_images();
        }
    }

    /// It is read when a scan is requested. What waits for want of a login may have one now, and the next try may be hours away.
    pub(super) fn service_account_changed(&self, changed: &ServiceAccount) {
        let namespace = changed.namespace();
        let waits = |scan: &ImageScan| scan.namespace() == namespace && lacks_credentials(scan);
        let waiting = self.images.state_filter(waits);
        for scan in &waiting {
            self.users(scan).iter().for_each(|workload| self.enqueue_record(workload));
        }
        if !waiting.is_empty() {
            self.enqueue_pods(&namespace.unwrap_or_default());
        }
    }
}
