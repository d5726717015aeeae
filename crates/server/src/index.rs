//! The objects of the cluster in memory: one watch per kind, and what a change enqueues.
//!
//! ```text
//! API server → watch → reflector store → controllers and admission read
//!                   ↘ change → queues → controllers reconcile
//! ```

mod changes;
mod enqueue;
mod jobs;
mod namespaces;
mod scans;
mod settled;
mod slim;
mod watch;

pub(crate) use settled::{left, settled};

use crate::api_reach::ApiReach;
use crate::decide::enforced::NamespaceSelection;
use crate::decide::images;
use crate::decide::pod::allowed_pins;
use crate::decide::pod_owner::{PodOwner, job_of, pod_owner, replica_set_of};
use crate::decide::rollout::belongs_to;
use crate::decide::workload_ref::WorkloadRef;
use crate::queues::Queues;
use crate::watch_problems::WatchProblems;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ServiceAccount};
use kube::runtime::reflector::{self, ObjectRef, Store, store::Writer};
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewaiter_core::image::Platform;
use tidewaiter_crd::namespace::Labels;
use tidewaiter_crd::{ClusterScanPolicy, ImageScan, RolloutApproval, ScanException, ScanPolicy, WorkloadScan};

/// One store per kind.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) deployments: Store<Deployment>,
    pub(crate) replica_sets: Store<ReplicaSet>,
    pub(crate) stateful_sets: Store<StatefulSet>,
    pub(crate) jobs: Store<Job>,
    pub(crate) cron_jobs: Store<CronJob>,
    /// Gated Pods alone: a cluster has many Pods, and only these wait for the server.
    pub(crate) gated: Store<Pod>,
    pub(crate) workloads: Store<WorkloadScan>,
    pub(crate) images: Store<ImageScan>,
    pub(crate) policies: Store<ClusterScanPolicy>,
    pub(crate) namespaced_policies: Store<ScanPolicy>,
    pub(crate) approvals: Store<RolloutApproval>,
    exceptions: Store<ScanException>,
    pub(crate) nodes: Store<Node>,
    pub(crate) namespaces: Store<Namespace>,
    /// For the pull secrets that they name.
    pub(crate) service_accounts: Store<ServiceAccount>,
    queues: Queues,
    problems: WatchProblems,
    /// The nodes' platforms when images were last enqueued for them.
    last_platforms: Mutex<Vec<Platform>>,
    /// Each ClusterScanPolicy at its last change.
    last_policies: Mutex<BTreeMap<String, SeenPolicy>>,
    /// The labels of each namespace at its last change.
    last_labels: Mutex<BTreeMap<String, Labels>>,
    /// The namespaces that policies enforced when a ScanPolicy changed last; none once something else changed them.
    last_enforced: Mutex<Option<NamespaceSelection>>,
}

/// What tells a policy from what it was: a change of status or annotations alone changes neither.
#[derive(Debug, PartialEq, Eq)]
struct SeenPolicy {
    uid: Option<String>,
    generation: Option<i64>,
}

/// The writing ends of the stores.
struct IndexWriters {
    deployments: Writer<Deployment>,
    replica_sets: Writer<ReplicaSet>,
    stateful_sets: Writer<StatefulSet>,
    jobs: Writer<Job>,
    cron_jobs: Writer<CronJob>,
    gated: Writer<Pod>,
    workloads: Writer<WorkloadScan>,
    images: Writer<ImageScan>,
    policies: Writer<ClusterScanPolicy>,
    namespaced_policies: Writer<ScanPolicy>,
    approvals: Writer<RolloutApproval>,
    exceptions: Writer<ScanException>,
    nodes: Writer<Node>,
    namespaces: Writer<Namespace>,
    service_accounts: Writer<ServiceAccount>,
}

impl Index {
    /// Starts all watches; they continue until the process ends.
    pub(crate) fn start(client: &Client, queues: &Queues, reach: &ApiReach) -> Arc<Self> {
        let (mut index, writers) = Self::new(queues.clone());
        index.problems = reach.problems();
        let index = Arc::new(index);
        watch::start(client, &index, writers);
        index
    }

    fn new(queues: Queues) -> (Self, IndexWriters) {
        let (deployments, deployments_writer) = reflector::store();
        let (replica_sets, replica_sets_writer) = reflector::store();
        let (stateful_sets, stateful_sets_writer) = reflector::store();
        let (jobs, jobs_writer) = reflector::store();
        let (cron_jobs, cron_jobs_writer) = reflector::store();
        let (gated, gated_writer) = reflector::store();
        let (workloads, workloads_writer) = reflector::store();
        let (images, images_writer) = reflector::store();
        let (policies, policies_writer) = reflector::store();
        let (namespaced_policies, namespaced_policies_writer) = reflector::store();
        let (approvals, approvals_writer) = reflector::store();
        let (exceptions, exceptions_writer) = reflector::store();
        let (nodes, nodes_writer) = reflector::store();
        let (namespaces, namespaces_writer) = reflector::store();
        let (service_accounts, service_accounts_writer) = reflector::store();
        let writers = IndexWriters {
            deployments: deployments_writer,
            replica_sets: replica_sets_writer,
            stateful_sets: stateful_sets_writer,
            jobs: jobs_writer,
            cron_jobs: cron_jobs_writer,
            gated: gated_writer,
            workloads: workloads_writer,
            images: images_writer,
            policies: policies_writer,
            namespaced_policies: namespaced_policies_writer,
            approvals: approvals_writer,
            exceptions: exceptions_writer,
            nodes: nodes_writer,
            namespaces: namespaces_writer,
            service_accounts: service_accounts_writer,
        };
        let (problems, last_platforms) = (WatchProblems::default(), Mutex::default());
        let (last_labels, last_enforced, last_policies) = (Mutex::default(), Mutex::default(), Mutex::default());
        let index = Index {
            deployments,
            replica_sets,
            stateful_sets,
            jobs,
            cron_jobs,
            gated,
            workloads,
            images,
            policies,
            namespaced_policies,
            approvals,
            exceptions,
            nodes,
            namespaces,
            service_accounts,
            queues,
            problems,
            last_platforms,
            last_policies,
            last_labels,
            last_enforced,
        };
        (index, writers)
    }

