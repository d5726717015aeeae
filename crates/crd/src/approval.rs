//! `RolloutApproval`: a person's consent to one workload running exactly these images.

use crate::time::ObjectTime;
use crate::workload_kind::WorkloadKind;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Created by people (`kubectl scan approve`), immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "RolloutApproval",
    namespaced,
    validation = "self.spec == oldSelf.spec",
    validation = "!self.spec.?breakGlass.orValue(false) || (has(self.spec.expires) && self.spec.?reason.orValue('') != '')",
    printcolumn = r#"{"name":"Kind","type":"string","jsonPath":".spec.kind"}"#,
    printcolumn = r#"{"name":"Workload","type":"string","jsonPath":".spec.name"}"#,
    printcolumn = r#"{"name":"Approved By","type":"string","jsonPath":".spec.approvedBy"}"#,
    printcolumn = r#"{"name":"Break Glass","type":"boolean","jsonPath":".spec.breakGlass","priority":1}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expires","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct RolloutApprovalSpec {
    /// `Deployment`, `ReplicaSet`, `Pod`.
    pub kind: WorkloadKind,
    /// The workload's name.
    pub name: String,
    /// The workload's UID.
    pub uid: String,
    /// The digests that were reviewed; another image needs another approval.
    #[schemars(length(min = 1, max = 1000))]
    pub digests: Vec<String>,
    /// Reason, recorded for audit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Approver; an admission policy requires it to be the requester.
    pub approved_by: String,
    /// Whether it lets the images run whatever policy says of them, until it expires, a day at most. Needs a reason, and the
    /// verb `override` on `rolloutapprovals`, which an admission policy asks for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// RFC 3339 time from which the approval is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<ObjectTime>,
}
