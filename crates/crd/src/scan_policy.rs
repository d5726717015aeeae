//! `ScanPolicy`: what the people of a namespace require beyond the cluster's policies.

use crate::policy::{ApprovalMode, Mode};
use crate::schema;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewaiter_core::policy::{IncompleteAction, Policy, Rule, UnratedAction};
use tidewaiter_core::severity::Severity;

/// Makes the policy of its namespace stricter, never weaker: of each field the stricter value counts, that of the
/// ClusterScanPolicies or this one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "ScanPolicy",
    namespaced,
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"Block At","type":"string","jsonPath":".spec.blockAt"}"#,
    printcolumn = r#"{"name":"Approval","type":"string","jsonPath":".spec.approval"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ScanPolicySpec {
    /// Mode of the namespace, where it is stricter: Enforce where the cluster's policies only warn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Lowest severity that blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::severity")]
    pub block_at: Option<Severity>,
    /// Findings that block as well: those that fulfil all criteria of one rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::rules")]
    pub rules: Vec<Rule>,
    /// Effect of a finding without a rating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::unrated")]
    pub unrated: Option<UnratedAction>,
    /// Effect of an incomplete report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::incomplete")]
    pub incomplete: Option<IncompleteAction>,
    /// Maximum age of the database in days; reports of an older one are incomplete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::days")]
    pub max_database_age_days: Option<u32>,
    /// Who approves what the policy allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalMode>,
    /// Number of people who must approve the same images where a person must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::people")]
    pub required_approvals: Option<u32>,
    /// Days after its creation from which on a ScanException does not apply any more, whatever it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::exception_days")]
    pub max_exception_days: Option<u32>,
}

/// Criteria of the cluster, made stricter by a namespace's own policies.
#[must_use]
pub fn tightened<'a>(of_cluster: Policy, own: impl IntoIterator<Item = &'a ScanPolicy>, namespace: &str) -> Policy {
    let own = own.into_iter().filter(|policy| policy.metadata.namespace.as_deref() == Some(namespace));
    own.fold(of_cluster, |policy, own| policy.strictest(&own.spec.criteria()))
}

impl ScanPolicySpec {
    /// The criteria, as lenient as they can be where it says nothing: to be combined with those of the cluster.
    pub fn criteria(&self) -> Policy {
        Policy {
            block_at: self.block_at,
            rules: self.rules.clone(),
            unrated: self.unrated.unwrap_or(UnratedAction::Allow),
            incomplete: self.incomplete.unwrap_or(IncompleteAction::Allow),
            max_database_age_days: self.max_database_age_days.filter(|days| *days > 0),
        }
    }
}
