//! The kinds that are held as objects: each has a field by which its controller makes no Pods.

use super::images;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job, JobSpec};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidewaiter_crd::WorkloadKind;

/// A workload with a field that stops it.
pub(crate) trait Holdable: Sized {
    /// Its kind.
    const KIND: WorkloadKind;
    /// The version of its API.
    const API_VERSION: &'static str;
    /// The field of its spec: `paused`, `suspend`.
    const FIELD: &'static str;
    /// What an object is while the field is set, for people.
    const STOPPED: &'static str;

    /// Its metadata.
    fn metadata(&self) -> &ObjectMeta;

    /// The template of its Pods.
    fn template(&self) -> Option<&PodTemplateSpec>;

    /// Whether the field is set, by whomever.
    fn paused(&self) -> bool;

    /// Whether the specs of two objects are the same but for the field.
    fn differs_in_pause_alone(&self, other: &Self) -> bool;

    /// The operation that ends the pause (RFC 6902).
    fn unpause() -> Value {
        json!({"op": "remove", "path": Self::pointer()})
    }

    /// How its user ends a pause of their own.
    fn resume_command(name: &str) -> String;

    /// Whether another controller owns it. It would set the field back again and again: there the gate alone holds.
    fn is_owned(&self) -> bool {
        controller(self.metadata()).is_some()
    }

    /// The name of its revision in its record.
    fn revision(&self) -> String {
        self.template().map(images::template_hash).unwrap_or_default()
    }

    /// The spec of its Pods.
    fn pod_spec(&self) -> Option<&PodSpec> {
        self.template()?.spec.as_ref()
    }

    /// Name → image reference of everything that its Pods run.
    fn images(&self) -> BTreeMap<String, String> {
        self.pod_spec().map(images::of).unwrap_or_default()
    }

    /// The JSON pointer of the field.
    fn pointer() -> String {
        format!("/spec/{}", Self::FIELD)
    }

    /// `deployment/myapp`. One that is created with `generateName` has no name yet.
    fn label(&self) -> String {
        format!("{}/{}", Self::KIND.lowercase(), self.metadata().name.as_deref().unwrap_or("NAME"))
    }
}

/// The controller of an object, by its owner references.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

impl Holdable for Deployment {
    const KIND: WorkloadKind = WorkloadKind::Deployment;
    const API_VERSION: &'static str = "apps/v1";
    const FIELD: &'static str = "paused";
    const STOPPED: &'static str = "paused";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }

    fn paused(&self) -> bool {
        self.spec.as_ref().and_then(|spec| spec.paused).unwrap_or_default()
    }

    fn differs_in_pause_alone(&self, other: &Self) -> bool {
        let spec = |object: &Self| {
            object.spec.clone().map(|mut spec| {
                spec.paused = None;
                spec
            })
        };
        spec(self) == spec(other)
    }

    fn resume_command(name: &str) -> String {
        format!("kubectl rollout resume {name}")
    }
}

/// The same for both kinds with `spec.suspend`; the API server fills in `false` where there is none.
fn unsuspend() -> Value {
    json!({"op": "replace", "path": "/spec/suspend", "value": false})
}

fn resume_suspended(name: &str) -> String {
    format!("kubectl patch {name} -p '{{\"spec\":{{\"suspend\":false}}}}'")
}

impl Holdable for Job {
    const KIND: WorkloadKind = WorkloadKind::Job;
    const API_VERSION: &'static str = "batch/v1";
    const FIELD: &'static str = "suspend";
    const STOPPED: &'static str = "suspended";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }

    fn paused(&self) -> bool {
        self.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or_default()
    }

    fn differs_in_pause_alone(&self, other: &Self) -> bool {
        let spec = |object: &Self| object.spec.clone().map(|spec| JobSpec { suspend: None, ..spec });
        spec(self) == spec(other)
    }

    fn unpause() -> Value {
        unsuspend()
    }

    fn resume_command(name: &str) -> String {
        resume_suspended(name)
    }

    /// The controller of CronJobs never sets the field of a Job that exists.
    fn is_owned(&self) -> bool {
        controller(&self.metadata).is_some_and(|owner| !is_cron_job(owner))
    }

    /// By its images alone, which nobody can change: schedulers of queues set the node selectors of Jobs that they admit, and
    /// that is no other revision.
    fn revision(&self) -> String {
        images::job_hash(&self.images())
    }
}

/// Whether an owner reference names a CronJob of Kubernetes itself.
pub(crate) fn is_cron_job(owner: &OwnerReference) -> bool {
    owner.kind == WorkloadKind::CronJob.as_str() && WorkloadKind::CronJob.is_built_in(&owner.api_version)
}

impl Holdable for CronJob {
    const KIND: WorkloadKind = WorkloadKind::CronJob;
    const API_VERSION: &'static str = "batch/v1";
    const FIELD: &'static str = "suspend";
    const STOPPED: &'static str = "suspended";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.job_template.spec.as_ref().map(|spec| &spec.template)
    }

    fn paused(&self) -> bool {
        self.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or_default()
    }

    fn differs_in_pause_alone(&self, other: &Self) -> bool {
        let spec = |object: &Self| object.spec.clone().map(|spec| CronJobSpec { suspend: None, ..spec });
        spec(self) == spec(other)
    }

    fn unpause() -> Value {
        unsuspend()
    }

    fn resume_command(name: &str) -> String {
        resume_suspended(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    #[test]
    fn whose_jobs_are_held() {
        let check = |owner: Value, owned: bool| {
            let job: Job = from_value(json!({"metadata": {"ownerReferences": owner}})).unwrap();
            assert_eq!(job.is_owned(), owned, "{owner}");
        };
        let owner = |kind: &str, api_version: &str, controller: bool| json!([{"kind": kind, "apiVersion": api_version, "name": "o", "uid": "u", "controller": controller}]);
        check(json!([]), false);
        check(owner("CronJob", "batch/v1", true), false);
        check(owner("CronJob", "example.com/v1", true), true);
        check(owner("JobSet", "jobset.x-k8s.io/v1alpha2", true), true);
        check(owner("JobSet", "jobset.x-k8s.io/v1alpha2", false), false);
    }

    #[test]
    fn another_node_selector_is_no_other_revision_of_a_job() {
        let job = |image: &str, zone: &str| -> Job {
            let spec = json!({"containers": [{"name": "c", "image": image}], "nodeSelector": {"zone": zone}});
            from_value(json!({"metadata": {}, "spec": {"template": {"spec": spec}}})).unwrap()
        };
        assert_eq!(job("a", "1").revision(), job("a", "2").revision());
        assert_ne!(job("a", "1").revision(), job("b", "1").revision());
        assert!(!images::is_images_hash(&job("a", "1").revision()), "a template, which has no injected containers");
    }

    #[test]
    fn only_the_pause_differs() {
        let cron_job = |suspend: bool, schedule: &str| -> CronJob {
            let template = json!({"spec": {"template": {"spec": {"containers": []}}}});
            from_value(
                json!({"metadata": {}, "spec": {"suspend": suspend, "schedule": schedule, "jobTemplate": template}}),
            )
            .unwrap()
        };
        let check = |schedule: &str, expected: bool| {
            assert_eq!(cron_job(true, "@daily").differs_in_pause_alone(&cron_job(false, schedule)), expected);
        };
        check("@daily", true);
        check("@hourly", false);
    }
}