    /// Waits until every store was filled once.
    pub(crate) async fn ready(&self) {
        let _ = self.deployments.wait_until_ready().await;
        let _ = self.replica_sets.wait_until_ready().await;
        let _ = self.stateful_sets.wait_until_ready().await;
        let _ = self.jobs.wait_until_ready().await;
        let _ = self.cron_jobs.wait_until_ready().await;
        let _ = self.gated.wait_until_ready().await;
        let _ = self.workloads.wait_until_ready().await;
        let _ = self.images.wait_until_ready().await;
        let _ = self.policies.wait_until_ready().await;
        let _ = self.namespaced_policies.wait_until_ready().await;
        let _ = self.approvals.wait_until_ready().await;
        let _ = self.exceptions.wait_until_ready().await;
        let _ = self.nodes.wait_until_ready().await;
        let _ = self.namespaces.wait_until_ready().await;
        let _ = self.service_accounts.wait_until_ready().await;
    }

    /// The ScanExceptions of a namespace.
    pub(crate) fn exceptions_in(&self, namespace: &str) -> Vec<Arc<ScanException>> {
        self.exceptions.state_filter(|exception| exception.namespace().as_deref() == Some(namespace))
    }

    /// The ScanPolicies of a namespace.
    pub(crate) fn policies_in(&self, namespace: &str) -> Vec<Arc<ScanPolicy>> {
        self.namespaced_policies.state_filter(|policy| policy.namespace().as_deref() == Some(namespace))
    }

    /// Problems of the watches, one sentence each.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.all()
    }

    /// The record of a workload.
    pub(crate) fn record(&self, workload: &WorkloadRef) -> Option<Arc<WorkloadScan>> {
        let key = ObjectRef::new(&workload.record_name()).within(&workload.namespace);
        self.workloads.get(&key).filter(|record| workload.is_recorded_in(&record.spec))
    }

    /// The workload of a Pod.
    pub(crate) fn pod_owner(&self, pod: &Pod, namespace: &str) -> PodOwner {
        let set = replica_set_of(pod).and_then(|o| self.replica_sets.get(&ObjectRef::new(&o.name).within(namespace)));
        let job = job_of(pod).and_then(|owner| self.job(namespace, &owner.name, &owner.uid));
        pod_owner(pod, namespace, set.as_deref(), job.map(|job| self.job_owner(&job, namespace)))
    }

    /// The pinned images of a Pod that may run immediately.
    pub(crate) fn allowed_pins(&self, pod: &Pod, namespace: &str) -> Option<BTreeMap<String, String>> {
        let wanted = images::of(pod.spec.as_ref()?);
        let (workload, template) = match self.pod_owner(pod, namespace) {
            PodOwner::Template { workload, template } => (workload, Some(template)),
            PodOwner::Other(workload) => (workload, None),
            PodOwner::Unknown => return None,
        };
        allowed_pins(self.record(&workload)?.status.as_ref()?, template.as_deref(), &wanted)
    }

    /// The ReplicaSets of a Deployment.
    pub(crate) fn replica_sets_of(&self, deployment: &Deployment) -> Vec<Arc<ReplicaSet>> {
        let uid = deployment.uid();
        self.replica_sets.state_filter(|set| set.owner_references().iter().any(|o| Some(&o.uid) == uid.as_ref()))
    }

    /// The gated Pods of a namespace.
    pub(crate) fn gated_pods(&self, namespace: &str) -> Vec<Arc<Pod>> {
        self.gated.state_filter(|pod| pod.namespace().as_deref() == Some(namespace))
    }

    /// The gated Pods that a workload's UID owns.
    pub(crate) fn gated_pods_of(&self, workload: &WorkloadRef) -> Vec<Arc<Pod>> {
        let mut pods = self.gated_pods(&workload.namespace);
        pods.retain(|pod| belongs_to(pod, &workload.uid));
        pods
    }

    /// The gated Pods that are made from templates of a workload: of a Deployment's ReplicaSets, of a CronJob's Jobs.
    pub(crate) fn gated_pods_of_templates(&self, workload: &WorkloadRef) -> Vec<Arc<Pod>> {
        let mut pods = self.gated_pods(&workload.namespace);
        pods.retain(|pod| match self.pod_owner(pod, &workload.namespace) {
            PodOwner::Template { workload: owner, .. } => owner.uid == workload.uid,
            PodOwner::Other(_) | PodOwner::Unknown => false,
        });
        pods
    }

    /// The platforms of the cluster's nodes; this machine's while there is no node.
    pub(crate) fn platforms(&self) -> Vec<Platform> {
        let mut all: Vec<Platform> = self.nodes.state().iter().filter_map(|node| platform_of(node)).collect();
        // In one order, so that a node that joins with a known platform changes nothing.
        all.sort();
        all.dedup();
        if all.is_empty() { vec![Platform::new("linux", std::env::consts::ARCH).normalised()] } else { all }
    }
}

fn platform_of(node: &Node) -> Option<Platform> {
    let info = node.status.as_ref()?.node_info.as_ref()?;
    Some(Platform::new(&info.operating_system, &info.architecture).normalised())
}

#[cfg(test)]
mod tests;
