//! What makes Pods.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The kind of a workload, as Kubernetes writes it.
///
/// Any controller may own Pods, also one of a custom resource that is not known here: the type is open, and its
/// schema is a plain string.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum WorkloadKind {
    /// `apps/v1`; held by `spec.paused`.
    Deployment,
    /// `apps/v1`, without a Deployment above it.
    ReplicaSet,
    /// `apps/v1`.
    StatefulSet,
    /// `apps/v1`.
    DaemonSet,
    /// `batch/v1`; held by `spec.suspend`.
    Job,
    /// `batch/v1`; held by `spec.suspend`. Its Jobs have its record.
    CronJob,
    /// `v1`: a Pod without a controller is its own workload.
    Pod,
    /// Any other controller.
    Other(String),
}

impl WorkloadKind {
    /// `Deployment`.
    pub fn as_str(&self) -> &str {
        match self {
            WorkloadKind::Deployment => "Deployment",
            WorkloadKind::ReplicaSet => "ReplicaSet",
            WorkloadKind::StatefulSet => "StatefulSet",
            WorkloadKind::DaemonSet => "DaemonSet",
            WorkloadKind::Job => "Job",
            WorkloadKind::CronJob => "CronJob",
            WorkloadKind::Pod => "Pod",
            WorkloadKind::Other(kind) => kind,
        }
    }

    /// `deployment`, as people and `kubectl` name it.
    pub fn lowercase(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

impl WorkloadKind {
    /// Every kind that is known here.
    const KNOWN: [WorkloadKind; 7] = [
        WorkloadKind::Deployment,
        WorkloadKind::ReplicaSet,
        WorkloadKind::StatefulSet,
        WorkloadKind::DaemonSet,
        WorkloadKind::Job,
        WorkloadKind::CronJob,
        WorkloadKind::Pod,
    ];

    /// The API group of a kind that is known here.
    fn group(&self) -> Option<&'static str> {
        match self {
            WorkloadKind::Deployment
            | WorkloadKind::ReplicaSet
            | WorkloadKind::StatefulSet
            | WorkloadKind::DaemonSet => Some("apps"),
            WorkloadKind::Job | WorkloadKind::CronJob => Some("batch"),
            WorkloadKind::Pod => Some(""),
            WorkloadKind::Other(_) => None,
        }
    }

    /// Whether this is the kind that Kubernetes itself defines, and not one of the same name in another API group, as
    /// OpenKruise's StatefulSet is.
    pub fn is_built_in(&self, api_version: &str) -> bool {
        self.group() == Some(group_of(api_version))
    }

    /// Lower case, and with the API group where it would else be taken for a kind that Kubernetes itself defines: as
    /// `kubectl` tells them apart.
    pub fn qualified(&self, api_version: &str) -> String {
        let lowercase = self.lowercase();
        let like_known = Self::KNOWN.iter().any(|known| known.lowercase() == lowercase);
        match like_known && !self.is_built_in(api_version) {
            true => format!("{lowercase}.{}", group_of(api_version)),
            false => lowercase,
        }
    }
}

/// The group of an `apiVersion`; the core's is empty.
fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl From<&str> for WorkloadKind {
    fn from(kind: &str) -> Self {
        match kind {
            "Deployment" => WorkloadKind::Deployment,
            "ReplicaSet" => WorkloadKind::ReplicaSet,
            "StatefulSet" => WorkloadKind::StatefulSet,
            "DaemonSet" => WorkloadKind::DaemonSet,
            "Job" => WorkloadKind::Job,
            "CronJob" => WorkloadKind::CronJob,
            "Pod" => WorkloadKind::Pod,
            other => WorkloadKind::Other(other.to_owned()),
        }
    }
}

impl From<String> for WorkloadKind {
    fn from(kind: String) -> Self {
        WorkloadKind::from(kind.as_str())
    }
}

impl From<WorkloadKind> for String {
    fn from(kind: WorkloadKind) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl JsonSchema for WorkloadKind {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WorkloadKind".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_as_it_is_read() {
        let check = |text: &str, expected: WorkloadKind| {
            assert_eq!(WorkloadKind::from(text), expected);
            assert_eq!(serde_json::to_value(&expected).ok(), Some(text.into()));
            assert_eq!(serde_json::from_value::<WorkloadKind>(text.into()).ok(), Some(expected));
        };
        check("Deployment", WorkloadKind::Deployment);
        check("ReplicaSet", WorkloadKind::ReplicaSet);
        check("StatefulSet", WorkloadKind::StatefulSet);
        check("DaemonSet", WorkloadKind::DaemonSet);
        check("Job", WorkloadKind::Job);
        check("CronJob", WorkloadKind::CronJob);
        check("Pod", WorkloadKind::Pod);
        check("Rollout", WorkloadKind::Other("Rollout".to_owned()));
        check("deployment", WorkloadKind::Other("deployment".to_owned()));
    }

    #[test]
    fn a_kind_of_the_same_name_is_another_kind() {
        let check = |kind: &str, api_version: &str, built_in: bool, expected: &str| {
            let kind = WorkloadKind::from(kind);
            assert_eq!(kind.is_built_in(api_version), built_in, "{kind} {api_version}");
            assert_eq!(kind.qualified(api_version), expected);
        };
        check("StatefulSet", "apps/v1", true, "statefulset");
        check("StatefulSet", "apps.kruise.io/v1beta1", false, "statefulset.apps.kruise.io");
        check("Job", "batch/v1", true, "job");
        check("Job", "batch.volcano.sh/v1alpha1", false, "job.batch.volcano.sh");
        check("CronJob", "batch/v1beta1", true, "cronjob");
        check("CronJob", "example.com/v1", false, "cronjob.example.com");
        check("Pod", "v1", true, "pod");
        check("deployment", "example.com/v1", false, "deployment.example.com");
        check("deployment", "apps/v1", false, "deployment.apps");
        check("Rollout", "argoproj.io/v1alpha1", false, "rollout");
    }
}
