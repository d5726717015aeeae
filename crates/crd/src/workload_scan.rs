//! `WorkloadScan`: what tidewaiter decided about one workload. The only place decisions are read from.

use crate::condition::{self, Condition};
use crate::schema;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};

/// One workload, by UID. Written by the server alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "WorkloadScan",
    namespaced,
    status = "WorkloadScanStatus",
    shortname = "wscan",
    printcolumn = r#"{"name":"Kind","type":"string","jsonPath":".spec.kind"}"#,
    printcolumn = r#"{"name":"Workload","type":"string","jsonPath":".spec.name"}"#,
    printcolumn = r#"{"name":"Image","type":"string","jsonPath":".status.imageStatus"}"#,
    printcolumn = r#"{"name":"Deployment","type":"string","jsonPath":".status.deploymentStatus"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadScanSpec {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`, `ReplicaSet`, `Pod`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its UID: another object of the same name is another workload.
    pub uid: String,
}

/// Name of a workload's WorkloadScan: readable, and another one for another object of the same name.
pub fn name(kind: &str, name: &str, uid: &str) -> String {
    // A name has 253 characters at most.
    let short: String = name.chars().take(200).collect();
    let tail: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("{}-{short}-{tail}", kind.to_ascii_lowercase())
}

/// The state of a workload.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadScanStatus {
    /// The worst of its containers' images.
    #[schemars(schema_with = "schema::image_status")]
    pub image_status: ImageStatus,
    /// The workload itself.
    #[schemars(schema_with = "schema::deployment_status")]
    pub deployment_status: DeploymentStatus,
    /// The pause of the hold is the server's; false: the user's own, which outlives it.
    #[serde(default)]
    pub paused_by_server: bool,
    /// Hash of the template that the statuses are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Template hash → what is decided about it: the current one and those of kept revisions.
    #[serde(default)]
    pub revisions: BTreeMap<String, Revision>,
    /// The alert that was delivered last; the same one is not sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerted: Option<String>,
    /// What to do, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The generation of the WorkloadScan that this is of.
    #[serde(default)]
    pub observed_generation: i64,
    /// `ImageApproved`: whether every image may run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The last ten transitions, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
}

impl WorkloadScanStatus {
    /// Says the same as a condition, as of `now` (RFC 3339).
    pub fn set_condition(&mut self, now: &str) {
        let new = Condition {
            type_: condition::IMAGE_APPROVED.to_owned(),
            status: condition::word(self.image_status, self.image_status == ImageStatus::Approved).to_owned(),
            reason: self.image_status.to_string(),
            message: self.message.clone(),
            last_transition_time: now.to_owned(),
            observed_generation: self.observed_generation,
        };
        condition::set(&mut self.conditions, new);
    }

    /// The revision that the statuses are of.
    pub fn current_revision(&self) -> Option<&Revision> {
        self.revisions.get(self.current.as_ref()?)
    }
}

/// One Pod template.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// What its Pods may do.
    pub decision: Decision,
    /// Container name → its image.
    pub containers: BTreeMap<String, Container>,
    /// RFC 3339 time at which it was first seen; of revisions of single Pods the newest are kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub added: String,
    /// It was approved and is retained now, since something was found in it that policy blocks.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lost: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What the Pods of a template may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// Wait.
    #[default]
    Held,
    /// Run.
    Approved,
    /// Run where they run already, and restart; start no new rollout.
    Retained,
}

/// One container's image.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// As the template names it.
    pub image: String,
    /// The same, with the digest that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// The scan whose result counts; an older one was of what the image string named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanRef>,
}

impl Container {
    /// Whether an image string is this container's, as the template names it or pinned.
    pub fn names(&self, image: &str) -> bool {
        self.image == image || self.pinned.as_deref() == Some(image)
    }
}

/// One run of an ImageScan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanRef {
    /// UID of the ImageScan.
    pub uid: String,
    /// The first generation whose result counts.
    pub generation: i64,
}

/// One change of state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// RFC 3339.
    pub time: String,
    /// The workload's image status from then on.
    #[schemars(schema_with = "schema::image_status")]
    pub image_status: ImageStatus,
    /// Its deployment status from then on.
    #[schemars(schema_with = "schema::deployment_status")]
    pub deployment_status: DeploymentStatus,
}
