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
    /// `apps/v1`; the only kind that is paused.
    Deployment,
    /// `apps/v1`, without a Deployment above it.
    ReplicaSet,
    /// `apps/v1`.
    StatefulSet,
    /// `apps/v1`.
    DaemonSet,
    /// `batch/v1`.
    Job,
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
            WorkloadKind::Pod => "Pod",
            WorkloadKind::Other(kind) => kind,
        }
    }

    /// `deployment`, as people and `kubectl` name it.
    pub fn lowercase(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

impl From<&str> for WorkloadKind {
    fn from(kind: &str) -> Self {
        match kind {
            "Deployment" => WorkloadKind::Deployment,
            "ReplicaSet" => WorkloadKind::ReplicaSet,
            "StatefulSet" => WorkloadKind::StatefulSet,
            "DaemonSet" => WorkloadKind::DaemonSet,
            "Job" => WorkloadKind::Job,
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
        check("Pod", WorkloadKind::Pod);
        check("Rollout", WorkloadKind::Other("Rollout".to_owned()));
        check("deployment", WorkloadKind::Other("deployment".to_owned()));
    }
}
