//! Watch events as the API server would send them: the state of the index after each, and what it enqueues.

use super::*;
use crate::decide::fixtures::{image_scan as scan, pinned};
use crate::decide::job::JobOwner;
use kube::Resource;
use kube::runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json};
use tidewaiter_crd::workload_scan::WorkloadScanSpec;

struct Fed {
    index: Index,
    writers: IndexWriters,
}

fn fed() -> Fed {
    let (index, writers) = Index::new(Queues::new());
    Fed { index, writers }
}

impl Fed {
    fn apply<K>(&mut self, writer: fn(&mut IndexWriters) -> &mut Writer<K>, changed: fn(&Index, &K), object: Value)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
    {
        self.event(writer, changed, Event::Apply(from_value(object).unwrap()));
    }

    /// The store first, as the reflector does.
    fn event<K>(&mut self, writer: fn(&mut IndexWriters) -> &mut Writer<K>, changed: fn(&Index, &K), event: Event<K>)
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        writer(&mut self.writers).apply_watcher_event(&event);
        self.index.handle(&K::plural(&()), &Ok(event), changed);
    }

    fn deployment(&mut self, name: &str) {
        let object = json!({"metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}")}, "spec": {"selector": {},
            "template": {}}});
        self.apply(|w| &mut w.deployments, Index::deployment_changed, object);
    }

    fn replica_set(&mut self, name: &str, deployment: &str) {
        let owner = json!([{"kind": "Deployment", "apiVersion": "apps/v1", "name": deployment,
            "uid": format!("uid-{deployment}"), "controller": true}]);
        let object = json!({"metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}"), "ownerReferences": owner},
            "spec": {"selector": {}, "template": {"spec": {"containers": []}}}});
        self.apply(|w| &mut w.replica_sets, Index::replica_set_changed, object);
    }

    fn pod(&mut self, name: &str, namespace: &str, replica_set: &str) {
        self.apply(|w| &mut w.gated, Index::pod_changed, pod(name, namespace, replica_set));
    }

    /// The record of a workload whose only container uses an image.
    fn workload(&mut self, kind: &str, name: &str, image: &str) {
        let uid = format!("uid-{name}");
        let record = record_name(kind, name);
        let container = json!({"image": image, "pinned": pinned(image, 1)});
        let object = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "WorkloadScan",
            "metadata": {"name": record, "namespace": "n", "uid": "r"},
            "spec": {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid},
            "status": {"imageStatus": "Approved", "deploymentStatus": "Deployed",
                "revisions": {"h": {"decision": "Approved", "containers": {"c": container}}}}});
        self.apply(|w| &mut w.workloads, Index::workload_changed, object);
    }

    fn image(&mut self, image: &str) {
        let object = serde_json::to_value(&*scan(image, Value::Null)).unwrap();
        self.apply(|w| &mut w.images, Index::image_changed, object);
    }

    fn node(&mut self, name: &str, architecture: &str) {
        let info = json!({"operatingSystem": "linux", "architecture": architecture, "bootID": "", "machineID": "",
            "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "",
            "osImage": "", "systemUUID": ""});
        let object = json!({"metadata": {"name": name}, "status": {"nodeInfo": info}});
        self.apply(|w| &mut w.nodes, Index::node_changed, object);
    }

    /// Everything that is enqueued, `KIND/NAME`, sorted; the queues are empty then.
    fn enqueued(&self) -> Vec<String> {
        fn names<K: Resource<DynamicType = ()>>(kind: &str, keys: Vec<ObjectRef<K>>) -> impl Iterator<Item = String> {
            keys.into_iter().map(move |key| format!("{kind}/{}", key.name))
        }
        let queues = &self.index.queues;
        let mut all: Vec<String> = names("deployment", queues.deployments.drain())
            .chain(names("job", queues.jobs.drain()))
            .chain(names("cronjob", queues.cron_jobs.drain()))
            .chain(names("pod", queues.pods.drain()))
            .chain(names("image", queues.images.drain()))
            .chain(names("record", queues.workloads.drain()))
            .chain(names("namespace", queues.namespaces.drain()))
            .chain(queues.policies.drain().into_iter().map(|()| "policies".to_owned()))
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

fn pod(name: &str, namespace: &str, replica_set: &str) -> Value {
    let owner = json!([{"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": replica_set,
        "uid": format!("uid-{replica_set}"), "controller": true}]);
    json!({"metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "ownerReferences": owner},
        "spec": {"containers": []}})
}

/// A namespace with one Deployment, one StatefulSet and two gated Pods; another namespace with one.
fn cluster() -> Fed {
    let mut fed = fed();
    fed.node("one", "amd64");
    fed.deployment("web");
    fed.replica_set("web-1", "web");
    fed.workload("Deployment", "web", "a");
    fed.workload("StatefulSet", "db", "b");
    fed.image("a");
    fed.image("b");
    fed.pod("web-1-x", "n", "web-1");
    fed.pod("db-0", "n", "none");
    fed.pod("far", "other", "none");
    fed.enqueued();
    fed
}

fn image_key(image: &str) -> String {
    format!("image/{}", tidewaiter_crd::image_scan::name(image))
}

fn record_name(kind: &str, name: &str) -> String {
    let (kind, uid) = (kind.into(), format!("uid-{name}"));
    WorkloadScanSpec { api_version: "apps/v1".to_owned(), kind, name: name.to_owned(), uid }.record_name()
}

fn record_key(kind: &str, name: &str) -> String {
    format!("record/{}", record_name(kind, name))
}

#[test]
fn a_change_enqueues_what_depends_on_it() {
    let check = |change: fn(&mut Fed), expected: &[&str]| {
        let mut fed = cluster();
        change(&mut fed);
        let mut expected: Vec<String> = expected.iter().map(|key| (*key).to_owned()).collect();
        expected.sort();
        assert_eq!(fed.enqueued(), expected);
    };
    let (a, b, db) = (image_key("a"), image_key("b"), record_key("StatefulSet", "db"));
    let pods = ["pod/db-0", "pod/web-1-x"];
    check(|fed| fed.deployment("web"), &["deployment/web"]);
    check(|fed| fed.replica_set("web-1", "web"), &["pod/web-1-x"]);
    check(|fed| fed.replica_set("web-2", "web"), &[]);
    check(|fed| fed.pod("web-1-x", "n", "web-1"), &["pod/web-1-x"]);
    check(|fed| fed.workload("Deployment", "web", "a"), &["deployment/web", "namespace/n", pods[0], pods[1]]);
    check(|fed| fed.workload("StatefulSet", "db", "b"), &[&db, "namespace/n", pods[0], pods[1]]);
    check(|fed| fed.image("a"), &[&a, "deployment/web", "namespace/n", pods[0], pods[1]]);
    check(|fed| fed.image("b"), &[&b, &db, "namespace/n", pods[0], pods[1]]);
    check(|fed| fed.image(&pinned("b", 1)), &[&image_key(&pinned("b", 1)), &db, "namespace/n", pods[0], pods[1]]);
    check(|fed| fed.image("unused"), &[&image_key("unused"), "namespace/n", pods[0], pods[1]]);
    // A node's heartbeat is not a change; another platform is.
    check(|fed| fed.node("one", "amd64"), &[]);
    check(|fed| fed.node("two", "amd64"), &[]);
    check(|fed| fed.node("two", "arm64"), &[&a, &b]);
}

/// Tenants may write them as often as they like.
#[test]
fn a_namespaces_policy_enqueues_what_is_bound_only_where_that_changes() {
    let mut fed = cluster();
    let object = |kind: &str, namespace: Value, spec: Value| {
        json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "p", "namespace": namespace}, "spec": spec})
    };
    let warn = object("ClusterScanPolicy", Value::Null, json!({"mode": "Warn"}));
    let enforce = object("ClusterScanPolicy", Value::Null, json!({}));
    let mut own = |cluster: Option<&Value>, namespace: &str, spec: Value, expected: bool| {
        if let Some(policy) = cluster {
            fed.apply(|w| &mut w.policies, Index::policy_changed, policy.clone());
            assert!(fed.enqueued().contains(&"policies".to_owned()));
        }
        let policy = object("ScanPolicy", json!(namespace), spec.clone());
        fed.apply(|w| &mut w.namespaced_policies, Index::namespaced_policy_changed, policy);
        assert_eq!(fed.enqueued().contains(&"policies".to_owned()), expected, "{namespace} {spec}");
    };
    own(Some(&warn), "n", json!({"blockAt": "HIGH"}), true);
    own(None, "n", json!({"blockAt": "LOW"}), false);
    own(None, "n", json!({"blockAt": "LOW"}), false);
    own(None, "n", json!({"mode": "Enforce"}), true);
    own(None, "n", json!({"mode": "Enforce", "blockAt": "LOW"}), false);
    own(None, "other", json!({}), false);
    own(None, "n", json!({}), true);
    // Back to what was seen last: the policy of the cluster changed in between, and what is bound with it.
    own(Some(&enforce), "other", json!({"blockAt": "LOW"}), true);
    own(Some(&warn), "other", json!({"blockAt": "HIGH"}), true);
}

