//! `WorkloadScan`: the decisions about one workload. Decisions are read from nowhere else.

use crate::condition::{self, Condition};
use crate::schema;
use crate::time::ObjectTime;
use crate::workload_kind::WorkloadKind;
use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};

/// Record of one workload, by UID. Written by the server alone.
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
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
    /// Its UID: an object that is created again under the same name is another workload.
    pub uid: String,
}

impl WorkloadScanSpec {
    /// Name of the workload's WorkloadScan: readable, and unique to its kind and UID.
    pub fn record_name(&self) -> String {
        // Names are limited to 253 characters; kind and UID need the rest.
        let short: String = self.name.chars().take(MAX_SHORT_NAME).collect();
        let tail: String = self.uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
        // Users write owner references, with any text for a kind: the object's name must be one all the same.
        let kind: String = self.kind.qualified(&self.api_version).chars().map(name_character).take(MAX_KIND).collect();
        format!("{kind}-{short}-{tail}")
    }
}

/// Characters of the workload's name in that of its record; with those of the kind and the UID no more than 253.
const MAX_SHORT_NAME: usize = 180;
const MAX_KIND: usize = 63;

/// A character of a kind, as object names allow it (RFC 1123).
fn name_character(c: char) -> char {
    if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' { c } else { 'x' }
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
    /// Whether the server paused or suspended the workload; a pause of the user's own outlives the hold.
    #[serde(default)]
    pub paused_by_server: bool,
    /// Hash of the template that the statuses describe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The update of a DaemonSet or StatefulSet that admission refused until its images are approved; the statuses describe it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedUpdate>,
    /// Template hash → decision about it.
    #[serde(default)]
    pub revisions: BTreeMap<String, Revision>,
    /// Ids of delivered alerts, the oldest first; none is sent again.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub alerted: Vec<String>,
    /// State and next step, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Generation of the WorkloadScan that this status describes.
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
    /// Sets the condition that follows from the status, as of `now`.
    pub fn set_condition(&mut self, now: Timestamp) {
        let new = Condition {
            type_: condition::IMAGE_APPROVED.to_owned(),
            status: condition::status(self.image_status, self.image_status == ImageStatus::Approved).to_owned(),
            reason: self.image_status.to_string(),
            message: self.message.clone(),
            last_transition_time: now.into(),
            observed_generation: self.observed_generation,
        };
        condition::set(&mut self.conditions, new);
    }

    /// The revision that the statuses describe.
    pub fn current_revision(&self) -> Option<&Revision> {
        self.revisions.get(self.current.as_ref()?)
    }
}

/// An update that admission refused until its images are approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedUpdate {
    /// Hash of its revision.
    pub revision: String,
    /// Hash of the revision that runs meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// RFC 3339 time of the last attempt to apply it.
    pub at: ObjectTime,
}

/// Reads a list, or the single text that earlier versions wrote.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(id) => vec![id],
        OneOrMany::Many(ids) => ids,
    })
}

/// One template of a workload.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// What its Pods may do.
    pub decision: Decision,
    /// Container name → its image.
    pub containers: BTreeMap<String, Container>,
    /// RFC 3339 time at which it was first seen; of single Pods' revisions only the newest are recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub added: Option<ObjectTime>,
    /// Whether it was approved before a new finding made it retained.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lost: bool,
    /// Who approved it, where that was needed. One of these that is deleted, or expires, withdraws the approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<GivenApproval>,
}

/// A RolloutApproval that a decision followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GivenApproval {
    /// Name of the RolloutApproval.
    pub name: String,
    /// Who approved.
    pub by: String,
    /// Reason that was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether it overrides policy.
    #[serde(default, skip_serializing_if = "is_false")]
    pub break_glass: bool,
    /// RFC 3339 time at which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub expires: Option<ObjectTime>,
}

impl Revision {
    /// Who approved it by what is no longer among the approvals that are `given`.
    pub fn ended_approvals(&self, given: &[GivenApproval]) -> Option<String> {
        let ended = self.approved_by.iter().filter(|one| !given.contains(one)).map(|one| one.by.as_str());
        let people: BTreeSet<&str> = ended.collect();
        (!people.is_empty()).then(|| people.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// Whether it runs, or ran, because a person overrides policy.
    pub fn overrides_policy(&self) -> bool {
        self.approved_by.iter().any(|given| given.break_glass)
    }

    /// Container name → pinned image, of those that have one.
    pub fn pins(&self) -> BTreeMap<String, String> {
        let pinned = self.containers.iter().filter_map(|(name, c)| Some((name.clone(), c.pinned.clone()?)));
        pinned.collect()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What the Pods of a revision may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// Wait for approval.
    #[default]
    Held,
    /// Run.
    Approved,
    /// Run where they already run, restart and scale; a new rollout is held.
    Retained,
}

/// Image of one container.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// As the template names it.
    pub image: String,
    /// The same, pinned to the digest that was scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// The scan whose result counts; an older result describes what the tag named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanRef>,
}

impl Container {
    /// Whether an image reference is this container's, as the template names it or pinned.
    pub fn names(&self, image: &str) -> bool {
        self.image == image || self.pinned.as_deref() == Some(image)
    }
}

/// One requested run of an ImageScan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanRef {
    /// UID of the ImageScan.
    pub uid: String,
    /// First generation whose result counts.
    pub generation: i64,
}

/// One change of the statuses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// RFC 3339.
    pub time: ObjectTime,
    /// Image status from then on.
    #[schemars(schema_with = "schema::image_status")]
    pub image_status: ImageStatus,
    /// Deployment status from then on.
    #[schemars(schema_with = "schema::deployment_status")]
    pub deployment_status: DeploymentStatus,
}
