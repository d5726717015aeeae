//! `ImageAllowlist`: the images that may run in a namespace, as parameter of the API server's own admission policies.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One per namespace, written by the server alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(group = "tidewaiter.dev", version = "v1alpha1", kind = "ImageAllowlist", namespaced)]
#[serde(rename_all = "camelCase")]
pub struct ImageAllowlistSpec {
    /// Digest → why it is listed (`approved`, `retained`).
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// Image string, as templates name it → pinned reference of what is approved by that name. While the server is away, the
    /// API server pins new Pods with these.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// Digest → image string of what passed a scan in this namespace. Only ephemeral containers may use these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scanned: BTreeMap<String, String>,
}
