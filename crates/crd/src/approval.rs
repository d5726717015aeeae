//! `RolloutApproval`: a person's word for one workload and exactly these images.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Made by people (`kubectl scan approve`), immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "RolloutApproval",
    namespaced,
    validation = "self.spec == oldSelf.spec",
    printcolumn = r#"{"name":"Kind","type":"string","jsonPath":".spec.kind"}"#,
    printcolumn = r#"{"name":"Workload","type":"string","jsonPath":".spec.name"}"#,
    printcolumn = r#"{"name":"Approved By","type":"string","jsonPath":".spec.approvedBy"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct RolloutApprovalSpec {
    /// `Deployment`, `ReplicaSet`, `Pod`.
    pub kind: String,
    /// The workload's name.
    pub name: String,
    /// The workload's UID.
    pub uid: String,
    /// The digests that were looked at; another image needs another approval.
    pub digests: Vec<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who; a policy requires it to be the requester.
    pub approved_by: String,
    /// RFC 3339 time from which it no longer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}