/// The server writes a status for each receiver of alerts.
#[test]
fn a_policy_enqueues_only_where_its_spec_changed() {
    let mut fed = cluster();
    let object = |uid: &str, generation: i64, annotation: &str| {
        from_value::<ClusterScanPolicy>(json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ClusterScanPolicy",
            "metadata": {"name": "p", "uid": uid, "generation": generation, "annotations": {"a": annotation}}, "spec": {}}))
        .unwrap()
    };
    let mut check = |event: Event<ClusterScanPolicy>, expected: bool| {
        let shown = format!("{event:?}");
        fed.event(|w| &mut w.policies, Index::policy_changed, event);
        assert_eq!(fed.enqueued().contains(&"policies".to_owned()), expected, "{shown}");
    };
    check(Event::Apply(object("u", 1, "")), true);
    check(Event::Apply(object("u", 1, "another")), false);
    check(Event::Apply(object("u", 2, "")), true);
    check(Event::Apply(object("v", 2, "")), true);
    check(Event::Delete(object("v", 2, "")), true);
    check(Event::Apply(object("v", 2, "")), true);
}

#[test]
fn policies_and_approvals_enqueue_what_they_decide() {
    let mut fed = cluster();
    let policy = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ClusterScanPolicy", "metadata": {"name": "p"},
        "spec": {}});
    fed.apply(|w| &mut w.policies, Index::policy_changed, policy);
    let mut all = vec![image_key("a"), image_key("b"), record_key("StatefulSet", "db")];
    all.extend(["deployment/web", "pod/db-0", "pod/far", "pod/web-1-x", "policies"].map(str::to_owned));
    all.sort();
    assert_eq!(fed.enqueued(), all);
    let own = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ScanPolicy", "metadata": {"name": "p", "namespace": "n"},
        "spec": {}});
    fed.apply(|w| &mut w.namespaced_policies, Index::namespaced_policy_changed, own);
    all.retain(|key| key != "pod/far");
    assert_eq!(fed.enqueued(), all);
    let mut approve = |kind: &str, expected: &[&str]| {
        let spec = json!({"kind": kind, "name": "web", "uid": "uid-web", "digests": [], "approvedBy": "p"});
        let object = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "RolloutApproval",
            "metadata": {"name": "a", "namespace": "n"}, "spec": spec});
        fed.apply(|w| &mut w.approvals, Index::approval_changed, object);
        assert_eq!(fed.enqueued(), expected, "{kind}");
    };
    approve("Deployment", &["deployment/web", "pod/db-0", "pod/web-1-x"]);
    // Whatever kind and name it has, the UID says whose record it is for.
    approve("StatefulSet", &["deployment/web", "pod/db-0", "pod/web-1-x"]);
    approve("CronJob", &["cronjob/web", "deployment/web", "pod/db-0", "pod/web-1-x"]);
    approve("Job", &["deployment/web", "job/web", "pod/db-0", "pod/web-1-x"]);
}

