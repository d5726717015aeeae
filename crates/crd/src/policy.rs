//! `ClusterScanPolicy`: what a report must satisfy, and in which namespaces.

use crate::schema;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use tidewaiter_core::policy::{IncompleteAction, MAX_DATABASE_AGE_DAYS, Policy, Rule, UnratedAction};
use tidewaiter_core::severity::Severity;

/// What a report must satisfy. Where several policies name a namespace, the strictest value of each field applies.
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
    /// Namespaces it applies to; empty: all that no other policy names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Whether workloads are held, or only warned about, or only reported.
    #[serde(default)]
    pub mode: Mode,
    /// Namespaces in which it is enforced although its mode is weaker, of those that it applies to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub enforced_namespaces: Vec<String>,
    /// Lowest severity that blocks; `NEVER`: only rules block.
    #[serde(default = "block_at", with = "tidewaiter_core::policy::block_at")]
    #[schemars(schema_with = "schema::block_at")]
    pub block_at: Option<Severity>,
    /// Findings that block although their severity does not: those that fulfil all criteria of one rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::rules")]
    pub rules: Vec<Rule>,
    /// Effect of a finding without a rating.
    #[serde(default)]
    #[schemars(schema_with = "schema::unrated")]
    pub unrated: UnratedAction,
    /// Effect of an incomplete report.
    #[serde(default)]
    #[schemars(schema_with = "schema::incomplete")]
    pub incomplete: IncompleteAction,
    /// Maximum age of the database in days; reports of an older one are incomplete. 0: any age is accepted.
    #[serde(default = "max_database_age_days")]
    #[schemars(schema_with = "schema::days")]
    pub max_database_age_days: u32,
    /// Who approves what the policy allows.
    #[serde(default)]
    pub approval: ApprovalMode,
    /// Number of people who must approve the same images where a person must; 1 by default.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(schema_with = "schema::people")]
    pub required_approvals: u32,
    /// Receivers of alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertReceiver>,
}

fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(value: &u32) -> bool {
    *value == 1
}

fn max_database_age_days() -> u32 {
    MAX_DATABASE_AGE_DAYS
}

fn block_at() -> Option<Severity> {
    Policy::default().block_at
}

/// The policies that apply to a namespace: those that name it, else those that name none.
pub fn applying<'a, P: Borrow<ClusterScanPolicy>>(policies: &'a [P], namespace: &str) -> Vec<&'a ClusterScanPolicy> {
    let all = || policies.iter().map(|policy| -> &ClusterScanPolicy { policy.borrow() });
    let named: Vec<_> = all().filter(|policy| policy.spec.namespaces.iter().any(|name| name == namespace)).collect();
    if named.is_empty() { all().filter(|policy| policy.spec.namespaces.is_empty()).collect() } else { named }
}

/// Whether a policy is enforced; the stricter modes come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Scan and report only.
    Audit,
    /// As Audit, and say to whoever creates or changes a workload what would be held.
    Warn,
    /// Hold, gate and refuse.
    #[default]
    Enforce,
}

/// Who approves a rollout.
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
pub struct AlertReceiver {
    /// http(s) address.
    pub url: String,
}

impl Default for ClusterScanPolicySpec {
    /// As where the object has none of the fields.
    fn default() -> Self {
        ClusterScanPolicySpec {
            namespaces: Vec::new(),
            mode: Mode::default(),
            enforced_namespaces: Vec::new(),
            block_at: block_at(),
            rules: Vec::new(),
            unrated: UnratedAction::default(),
            incomplete: IncompleteAction::default(),
            max_database_age_days: max_database_age_days(),
            approval: ApprovalMode::default(),
            required_approvals: one(),
            alerts: Vec::new(),
        }
    }
}

impl ClusterScanPolicySpec {
    /// The mode in a namespace that it applies to.
    pub fn mode_in(&self, namespace: &str) -> Mode {
        if self.enforced_namespaces.iter().any(|name| name == namespace) { Mode::Enforce } else { self.mode }
    }

    /// The criteria that reports are evaluated by.
    pub fn criteria(&self) -> Policy {
        Policy {
            block_at: self.block_at,
            rules: self.rules.clone(),
            unrated: self.unrated,
            incomplete: self.incomplete,
            max_database_age_days: Some(self.max_database_age_days).filter(|days| *days > 0),
        }
    }
}
