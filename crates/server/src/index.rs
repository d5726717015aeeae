//! What the server knows of the cluster, in memory: one watch per kind, and who is told of a change.

use crate::admission::images;
use crate::queues::Queues;
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidewaiter_core::image::Platform;
use tidewaiter_crd::workload_scan::{self, WorkloadScanStatus};
use tidewaiter_crd::{ClusterScanPolicy, ImageScan, RolloutApproval, WorkloadScan, names};

/// One store per kind.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) deployments: Store<Deployment>,
    pub(crate) replica_sets: Store<ReplicaSet>,
    /// Gated Pods alone.
    pub(crate) gated: Store<Pod>,
    pub(crate) workloads: Store<WorkloadScan>,
    pub(crate) images: Store<ImageScan>,
    pub(crate) policies: Store<ClusterScanPolicy>,
    pub(crate) approvals: Store<RolloutApproval>,
    pub(crate) nodes: Store<Node>,
    pub(crate) namespaces: Store<Namespace>,
    problems: Mutex<BTreeMap<String, String>>,
    /// The nodes' platforms as they were when last looked at.
    judged_for: Mutex<Vec<Platform>>,
}

/// A ReplicaSet's Deployment and the hash of the template they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rollout {
    pub(crate) deployment: String,
    pub(crate) uid: String,
    pub(crate) hash: String,
}

impl Index {
    /// Starts all watches; they go on until the process ends.
    pub(crate) fn start(client: &Client, queues: &Queues) -> Arc<Self> {
        let (deployments, deployments_writer) = reflector::store();
        let (replica_sets, replica_sets_writer) = reflector::store();
        let (gated, gated_writer) = reflector::store();
        let (workloads, workloads_writer) = reflector::store();
        let (images, images_writer) = reflector::store();
        let (policies, policies_writer) = reflector::store();
        let (approvals, approvals_writer) = reflector::store();
        let (nodes, nodes_writer) = reflector::store();
        let (namespaces, namespaces_writer) = reflector::store();
        let (problems, judged_for) = (Mutex::default(), Mutex::default());
        let index = Arc::new(Index {
            deployments,
            replica_sets,
            gated,
            workloads,
            images,
            policies,
            approvals,
            nodes,
            namespaces,
            problems,
            judged_for,
        });
        let watch = Watch { client, queues, index: &index };
        watch.kind("deployments", deployments_writer, |_, q, d: &Deployment| q.deployments.add(ObjectRef::from_obj(d)));
        watch.kind("replicasets", replica_sets_writer, |i, q, r: &ReplicaSet| i.changed_replica_set(q, r));
        watch.kind("pods", gated_writer, |_, q, p: &Pod| q.pods.add(ObjectRef::from_obj(p)));
        watch.kind("workloadscans", workloads_writer, |i, q, w: &WorkloadScan| i.changed_workload(q, w));
        watch.kind("imagescans", images_writer, |i, q, s: &ImageScan| i.changed_image(q, s));
        watch.kind("clusterscanpolicies", policies_writer, |i, q, _: &ClusterScanPolicy| i.changed_policy(q));
        watch.kind("rolloutapprovals", approvals_writer, |i, q, a: &RolloutApproval| i.changed_approval(q, a));
        watch.kind("nodes", nodes_writer, |i, q, _: &Node| i.changed_node(q));
        watch.kind("namespaces", namespaces_writer, |_, q, n: &Namespace| q.namespaces.add(ObjectRef::from_obj(n)));
        index
    }

    /// Waits until every store was filled once.
    pub(crate) async fn ready(&self) {
        let _ = self.deployments.wait_until_ready().await;
        let _ = self.replica_sets.wait_until_ready().await;
        let _ = self.gated.wait_until_ready().await;
        let _ = self.workloads.wait_until_ready().await;
        let _ = self.images.wait_until_ready().await;
        let _ = self.policies.wait_until_ready().await;
        let _ = self.approvals.wait_until_ready().await;
        let _ = self.nodes.wait_until_ready().await;
        let _ = self.namespaces.wait_until_ready().await;
    }