/// A Job of the CronJob `nightly`, or of none.
fn job(name: &str, of_cron_job: bool, suspend: bool) -> Value {
    let owner = json!({"kind": "CronJob", "apiVersion": "batch/v1", "name": "nightly", "uid": "uid-nightly", "controller": true});
    let owners: Vec<Value> = of_cron_job.then_some(owner).into_iter().collect();
    json!({"metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}"), "ownerReferences": owners},
        "spec": {"suspend": suspend, "template": {"spec": {"containers": [{"name": "c", "image": "a"}]}}}})
}

fn cron_job() -> Value {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "a"}]}});
    json!({"metadata": {"name": "nightly", "namespace": "n", "uid": "uid-nightly"},
        "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": template}}}})
}

#[test]
fn a_job_waits_for_the_decision_about_its_cron_job() {
    let mut fed = cluster();
    fed.apply(|w| &mut w.jobs, Index::job_changed, job("run", true, true));
    let run: Job = from_value(job("run", true, true)).unwrap();
    assert_eq!(fed.index.job_owner(&run, "n"), JobOwner::Unknown);
    fed.apply(|w| &mut w.jobs, Index::job_changed, job("running", true, false));
    fed.apply(|w| &mut w.jobs, Index::job_changed, job("own", false, true));
    fed.enqueued();
    fed.apply(|w| &mut w.cron_jobs, Index::cron_job_changed, cron_job());
    assert_eq!(fed.enqueued(), ["cronjob/nightly", "job/run"]);
    assert!(matches!(fed.index.job_owner(&run, "n"), JobOwner::CronJob(workload, _) if workload.name == "nightly"));
    // Only what has no decision elsewhere is decided about as a Job.
    let check = |name: &str, expected: bool| {
        let owner = json!({"kind": "Job", "apiVersion": "batch/v1", "name": name, "uid": format!("uid-{name}")});
        let workload = WorkloadRef::owner("n", &from_value(owner).unwrap());
        assert_eq!(fed.index.is_waiting_job(&workload), expected, "{name}");
    };
    check("run", false);
    check("running", false);
    check("own", true);
    check("none", false);
}

