//! Workloads and Pods of Kubernetes itself, of which few fields are read. They are asked for as dynamic objects: the generated
//! types of so many kinds are 0.3 MB of the program, and drop what newer versions of Kubernetes add.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::Value;

/// A kind of Kubernetes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltInKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    CronJob,
    Job,
    Pod,
}

impl BuiltInKind {
    /// How the API server names it.
    pub(crate) fn resource(self) -> ApiResource {
        match self {
            BuiltInKind::Deployment => ApiResource::erase::<Deployment>(&()),
            BuiltInKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            BuiltInKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
            BuiltInKind::ReplicaSet => ApiResource::erase::<ReplicaSet>(&()),
            BuiltInKind::CronJob => ApiResource::erase::<CronJob>(&()),
            BuiltInKind::Job => ApiResource::erase::<Job>(&()),
            BuiltInKind::Pod => ApiResource::erase::<Pod>(&()),
        }
    }

    /// Its objects in a namespace, or in all.
    pub(crate) fn api(self, client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource()),
            None => Api::all_with(client.clone(), &self.resource()),
        }
    }

    /// What an object of this kind says of its Pods; `None` where it says nothing.
    ///
    /// # Errors
    /// When it has another shape than Kubernetes gives it.
    pub(crate) fn pod_spec(self, object: &DynamicObject) -> serde_json::Result<Option<PartialPodSpec>> {
        let spec = object.data.pointer(self.pod_spec_pointer()).unwrap_or(&Value::Null);
        Option::deserialize(spec)
    }

    fn pod_spec_pointer(self) -> &'static str {
        match self {
            BuiltInKind::Pod => "/spec",
            BuiltInKind::CronJob => "/spec/jobTemplate/spec/template/spec",
            BuiltInKind::Deployment
            | BuiltInKind::StatefulSet
            | BuiltInKind::DaemonSet
            | BuiltInKind::ReplicaSet
            | BuiltInKind::Job => "/spec/template/spec",
        }
    }
}

/// The fields of a Pod's spec that name images, the node and the priority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartialPodSpec {
    containers: Option<Vec<PartialContainer>>,
    init_containers: Option<Vec<PartialContainer>>,
    volumes: Option<Vec<PartialVolume>>,
    pub(crate) node_name: Option<String>,
    pub(crate) priority_class_name: Option<String>,
}

/// What runs in a Pod.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct PartialContainer {
    pub(crate) name: String,
    pub(crate) image: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PartialVolume {
    name: String,
    image: Option<PartialImageVolume>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PartialImageVolume {
    reference: Option<String>,
}

impl PartialPodSpec {
    /// Containers, and then those that run before them.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &PartialContainer> {
        self.containers.iter().flatten().chain(self.init_containers.iter().flatten())
    }

    /// Volumes that are images: the volume's name, and the image if it names one.
    pub(crate) fn image_volumes(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let volumes = self.volumes.iter().flatten();
        volumes.filter_map(|volume| Some((volume.name.as_str(), volume.image.as_ref()?.reference.as_deref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_has_the_spec_of_its_pods_elsewhere() {
        let check = |kind: BuiltInKind, object: Value, expected: Option<&str>| {
            let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
            let spec = kind.pod_spec(&object).unwrap();
            let image = spec.as_ref().and_then(|spec| spec.containers().next()?.image.as_deref());
            assert_eq!(image, expected, "{kind:?} {object:?}");
        };
        let pod = json!({"containers": [{"name": "c", "image": "x:1", "command": ["run"]}], "hostNetwork": true});
        let template = json!({"spec": {"template": {"spec": pod}}});
        check(BuiltInKind::Deployment, template.clone(), Some("x:1"));
        check(BuiltInKind::StatefulSet, template.clone(), Some("x:1"));
        check(BuiltInKind::DaemonSet, template.clone(), Some("x:1"));
        check(BuiltInKind::ReplicaSet, template.clone(), Some("x:1"));
        check(BuiltInKind::Job, template.clone(), Some("x:1"));
        check(BuiltInKind::CronJob, json!({"spec": {"jobTemplate": template}}), Some("x:1"));
        check(BuiltInKind::Pod, json!({"metadata": {"name": "x"}, "spec": pod}), Some("x:1"));
        check(BuiltInKind::Pod, template, None);
        check(BuiltInKind::Deployment, json!({"spec": {"template": {}}}), None);
        check(BuiltInKind::Deployment, json!({"spec": {"template": {"spec": null}}}), None);
        check(BuiltInKind::Deployment, json!({"spec": {"template": {"spec": {"containers": null}}}}), None);
    }

    #[test]
    fn what_is_no_spec_is_an_error() {
        let object: DynamicObject = serde_json::from_value(json!({"spec": {"containers": [{"image": "x"}]}})).unwrap();
        let error = BuiltInKind::Pod.pod_spec(&object).unwrap_err().to_string();
        assert!(error.contains("missing field `name`"), "{error}");
    }

    #[test]
    fn they_are_asked_for_by_the_names_of_the_api_server() {
        let check = |kind: BuiltInKind, expected: (&str, &str, &str)| {
            let resource = kind.resource();
            assert_eq!((resource.api_version.as_str(), &*resource.kind, &*resource.plural), expected);
        };
        check(BuiltInKind::Deployment, ("apps/v1", "Deployment", "deployments"));
        check(BuiltInKind::StatefulSet, ("apps/v1", "StatefulSet", "statefulsets"));
        check(BuiltInKind::DaemonSet, ("apps/v1", "DaemonSet", "daemonsets"));
        check(BuiltInKind::ReplicaSet, ("apps/v1", "ReplicaSet", "replicasets"));
        check(BuiltInKind::CronJob, ("batch/v1", "CronJob", "cronjobs"));
        check(BuiltInKind::Job, ("batch/v1", "Job", "jobs"));
        check(BuiltInKind::Pod, ("v1", "Pod", "pods"));
    }
}
