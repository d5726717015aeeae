//! `ImageScan`: one image to be scanned, and what was found.

use crate::schema;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewaiter_core::finding::Counts;
use tidewaiter_core::status::ImageStatus;

/// An image to scan. Users and the server create it; the server alone writes its status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "ImageScan",
    namespaced,
    status = "ImageScanStatus",
    shortname = "iscan",
    printcolumn = r#"{"name":"Image","type":"string","jsonPath":".spec.image"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.imageStatus"}"#,
    printcolumn = r#"{"name":"Critical","type":"integer","jsonPath":".status.counts.critical"}"#,
    printcolumn = r#"{"name":"High","type":"integer","jsonPath":".status.counts.high"}"#,
    printcolumn = r#"{"name":"Medium","type":"integer","jsonPath":".status.counts.medium"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ImageScanSpec {
    /// The image as a workload names it.
    pub image: String,
    /// Platforms to judge (`linux/amd64`); empty: those of the cluster's nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Secrets of this namespace to pull with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
    /// Change it to scan again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescan: Option<String>,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageScanStatus {
    /// Never `Approved`: that belongs to a workload.
    #[schemars(schema_with = "schema::image_status")]
    pub image_status: ImageStatus,
    /// The generation this status is of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Digest of what the image string names: the index, or the manifest where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// One entry for each platform that was judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformResult>,
    /// Findings of all platforms, each pair once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::counts")]
    pub counts: Option<Counts>,
    /// Whether everything was seen.
    #[serde(default)]
    pub complete: bool,
    /// The database that judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Why a scan failed, as one CamelCase word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// RFC 3339 time at which the scan ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
}

/// The result for one platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformResult {
    /// `linux/amd64`.
    pub platform: String,
    /// Digest of the platform's manifest.
    pub digest: String,
    /// Unguessable key of the full report in the server's store.
    pub report_key: String,
}