#[test]
fn a_pod_of_a_job_belongs_to_its_cron_job() {
    let mut fed = cluster();
    fed.apply(|w| &mut w.jobs, Index::job_changed, job("run", true, false));
    fed.apply(|w| &mut w.jobs, Index::job_changed, job("own", false, false));
    fed.apply(|w| &mut w.cron_jobs, Index::cron_job_changed, cron_job());
    let check = |job: &str, uid: &str, expected: &str| {
        let owner = json!([{"kind": "Job", "apiVersion": "batch/v1", "name": job, "uid": uid, "controller": true}]);
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "pu", "ownerReferences": owner},
            "spec": {"containers": []}});
        let label = match fed.index.pod_owner(&from_value(pod).unwrap(), "n") {
            PodOwner::Template { workload, .. } | PodOwner::Other(workload) => workload.label(),
            PodOwner::Unknown => "unknown".to_owned(),
        };
        assert_eq!(label, expected, "{job} {uid}");
    };
    check("run", "uid-run", "cronjob/nightly");
    check("own", "uid-own", "job/own");
    check("own", "uid-of-another", "unknown");
    check("none", "uid-none", "unknown");
}

#[test]
fn a_deleted_object_is_forgotten_and_its_dependents_are_enqueued() {
    let mut fed = cluster();
    let gone = (*fed.index.image_scan("n", "b").unwrap()).clone();
    fed.event(|w| &mut w.images, Index::image_changed, Event::Delete(gone));
    assert!(fed.index.image_scan("n", "b").is_none());
    assert!(fed.enqueued().contains(&record_key("StatefulSet", "db")));
}

#[test]
fn enqueueing_a_workload_reaches_its_controller() {
    let check = |api_version: &str, kind: &str, expected: &[&str]| {
        let fed = cluster();
        let workload = WorkloadRef {
            namespace: "n".into(),
            api_version: api_version.into(),
            kind: kind.into(),
            name: "web".into(),
            uid: "u".into(),
        };
        fed.index.enqueue_workload(&workload);
        assert_eq!(fed.enqueued(), expected, "{kind}");
    };
    let pods = ["pod/db-0", "pod/web-1-x"];
    check("apps/v1", "Deployment", &["deployment/web"]);
    check("batch/v1", "CronJob", &["cronjob/web"]);
    check("batch/v1", "Job", &["job/web", pods[0], pods[1]]);
    check("apps/v1", "StatefulSet", &pods);
    check("v1", "Pod", &pods);
    check("example.com/v1", "CronJob", &pods);
    check("example.com/v1", "Job", &pods);
}

