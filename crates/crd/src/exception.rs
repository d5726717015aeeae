//! `ScanException`: findings that people accept in a namespace, for a reason and a time.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requested by one person and approved by another (`kubectl scan exception`). Nothing but the approval can be added later; an
/// admission policy sees to both. Deleting it ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "ScanException",
    namespaced,
    status = "ScanExceptionStatus",
    shortname = "sexc",
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.state"}"#,
    printcolumn = r#"{"name":"Vulnerabilities","type":"string","jsonPath":".spec.vulnerabilities"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expires"}"#,
    printcolumn = r#"{"name":"Requested By","type":"string","jsonPath":".spec.requestedBy","priority":1}"#,
    printcolumn = r#"{"name":"Approved By","type":"string","jsonPath":".spec.approvedBy","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ScanExceptionSpec {
    /// Vulnerabilities by any of their names, with wildcards: `CVE-2025-1234`, `GHSA-…`.
    #[schemars(length(min = 1, max = 100))]
    pub vulnerabilities: Vec<String>,
    /// Packages by name, with wildcards, or by purl; empty: every package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub packages: Vec<String>,
    /// Images by reference, with wildcards, or by digest; empty: every image of the namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub images: Vec<String>,
    /// Reason, shown with every finding that is excepted.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
    /// First day (UTC) on which it no longer applies: `2026-12-31`. What is not a day has passed.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub expires: String,
    /// Whether it ends for a finding as soon as a version without it exists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_fixed: bool,
    /// Who requests it; an admission policy requires it to be the requester.
    pub requested_by: String,
    /// Who approves it: another person, who sets this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
}

/// What the exception does; written by the server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanExceptionStatus {
    /// Whether it applies.
    pub state: ExceptionState,
    /// First day (UTC) on which it no longer applies, where a policy ends it before the day it names (`maxExceptionDays`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by_policy: Option<String>,
    /// Images with a finding that it excepts; at most fifty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_by: Vec<String>,
}

/// Whether an exception applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ExceptionState {
    /// Nobody has approved it.
    #[default]
    Pending,
    /// It applies.
    Active,
    /// It applies, and ends within a week.
    Ending,
    /// Its time is over.
    Expired,
}
