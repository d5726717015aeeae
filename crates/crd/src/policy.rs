//! `ClusterScanPolicy`: what a report must satisfy, and in which namespaces.

use crate::alert::{AlertReceiver, ClusterScanPolicyStatus};
use crate::namespace::{ChosenNamespace, NamespaceSelector};
use crate::schema;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use tidewaiter_core::policy::{IncompleteAction, MAX_DATABASE_AGE_DAYS, Policy, Rule, UnratedAction};
use tidewaiter_core::severity::Severity;

/// What a report must satisfy. Where several policies choose a namespace, the strictest value of each field applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "ClusterScanPolicy",
    status = "ClusterScanPolicyStatus",
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"Block At","type":"string","jsonPath":".spec.blockAt"}"#,
    printcolumn = r#"{"name":"Approval","type":"string","jsonPath":".spec.approval"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterScanPolicySpec {
    /// Namespaces it applies to, by name. Without names and selector: all that no other policy chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Namespaces it applies to by their labels, in addition to those it names; `{}`: every namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,
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
    /// Days after its creation from which on a ScanException does not apply any more, whatever it says itself; 0: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::exception_days")]
    pub max_exception_days: Option<u32>,
    /// Receivers of alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-validations" = schema::receivers_rules()))]
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

/// The policies that apply to a namespace: those that choose it, by name or by label, else those that choose none.
pub fn applying<'a, P: Borrow<ClusterScanPolicy>>(
    policies: &'a [P],
    namespace: ChosenNamespace<'_>,
) -> Vec<&'a ClusterScanPolicy> {
    let all = || policies.iter().map(|policy| -> &ClusterScanPolicy { policy.borrow() });
    let chosen: Vec<_> = all().filter(|policy| policy.spec.chooses(namespace)).collect();
    if chosen.is_empty() { all().filter(|policy| policy.spec.is_for_others()).collect() } else { chosen }
}

/// The criteria that reports of a namespace are evaluated by: of several policies the strictest of each field, and the defaults
/// where none applies.
pub fn criteria_in<P: Borrow<ClusterScanPolicy>>(policies: &[P], namespace: ChosenNamespace<'_>) -> Policy {
    let all = applying(policies, namespace).into_iter().map(|policy| policy.spec.criteria());
    all.reduce(|a, b| a.strictest(&b)).unwrap_or_default()
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

impl Default for ClusterScanPolicySpec {
    /// As where the object has none of the fields.
    fn default() -> Self {
        ClusterScanPolicySpec {
            namespaces: Vec::new(),
            namespace_selector: None,
            mode: Mode::default(),
            enforced_namespaces: Vec::new(),
            block_at: block_at(),
            rules: Vec::new(),
            unrated: UnratedAction::default(),
            incomplete: IncompleteAction::default(),
            max_database_age_days: max_database_age_days(),
            approval: ApprovalMode::default(),
            required_approvals: one(),
            max_exception_days: None,
            alerts: Vec::new(),
        }
    }
}

impl ClusterScanPolicySpec {
    /// Whether it applies to a namespace by its name or its labels.
    pub fn chooses(&self, namespace: ChosenNamespace<'_>) -> bool {
        self.namespaces.iter().any(|name| name == namespace.name)
            || self.namespace_selector.as_ref().is_some_and(|selector| namespace.is_selected_by(selector))
    }

    /// Whether it applies to the namespaces that no policy chooses.
    pub fn is_for_others(&self) -> bool {
        self.namespaces.is_empty() && self.namespace_selector.is_none()
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::Labels;
    use serde_json::{Value, json};

    #[test]
    fn a_namespace_is_chosen_by_name_or_by_label() {
        let prod: Labels = [("env".to_owned(), "prod".to_owned())].into();
        let check = |specs: &[Value], name: &str, labels: &Labels, expected: &[usize]| {
            let one = |(place, spec): (usize, &Value)| {
                ClusterScanPolicy::new(&place.to_string(), serde_json::from_value(spec.clone()).unwrap())
            };
            let all: Vec<_> = specs.iter().enumerate().map(one).collect();
            let found = applying(&all, ChosenNamespace::new(name, labels)).into_iter();
            let found: Vec<usize> =
                found.map(|policy| policy.metadata.name.as_deref().unwrap().parse().unwrap()).collect();
            assert_eq!(found, expected, "{name} {labels:?} {specs:?}");
        };
        let by_label = || json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}});
        let either = json!({"namespaces": ["a"], "namespaceSelector": {"matchLabels": {"env": "prod"}}});
        let (every, others, none) = (json!({"namespaceSelector": {}}), json!({}), Labels::new());
        check(std::slice::from_ref(&either), "a", &none, &[0]);
        check(std::slice::from_ref(&either), "b", &prod, &[0]);
        check(std::slice::from_ref(&either), "b", &none, &[]);
        // One with a selector is none for all others, also while it selects nothing.
        check(&[by_label()], "b", &none, &[]);
        check(&[by_label(), others.clone()], "b", &none, &[1]);
        check(&[by_label(), others.clone()], "b", &prod, &[0]);
        // Of those that choose it all apply, however they do; those for all others do not.
        check(&[by_label(), json!({"namespaces": ["b"]}), others.clone()], "b", &prod, &[0, 1]);
        check(&[every.clone(), others], "b", &none, &[0]);
        check(&[every, by_label()], "b", &prod, &[0, 1]);
    }
}