#[test]
fn a_record_belongs_to_a_uid() {
    let fed = cluster();
    let check = |api_version: &str, kind: &str, name: &str, uid: &str, expected: bool| {
        let workload = WorkloadRef {
            namespace: "n".into(),
            api_version: api_version.into(),
            kind: kind.into(),
            name: name.into(),
            uid: uid.into(),
        };
        assert_eq!(fed.index.record(&workload).is_some(), expected, "{kind} {name} {uid}");
    };
    check("apps/v1", "Deployment", "web", "uid-web", true);
    check("apps/v1", "Deployment", "web", "uid-web-of-another", false);
    check("apps/v1", "StatefulSet", "web", "uid-web", false);
    check("apps/v1", "StatefulSet", "db", "uid-db", true);
    check("apps/v2", "StatefulSet", "db", "uid-db", true);
    // Owner references that a user wrote.
    check("example.com/v1", "deployment", "web", "uid-web", false);
    check("apps/v1", "deployment", "web", "uid-web", false);
    check("apps.kruise.io/v1", "StatefulSet", "db", "uid-db", false);
}

#[test]
fn a_scan_is_found_by_its_image() {
    let mut fed = cluster();
    assert!(fed.index.image_scan("n", "a").is_some());
    assert!(fed.index.image_scan("other", "a").is_none());
    // A user's ImageScan under the name of another image's.
    let mut impostor = (*scan("evil", Value::Null)).clone();
    impostor.metadata.name = Some(tidewaiter_crd::image_scan::name("a"));
    fed.event(|w| &mut w.images, Index::image_changed, Event::Apply(impostor));
    assert!(fed.index.image_scan("n", "a").is_none());
    assert!(fed.index.image_scan("n", "evil").is_none());
}

#[test]
fn a_pod_of_a_replica_set_belongs_to_its_deployment() {
    let fed = cluster();
    let check = |replica_set: &str, expected: &str| {
        let label = match fed.index.pod_owner(&from_value(pod("p", "n", replica_set)).unwrap(), "n") {
            PodOwner::Template { workload, .. } => workload.label(),
            PodOwner::Other(workload) => workload.label(),
            PodOwner::Unknown => "unknown".to_owned(),
        };
        assert_eq!(label, expected, "{replica_set}");
    };
    check("web-1", "deployment/web");
    check("web-2", "unknown");
}

#[test]
fn the_platforms_of_the_nodes() {
    let check = |nodes: &[&str], expected: &[&str]| {
        let mut fed = fed();
        nodes.iter().enumerate().for_each(|(i, architecture)| fed.node(&i.to_string(), architecture));
        let found: Vec<String> = fed.index.platforms().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{nodes:?}");
    };
    check(&["amd64"], &["linux/amd64"]);
    check(&["arm64", "amd64", "arm64"], &["linux/amd64", "linux/arm64"]);
    assert_eq!(fed().index.platforms().len(), 1, "this machine's");
}

#[test]
fn a_failing_watch_says_what_to_do_until_it_works() {
    let fed = fed();
    let check = |code: u16, expected: &str| {
        let status = from_value(json!({"code": code, "message": "m", "reason": "r"})).unwrap();
        let error = watcher::Error::InitialListFailed(kube::Error::Api(status));
        fed.index.handle("pods", &Err::<Event<Pod>, _>(error), Index::pod_changed);
        let problems = fed.index.problems();
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{problems:?}");
    };
    check(403, "the server may not list and watch pods: apply deploy/rbac.yaml");
    check(404, "the API server does not know pods: apply deploy/crds.yaml");
    check(500, "watching pods fails and is retried");
    fed.index.handle("pods", &Ok(Event::<Pod>::InitDone), Index::pod_changed);
    assert_eq!(fed.index.problems(), [""; 0]);
    // A connection that was silent for too long: the watch is opened again, and no object need change for it.
    let silent = kube::Error::ReadEvents(std::io::ErrorKind::TimedOut.into());
    let error = watcher::Error::WatchFailed(silent);
    fed.index.handle("pods", &Err::<Event<Pod>, _>(error), Index::pod_changed);
    assert_eq!(fed.index.problems(), [""; 0]);
}