    /// What goes wrong with the watches, one sentence each.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// What is decided about a workload.
    pub(crate) fn workload(&self, namespace: &str, kind: &str, name: &str, uid: &str) -> Option<Arc<WorkloadScan>> {
        let key = ObjectRef::new(&workload_scan::name(kind, name, uid)).within(namespace);
        self.workloads.get(&key).filter(|w| w.spec.uid == uid)
    }

    /// The recorded status of a Deployment.
    pub(crate) fn deployment_status(&self, deployment: &Deployment) -> Option<WorkloadScanStatus> {
        let namespace = deployment.namespace().unwrap_or_default();
        let uid = deployment.uid().unwrap_or_default();
        self.workload(&namespace, "Deployment", &deployment.name_any(), &uid)?.status.clone()
    }

    /// The Deployment behind a ReplicaSet, told by UIDs.
    pub(crate) fn rollout(&self, namespace: &str, replica_set: &str, uid: &str) -> Option<Rollout> {
        let found = self.replica_sets.get(&ObjectRef::new(replica_set).within(namespace))?;
        if found.uid().as_deref() != Some(uid) {
            return None;
        }
        let owner = found.owner_references().iter().find(|o| o.controller == Some(true) && o.kind == "Deployment")?;
        let hash = images::template_hash(found.spec.as_ref()?.template.as_ref()?);
        Some(Rollout { deployment: owner.name.clone(), uid: owner.uid.clone(), hash })
    }

    /// The platforms of the cluster's nodes; this machine's where there is no node yet.
    pub(crate) fn platforms(&self) -> Vec<Platform> {
        let of = |node: &Arc<Node>| {
            let info = node.status.as_ref()?.node_info.as_ref()?;
            Some(Platform::new(&info.operating_system, &info.architecture).normalised())
        };
        let mut all: Vec<Platform> = self.nodes.state().iter().filter_map(of).collect();
        all.sort();
        all.dedup();
        if all.is_empty() { vec![Platform::new("linux", std::env::consts::ARCH).normalised()] } else { all }
    }

    fn changed_replica_set(&self, queues: &Queues, changed: &ReplicaSet) {
        let (namespace, uid) = (changed.namespace(), changed.uid());
        let owned = |pod: &Pod| {
            pod.namespace() == namespace && pod.owner_references().iter().any(|o| Some(&o.uid) == uid.as_ref())
        };
        self.gated.state_filter(|pod| owned(pod)).iter().for_each(|pod| queues.pods.add(ObjectRef::from_obj(&**pod)));
    }

    fn changed_workload(&self, queues: &Queues, changed: &WorkloadScan) {
        let namespace = changed.namespace().unwrap_or_default();
        Self::poke(queues, changed);
        queues.namespaces.add(ObjectRef::new(&namespace));
        self.poke_pods(queues, &namespace);
    }

    fn changed_image(&self, queues: &Queues, changed: &ImageScan) {
        let namespace = changed.namespace().unwrap_or_default();
        queues.images.add(ObjectRef::from_obj(changed));
        self.users(changed).iter().for_each(|workload| Self::poke(queues, workload));
        self.poke_pods(queues, &namespace);
    }

    /// The workloads that use an image of their namespace.
    pub(crate) fn users(&self, scan: &ImageScan) -> Vec<Arc<WorkloadScan>> {
        let namespace = scan.namespace();
        let uses = |w: &WorkloadScan| {
            let revisions = w.status.iter().flat_map(|s| s.revisions.values());
            w.namespace() == namespace
                && revisions.flat_map(|r| r.containers.values()).any(|c| c.names(&scan.spec.image))
        };
        self.workloads.state_filter(uses)
    }

    /// Has a workload looked at again.
    fn poke(queues: &Queues, workload: &WorkloadScan) {
        match workload.spec.kind.as_str() {
            "Deployment" => {
                let namespace = workload.namespace().unwrap_or_default();
                queues.deployments.add(ObjectRef::new(&workload.spec.name).within(&namespace));
            }
            _ => queues.workloads.add(ObjectRef::from_obj(workload)),
        }
    }

