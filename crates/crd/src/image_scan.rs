//! `ImageScan`: one image to scan, and the result.

use crate::condition::{self, Condition};
use crate::schema;
use crate::time::ObjectTime;
use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tidewaiter_core::finding::Counts;
use tidewaiter_core::policy::Outcome;
use tidewaiter_core::status::ImageStatus;
use tidewaiter_core::{Reason, hex};

/// An image to scan. Users and the server create it; the server alone writes its status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "tidewaiter.dev",
    version = "v1alpha1",
    kind = "ImageScan",
    namespaced,
    status = "ImageScanStatus",
    shortname = "iscan",
    validation = "self.spec.image == oldSelf.spec.image",
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
    /// Platforms to scan (`linux/amd64`) in addition to those of the cluster's nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Pull secrets of this namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
    /// Change it to scan again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescan: Option<String>,
}

/// Result of a scan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageScanStatus {
    /// State of the scan. Never `Approved`: only a workload's use of an image is approved.
    #[schemars(schema_with = "schema::image_status")]
    pub image_status: ImageStatus,
    /// Generation of the ImageScan that this status describes.
    #[serde(default)]
    pub observed_generation: i64,
    /// Digest that the image reference resolved to: of the index, or of the manifest where there is no index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Platforms that the scan covers; a node of another platform causes a rescan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_platforms: Vec<String>,
    /// One entry for each scanned platform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformResult>,
    /// Findings of all platforms; a finding of several platforms counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::counts")]
    pub counts: Option<Counts>,
    /// Whether no report has a gap.
    #[serde(default)]
    pub complete: bool,
    /// Verdict of the namespace's policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::outcome")]
    pub verdict: Option<Outcome>,
    /// Reasons of the verdict, worst first; at most twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// ScanExceptions that some findings are excepted by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<String>,
    /// Id of the vulnerability database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Failures in a row of this generation; the pause before the next attempt grows with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::natural")]
    pub failures: Option<u32>,
    /// Seconds after which the registry accepts requests again, as it said at the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::natural")]
    pub retry_after_seconds: Option<u32>,
    /// Cause of a failed scan, as one CamelCase word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub reason: Option<Reason>,
    /// What happened, and what to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// RFC 3339 time at which the scan ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<ObjectTime>,
    /// `Scanned`: whether the scan has a result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl ImageScanStatus {
    /// Sets the condition that follows from the status, as of `now`.
    pub fn set_condition(&mut self, now: Timestamp) {
        let reason = self.reason.as_ref().map_or_else(|| self.image_status.to_string(), Reason::to_string);
        let new = Condition {
            type_: condition::SCANNED.to_owned(),
            status: condition::status(self.image_status, self.image_status != ImageStatus::ScanFailed).to_owned(),
            reason,
            message: self.message.clone(),
            last_transition_time: now.into(),
            observed_generation: self.observed_generation,
        };
        condition::set(&mut self.conditions, new);
    }

    /// Whether a scan of this generation of the object, or a later one, has ended.
    pub fn is_final(&self, generation: i64) -> bool {
        let ended = !matches!(self.image_status, ImageStatus::NotScanned | ImageStatus::Scanning);
        ended && self.observed_generation >= generation
    }

    /// The last completed result, if it is valid for a generation although a newer scan runs: a workload that requested
    /// that generation does not wait for a rescan that another one requested later.
    pub fn last_valid(&self, generation: i64) -> Option<ImageScanStatus> {
        let counts = self.counts.filter(|_| self.image_status == ImageStatus::Scanning)?;
        let verdict = self.verdict.filter(|_| self.observed_generation >= generation)?;
        Some(ImageScanStatus {
            image_status: ImageStatus::of(verdict, counts),
            message: counts.sentence(),
            ..self.clone()
        })
    }
}

/// Name of the ImageScan of an image in its namespace: a hash, because references hold characters that names may not.
/// Eight bytes: a namespace has thousands of images at most, and the full reference is compared whenever one is read.
pub fn name(image: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(image.as_bytes()).into();
    format!("scan-{}", hex(&hash[..8]))
}

/// Result for one platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformResult {
    /// `linux/amd64`.
    pub platform: String,
    /// Digest of the platform's manifest.
    pub digest: String,
    /// Key of the full report in the server's store, by which an `ImageReport` asks for it.
    pub report_key: String,
    /// Whose signed scan was taken in place of reading the image: the fingerprint of the key, and when the scan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}
