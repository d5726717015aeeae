//! Whose a Pod is.

use super::holdable::{controller, is_cron_job};
use super::job::JobOwner;
use super::rollout::template_of;
use super::workload_ref::WorkloadRef;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use tidewaiter_crd::WorkloadKind;

/// The workload that a Pod belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PodOwner {
    /// A workload whose templates are decided about: a Deployment, by one of its ReplicaSets; a CronJob, by one of its Jobs; a
    /// Job.
    Template { workload: WorkloadRef, template: String },
    /// Any other controller; without a controller the Pod itself.
    Other(WorkloadRef),
    /// A ReplicaSet or Job that the watch has not delivered yet.
    Unknown,
}

/// The owner reference to look up as a ReplicaSet before [`pod_owner`] can decide.
pub(crate) fn replica_set_of(pod: &Pod) -> Option<&OwnerReference> {
    controller(&pod.metadata)
        .filter(|o| o.kind == WorkloadKind::ReplicaSet.as_str() && o.api_version.starts_with("apps/"))
}

/// The owner reference to look up as a Job before [`pod_owner`] can decide.
pub(crate) fn job_of(pod: &Pod) -> Option<&OwnerReference> {
    controller(&pod.metadata)
        .filter(|o| o.kind == WorkloadKind::Job.as_str() && WorkloadKind::Job.is_built_in(&o.api_version))
}

/// Finds a Pod's workload; `replica_set` is the object of the name that [`replica_set_of`] refers to, `job` says whose the one
/// of [`job_of`] is, of that name and UID. Users write owner references: they are believed only where the object of that name
/// has the same UID.
pub(crate) fn pod_owner(
    pod: &Pod,
    namespace: &str,
    replica_set: Option<&ReplicaSet>,
    job: Option<JobOwner>,
) -> PodOwner {
    // No controller creates Pods for a Deployment or CronJob itself: such a reference is a user's claim, and gains nothing.
    let claim = |o: &OwnerReference| o.kind == WorkloadKind::Deployment.as_str() || is_cron_job(o);
    let Some(reference) = controller(&pod.metadata).filter(|o| !claim(o)) else {
        return PodOwner::Other(WorkloadRef { namespace: namespace.to_owned(), ..WorkloadRef::pod(pod) });
    };
    if job_of(pod).is_some() {
        return match job {
            Some(JobOwner::Itself(workload, template) | JobOwner::CronJob(workload, template)) => {
                PodOwner::Template { workload, template }
            }
            Some(JobOwner::Unknown) | None => PodOwner::Unknown,
        };
    }
    let other = || PodOwner::Other(WorkloadRef::owner(namespace, reference));
    if replica_set_of(pod).is_none() {
        return other();
    }
    match replica_set.filter(|set| set.metadata.uid.as_ref() == Some(&reference.uid)) {
        None => PodOwner::Unknown,
        Some(set) => deployment_of(set, namespace).unwrap_or_else(other),
    }
}

fn deployment_of(set: &ReplicaSet, namespace: &str) -> Option<PodOwner> {
    let owner = controller(&set.metadata).filter(|o| o.kind == WorkloadKind::Deployment.as_str())?;
    // The Deployment's API version is ours, not the reference's: it names the record, whose name must be one.
    let workload = WorkloadRef { api_version: "apps/v1".to_owned(), ..WorkloadRef::owner(namespace, owner) };
    Some(PodOwner::Template { workload, template: template_of(set)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn owned(kind: &str, api_version: &str, controller: bool) -> Pod {
        let owner =
            json!([{"kind": kind, "apiVersion": api_version, "name": "o", "uid": "u", "controller": controller}]);
        from_value(json!({"metadata": {"name": "p", "uid": "pod", "ownerReferences": owner}})).unwrap()
    }

    fn replica_set(uid: &str, owner: Option<&str>) -> ReplicaSet {
        let owners: Vec<Value> = owner
            .map(|kind| json!({"kind": kind, "apiVersion": "apps/v1", "name": "d", "uid": "du", "controller": true}))
            .into_iter()
            .collect();
        let spec = json!({"selector": {}, "template": {"spec": {"containers": []}}});
        from_value(json!({"metadata": {"name": "o", "uid": uid, "ownerReferences": owners}, "spec": spec})).unwrap()
    }

    #[test]
    fn whose_a_pod_is() {
        let check = |pod: &Pod, set: Option<&ReplicaSet>, expected: &str| {
            let label = match pod_owner(pod, "n", set, None) {
                PodOwner::Template { workload, .. } => format!("template of {}", workload.label()),
                PodOwner::Other(workload) => workload.label(),
                PodOwner::Unknown => "unknown".to_owned(),
            };
            assert_eq!(label, expected, "{pod:?} {set:?}");
        };
        let of_set = owned("ReplicaSet", "apps/v1", true);
        check(&of_set, Some(&replica_set("u", Some("Deployment"))), "template of deployment/d");
        check(&of_set, Some(&replica_set("u", None)), "replicaset/o");
        check(&of_set, Some(&replica_set("u", Some("Rollout"))), "replicaset/o");
        // The watch lags behind, or the reference names another object's UID.
        check(&of_set, None, "unknown");
        check(&of_set, Some(&replica_set("other", Some("Deployment"))), "unknown");
        check(&owned("ReplicaSet", "extensions/v1", true), None, "replicaset/o");
        check(&owned("StatefulSet", "apps/v1", true), None, "statefulset/o");
        check(&owned("Job", "batch/v1", true), None, "unknown");
        check(&owned("Job", "batch.volcano.sh/v1alpha1", true), None, "job/o");
        check(&owned("CronJob", "batch/v1", true), None, "pod/p");
        check(&owned("CronJob", "example.com/v1", true), None, "cronjob/o");
        check(&owned("Rollout", "argoproj.io/v1alpha1", true), None, "rollout/o");
        check(&owned("Deployment", "apps/v1", true), None, "pod/p");
        check(&owned("StatefulSet", "apps/v1", false), None, "pod/p");
        check(&from_value(json!({"metadata": {"name": "p"}})).unwrap(), None, "pod/p");
    }

    #[test]
    fn whose_a_pod_of_a_job_is() {
        let check = |job: Option<JobOwner>, expected: &str| {
            let label = match pod_owner(&owned("Job", "batch/v1", true), "n", None, job) {
                PodOwner::Template { workload, template } => format!("{template} of {}", workload.label()),
                PodOwner::Other(workload) => workload.label(),
                PodOwner::Unknown => "unknown".to_owned(),
            };
            assert_eq!(label, expected);
        };
        let workload = |kind: &str| {
            let owner = json!({"kind": kind, "apiVersion": "batch/v1", "name": "o", "uid": "u"});
            WorkloadRef::owner("n", &from_value(owner).unwrap())
        };
        check(Some(JobOwner::Itself(workload("Job"), "job-1".to_owned())), "job-1 of job/o");
        check(Some(JobOwner::CronJob(workload("CronJob"), "h".to_owned())), "h of cronjob/o");
        check(Some(JobOwner::Unknown), "unknown");
        check(None, "unknown");
    }
}
