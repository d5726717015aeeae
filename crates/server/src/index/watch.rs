//! The watches that fill the index.

use super::slim::{slim, slim_node};
use super::{Index, IndexWriters};
use futures::StreamExt as _;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use tidewaiter_crd::names;

const EXCEPTIONS: &str = "scanexceptions";
const APPROVALS: &str = "rolloutapprovals";
const POLICIES: &str = "clusterscanpolicies";
const NAMESPACED_POLICIES: &str = "scanpolicies";
const NAMESPACES: &str = "namespaces";

/// Objects in one page of a first list.
const PAGE: u32 = 100;

/// Starts one watch per kind.
pub(super) fn start(client: &Client, index: &Arc<Index>, writers: IndexWriters) {
    // A page of a list is decoded as a whole: small ones leave less behind.
    let all = || watcher::Config::default().page_size(PAGE);
    let gated = all().labels(names::GATED);
    watch(client, index, "deployments", all(), writers.deployments, Index::deployment_changed);
    watch(client, index, "replicasets", all(), writers.replica_sets, Index::replica_set_changed);
    watch(client, index, "statefulsets", all(), writers.stateful_sets, Index::stateful_set_changed);
    watch(client, index, "jobs", all(), writers.jobs, Index::job_changed);
    watch(client, index, "cronjobs", all(), writers.cron_jobs, Index::cron_job_changed);
    watch(client, index, "pods", gated, writers.gated, Index::pod_changed);
    watch(client, index, "workloadscans", all(), writers.workloads, Index::workload_changed);
    watch(client, index, "imagescans", all(), writers.images, Index::image_changed);
    watch(client, index, POLICIES, all(), writers.policies, Index::policy_changed);
    watch(client, index, NAMESPACED_POLICIES, all(), writers.namespaced_policies, Index::namespaced_policy_changed);
    watch(client, index, APPROVALS, all(), writers.approvals, Index::approval_changed);
    watch(client, index, EXCEPTIONS, all(), writers.exceptions, Index::exception_changed);
    watch_slim(client, index, "nodes", all(), writers.nodes, Index::node_changed, slim_node);
    watch(client, index, NAMESPACES, all(), writers.namespaces, Index::namespace_changed);
    watch(client, index, "serviceaccounts", all(), writers.service_accounts, Index::service_account_changed);
}

/// Watches one kind; `changed` is called for every object that is created, changed or deleted.
fn watch<K>(
    client: &Client,
    index: &Arc<Index>,
    plural: &'static str,
    config: watcher::Config,
    writer: Writer<K>,
    changed: fn(&Index, &K),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    watch_slim(client, index, plural, config, writer, changed, slim);
}

/// The same; `slim` drops what is not kept of an object.
fn watch_slim<K>(
    client: &Client,
    index: &Arc<Index>,
    plural: &'static str,
    config: watcher::Config,
    writer: Writer<K>,
    changed: fn(&Index, &K),
    slim: fn(&mut K),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let api: Api<K> = Api::all(client.clone());
    let index = Arc::clone(index);
    tokio::spawn(async move {
        let mut events = Box::pin(watcher(api, config).default_backoff().modify(slim).reflect(writer));
        while let Some(event) = events.next().await {
            index.handle(plural, &event, changed);
        }
    });
}

impl Index {
    /// Handles an event that the store already shows.
    pub(super) fn handle<K>(
        &self,
        plural: &str,
        event: &Result<watcher::Event<K>, watcher::Error>,
        changed: fn(&Index, &K),
    ) {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object) | watcher::Event::Delete(object)) => {
                changed(self, object);
                self.problems.forget(plural);
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) => {
                self.problems.forget(plural);
                // No event tells what was deleted while the watch was lost: what ended must not apply longer.
                if matches!(event, Ok(watcher::Event::InitDone)) {
                    match plural {
                        EXCEPTIONS => self.enqueue_images(),
                        APPROVALS => self.enqueue_decided(&|_| true),
                        // While they are listed, the store shows the old ones.
                        POLICIES | NAMESPACED_POLICIES => {
                            self.follow_enforced();
                            self.enqueue_decided(&|_| true);
                        }
                        NAMESPACES => self.namespaces_listed(),
                        _ => {}
                    }
                }
            }
            // It goes on from where it was at once; what that fails for comes next.
            Err(watcher::Error::WatchFailed(error)) => tracing::warn!("the watch of {plural} ended: {error}"),
            Err(error) => {
                let text = problem(plural, error);
                tracing::error!("{text}");
                self.problems.note(plural, text);
            }
        }
    }
}

/// What a failed watch means to an operator.
fn problem(plural: &str, error: &watcher::Error) -> String {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    };
    match code {
        Some(403) => format!("the server may not list and watch {plural}: apply deploy/rbac.yaml ({error})"),
        Some(404) => format!("the API server does not know {plural}: apply deploy/crds.yaml ({error})"),
        _ => format!("watching {plural} fails and is retried: {error}"),
    }
}
