//! `ImageScan`: one image to be scanned, and what was found.

use crate::condition::{self, Condition};
use crate::schema;
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
    /// Platforms to judge (`linux/amd64`) beside those of the cluster's nodes.
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
    /// Platforms of the nodes that were there; another one means another scan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_platforms: Vec<String>,
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
    /// What the namespace's policy says of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::outcome")]
    pub verdict: Option<Outcome>,
    /// Why, worst first; the first twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The database that judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Failures in a row of this generation; the pause before the next try grows with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::natural")]
    pub failures: Option<u32>,
    /// Why a scan failed, as one CamelCase word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub reason: Option<Reason>,
    /// What happened, and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// RFC 3339 time at which the scan ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// `Scanned`: whether there is a result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl ImageScanStatus {
    /// Says the same as a condition, as of `now` (RFC 3339).
    pub fn set_condition(&mut self, now: &str) {
        let reason = self.reason.as_ref().map_or_else(|| self.image_status.to_string(), Reason::to_string);
        let new = Condition {
            type_: condition::SCANNED.to_owned(),
            status: condition::word(self.image_status, self.image_status != ImageStatus::ScanFailed).to_owned(),
            reason,
            message: self.message.clone(),
            last_transition_time: now.to_owned(),
            observed_generation: self.observed_generation,
        };
        condition::set(&mut self.conditions, new);
    }

    /// Whether a scan has ended with a result for this generation of the object.
    pub fn is_final(&self, generation: i64) -> bool {
        let ended = !matches!(self.image_status, ImageStatus::NotScanned | ImageStatus::Scanning);
        ended && self.observed_generation >= generation
    }
}

impl ImageScanStatus {
    /// The result that stands while a newer scan runs, if it counts for a generation: who asked for that one need not
    /// wait for what somebody else asked for later.
    pub fn standing(&self, generation: i64) -> Option<ImageScanStatus> {
        let counts = self.counts.filter(|_| self.image_status == ImageStatus::Scanning)?;
        let verdict = self.verdict.filter(|_| self.observed_generation >= generation)?;
        let image_status = ImageStatus::of(verdict, counts);
        Some(ImageScanStatus { image_status, message: counts.sentence(), ..self.clone() })
    }
}

/// Name of the ImageScan of an image in its namespace: a hash of the image string, so that each has one.
pub fn name(image: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(image.as_bytes()).into();
    // 64 bits keep the names short; two images of one namespace that share them are not found by chance, and a forged pair
    // is refused: an ImageScan's image never changes.
    format!("scan-{}", hex(&hash[..8]))
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
