//! The workload that a decision is about.

use super::holdable::Holdable;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::{Deserialize, Serialize};
use tidewaiter_crd::WorkloadKind;
use tidewaiter_crd::workload_scan::WorkloadScanSpec;

/// A workload by name and UID. Names are reused; decisions belong to the UID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkloadRef {
    pub(crate) namespace: String,
    pub(crate) api_version: String,
    pub(crate) kind: WorkloadKind,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl WorkloadRef {
    /// A Deployment.
    pub(crate) fn deployment(deployment: &Deployment) -> Self {
        Self::of("apps/v1", WorkloadKind::Deployment, &deployment.metadata)
    }

    /// An object of `apps/v1` in a request.
    pub(crate) fn of_apps(kind: WorkloadKind, metadata: &ObjectMeta, namespace: &str) -> Self {
        WorkloadRef { namespace: namespace.to_owned(), ..Self::of("apps/v1", kind, metadata) }
    }

    /// A workload that is held as an object. In a request its namespace may stand outside the object.
    pub(crate) fn held<K: Holdable>(object: &K, namespace: &str) -> Self {
        WorkloadRef { namespace: namespace.to_owned(), ..Self::of(K::API_VERSION, K::KIND, object.metadata()) }
    }

    /// A Pod without a controller.
    pub(crate) fn pod(pod: &Pod) -> Self {
        Self::of("v1", WorkloadKind::Pod, &pod.metadata)
    }

    /// What an owner reference in a namespace names.
    pub(crate) fn owner(namespace: &str, reference: &OwnerReference) -> Self {
        WorkloadRef {
            namespace: namespace.to_owned(),
            api_version: reference.api_version.clone(),
            kind: reference.kind.as_str().into(),
            name: reference.name.clone(),
            uid: reference.uid.clone(),
        }
    }

    /// What a WorkloadScan is the record of.
    pub(crate) fn recorded(namespace: &str, spec: &WorkloadScanSpec) -> Self {
        WorkloadRef {
            namespace: namespace.to_owned(),
            api_version: spec.api_version.clone(),
            kind: spec.kind.clone(),
            name: spec.name.clone(),
            uid: spec.uid.clone(),
        }
    }

    /// One of a kind, for tables of tests.
    #[cfg(test)]
    pub(crate) fn of_kind(api_version: &str, kind: &str) -> Self {
        Self::of(api_version, kind.into(), &ObjectMeta::default())
    }

    fn of(api_version: &str, kind: WorkloadKind, metadata: &ObjectMeta) -> Self {
        WorkloadRef {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            api_version: api_version.to_owned(),
            kind,
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// Whether a controller of its own decides about its templates and shows its state: that of Deployments or of CronJobs.
    /// A kind of the same name in another API group has none: the records of its Pods show its state.
    pub(crate) fn is_shown_by_template(&self) -> bool {
        let has_controller = matches!(self.kind, WorkloadKind::Deployment | WorkloadKind::CronJob);
        has_controller && self.kind.is_built_in(&self.api_version)
    }

    /// `deployment/myapp`, as people name it.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.kind.lowercase(), self.name)
    }

    /// Name of its WorkloadScan.
    pub(crate) fn record_name(&self) -> String {
        self.record_spec().record_name()
    }

    /// Whether a WorkloadScan is its record. Not by the name alone: users write owner references, and a Pod must not write
    /// into another workload's record. The version of the API may change; kind, group and UID do not.
    pub(crate) fn is_recorded_in(&self, spec: &WorkloadScanSpec) -> bool {
        self.uid == spec.uid && self.record_name() == spec.record_name()
    }

    /// The spec of its WorkloadScan.
    pub(crate) fn record_spec(&self) -> WorkloadScanSpec {
        WorkloadScanSpec {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        }
    }

    /// A reference for Events about the workload.
    pub(crate) fn object_reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.api_version.clone()),
            kind: Some(self.kind.to_string()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }

    /// An owner reference: garbage collection deletes the record together with its workload.
    pub(crate) fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.api_version.clone(),
            kind: self.kind.to_string(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            ..OwnerReference::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_kinds_have_a_controller_of_their_own() {
        let check = |api_version: &str, kind: &str, expected: bool| {
            assert_eq!(
                WorkloadRef::of_kind(api_version, kind).is_shown_by_template(),
                expected,
                "{api_version} {kind}"
            );
        };
        check("apps/v1", "Deployment", true);
        check("batch/v1", "CronJob", true);
        check("batch/v1beta1", "CronJob", true);
        check("batch.volcano.sh/v1alpha1", "CronJob", false);
        check("example.com/v1", "CronJob", false);
        check("example.com/v1", "Deployment", false);
        check("v1", "CronJob", false);
        check("batch/v1", "Job", false);
        check("apps/v1", "StatefulSet", false);
        check("v1", "Pod", false);
    }
}
