//! `ClusterScanPolicy`: what is asked of images, and where.

use crate::schema;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewaiter_core::policy::{IncompleteAction, Policy, UnratedAction};
use tidewaiter_core::severity::Severity;

/// One policy. Where several name a namespace, the strictest of each field applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "ClusterScanPolicy",
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"Block At","type":"string","jsonPath":".spec.blockAt"}"#,
    printcolumn = r#"{"name":"Approval","type":"string","jsonPath":".spec.approval"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterScanPolicySpec {
    /// Namespaces it is for; empty: all that no other policy names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Whether it holds workloads or only reports.
    #[serde(default)]
    pub mode: Mode,
    /// Severity from which a finding blocks.
    #[serde(default = "block_at")]
    #[schemars(schema_with = "schema::severity")]
    pub block_at: Severity,
    /// What a finding nobody rated does.
    #[serde(default)]
    #[schemars(schema_with = "schema::unrated")]
    pub unrated: UnratedAction,
    /// What an incomplete report does.
    #[serde(default)]
    #[schemars(schema_with = "schema::incomplete")]
    pub incomplete: IncompleteAction,
    /// Days after which a database is too old: what it judges is incomplete. Without it, it may be of any age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::natural")]
    pub max_database_age_days: Option<u32>,
    /// Who approves what the policy lets pass.
    #[serde(default)]
    pub approval: ApprovalMode,
    /// Where alerts go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
}

fn block_at() -> Severity {
    Policy::default().block_at
}

/// Whether a policy acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Hold, gate and refuse.
    #[default]
    Enforce,
    /// Scan and report only.
    Audit,
}

/// Who approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ApprovalMode {
    /// The policy.
    #[default]
    Automatic,
    /// A person.
    Manual,
}

/// One receiver of alerts: CloudEvents 1.0 as JSON, by POST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// http(s) address.
    pub url: String,
}

impl ClusterScanPolicySpec {
    /// The part that judges reports.
    pub fn criteria(&self) -> Policy {
        Policy {
            block_at: self.block_at,
            unrated: self.unrated,
            incomplete: self.incomplete,
            max_database_age_days: self.max_database_age_days,
        }
    }
}