    /// A platform that no node had before has every image judged for it.
    fn changed_node(&self, queues: &Queues) {
        let now = self.platforms();
        let mut before = self.judged_for.lock().unwrap_or_else(PoisonError::into_inner);
        if *before != now {
            *before = now;
            self.images.state().iter().for_each(|i| queues.images.add(ObjectRef::from_obj(&**i)));
        }
    }

    fn changed_policy(&self, queues: &Queues) {
        queues.policies.add(());
        self.images.state().iter().for_each(|i| queues.images.add(ObjectRef::from_obj(&**i)));
        self.deployments.state().iter().for_each(|d| queues.deployments.add(ObjectRef::from_obj(&**d)));
        self.workloads.state().iter().for_each(|w| Self::poke(queues, w));
        self.gated.state().iter().for_each(|p| queues.pods.add(ObjectRef::from_obj(&**p)));
    }

    fn changed_approval(&self, queues: &Queues, changed: &RolloutApproval) {
        let namespace = changed.namespace().unwrap_or_default();
        if changed.spec.kind == "Deployment" {
            queues.deployments.add(ObjectRef::new(&changed.spec.name).within(&namespace));
        }
        self.poke_pods(queues, &namespace);
    }

    /// Has the gated Pods of a namespace looked at again.
    pub(crate) fn poke_pods(&self, queues: &Queues, namespace: &str) {
        let here = self.gated.state_filter(|p| p.namespace().as_deref() == Some(namespace));
        here.iter().for_each(|pod| queues.pods.add(ObjectRef::from_obj(&**pod)));
    }
}

/// Waits until a store shows what was just written, so that the next look does not decide on what was before.
pub(crate) async fn settled<K>(store: &Store<K>, written: &K)
where
    K: Resource<DynamicType = ()> + Clone,
{
    let key = ObjectRef::from_obj(written);
    for _ in 0..SETTLE_LOOKS {
        if store.get(&key).is_some_and(|seen| version(&*seen) >= version(written)) {
            return;
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

/// Versions rise (Kubernetes 1.35 makes it a promise; every API server kept it before).
fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default()
}

/// A watch is milliseconds behind; after a second something else has written.
const SETTLE_LOOKS: u32 = 500;
const SETTLE_PAUSE: Duration = Duration::from_millis(2);

struct Watch<'a> {
    client: &'a Client,
    queues: &'a Queues,
    index: &'a Arc<Index>,
}

impl Watch<'_> {
    /// Watches one kind; `changed` hears of every object that appears, changes or goes.
    fn kind<K>(&self, plural: &'static str, writer: Writer<K>, changed: fn(&Index, &Queues, &K))
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let config = match plural {
            "pods" => watcher::Config::default().labels(names::GATED),
            _ => watcher::Config::default(),
        };
        let slim = |object: &mut K| object.managed_fields_mut().clear();
        let api: Api<K> = Api::all(self.client.clone());
        let mut events = Box::pin(watcher(api, config).default_backoff().modify(slim).reflect(writer));
        let (index, queues) = (Arc::clone(self.index), self.queues.clone());
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let problem = match &event {
                    Ok(
                        watcher::Event::Apply(object)
                        | watcher::Event::InitApply(object)
                        | watcher::Event::Delete(object),
                    ) => {
                        changed(&index, &queues, object);
                        None
                    }
                    Ok(_) => None,
                    Err(error) => Some(explain(plural, error)),
                };
                index.note(plural, problem);
            }
        });
    }
}

impl Index {
    fn note(&self, plural: &str, problem: Option<String>) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(text) => {
                tracing::error!("{text}");
                problems.insert(plural.to_owned(), text);
            }
            None => {
                problems.remove(plural);
            }
        }
    }
}

/// What a failed watch means for its operator.
fn explain(plural: &str, error: &watcher::Error) -> String {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    };
    let cause = error.to_string();
    match status {
        Some(403) => format!("the server may not list and watch {plural}: apply deploy/rbac.yaml ({cause})"),
        Some(404) => format!("the API server does not know {plural}: apply deploy/crds.yaml ({cause})"),
        _ => format!("watching {plural} fails, trying again: {cause}"),
    }
}