fn namespace(name: &str, labels: &Value) -> Value {
    json!({"metadata": {"name": name, "uid": format!("uid-{name}"), "labels": labels}})
}

/// A cluster in which a policy selects namespaces with `gate=on`.
fn selecting_cluster() -> Fed {
    let mut fed = cluster();
    let policy = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ClusterScanPolicy", "metadata": {"name": "on"},
        "spec": {"namespaceSelector": {"matchLabels": {"gate": "on"}}}});
    fed.apply(|w| &mut w.policies, Index::policy_changed, policy);
    fed.enqueued();
    fed
}

#[test]
fn labels_enqueue_what_they_move() {
    let mut fed = selecting_cluster();
    let decided = ["deployment/web".to_owned(), image_key("a"), image_key("b"), "namespace/n".to_owned()];
    let pods = ["pod/db-0", "pod/web-1-x", &record_key("StatefulSet", "db")].map(str::to_owned);
    let all: Vec<String> = decided.into_iter().chain(pods).collect();
    let mut check = |labels: Value, is_decided: bool, is_bound: bool| {
        fed.apply(|w| &mut w.namespaces, Index::namespace_changed, namespace("n", &labels));
        let mut expected = if is_decided { all.clone() } else { vec!["namespace/n".to_owned()] };
        expected.extend(is_bound.then(|| "policies".to_owned()));
        expected.sort();
        assert_eq!(fed.enqueued(), expected, "{labels}");
    };
    // Until now it had the strictest policy; it is bound as one without labels.
    check(json!({"team": "a"}), true, false);
    check(json!({"team": "b"}), false, false);
    check(json!({"team": "b", "gate": "on"}), true, true);
    check(json!({"gate": "on"}), false, false);
    check(json!({"gate": "off"}), true, true);
}

#[test]
fn without_selectors_labels_mean_nothing() {
    let mut fed = cluster();
    fed.apply(|w| &mut w.namespaces, Index::namespace_changed, namespace("n", &json!({"gate": "on"})));
    assert_eq!(fed.enqueued(), ["namespace/n"]);
}

#[test]
fn labels_that_changed_while_the_watch_was_lost_are_followed() {
    let mut fed = selecting_cluster();
    let listed = |fed: &mut Fed, all: &[Value]| {
        fed.event(|w| &mut w.namespaces, Index::namespace_changed, Event::Init);
        for object in all {
            let object = from_value(object.clone()).unwrap();
            fed.event(|w| &mut w.namespaces, Index::namespace_changed, Event::InitApply(object));
        }
        fed.event(|w| &mut w.namespaces, Index::namespace_changed, Event::InitDone);
        fed.enqueued().contains(&"policies".to_owned())
    };
    let (on, off) = (namespace("n", &json!({"gate": "on"})), namespace("n", &json!({})));
    assert!(listed(&mut fed, std::slice::from_ref(&on)));
    assert_eq!(fed.index.labels_of("n").and_then(|labels| labels.get("gate").cloned()).as_deref(), Some("on"));
    assert!(!listed(&mut fed, std::slice::from_ref(&on)));
    assert!(listed(&mut fed, &[off]));
    assert!(listed(&mut fed, &[on]));
    // It is gone, which no event tells.
    assert!(listed(&mut fed, &[]));
    assert_eq!(fed.index.labels_of("n"), None);
}

impl Index {
    /// One in which these policies of the cluster are all that is known.
    pub(crate) fn of_policies(policies: Vec<ClusterScanPolicy>) -> Self {
        let Fed { index, mut writers } = fed();
        policies.into_iter().for_each(|policy| writers.policies.apply_watcher_event(&Event::Apply(policy)));
        index
    }

    /// The names of the Deployments that are enqueued; none is then.
    pub(crate) fn take_deployments(&self) -> Vec<String> {
        self.queues.deployments.drain().into_iter().map(|deployment| deployment.name).collect()
    }
}
