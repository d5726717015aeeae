//! The gate's decisions at admission: pure functions over what is known in memory.
//!
//! ```text
//! (request, record of its workload) → allow, patch, warn or deny
//! ```
//!
//! No network, no clock, no file, no API call: the API server waits for every line here, and the import check keeps it so.
//! Nothing that a user can write decides: annotations are for display, and can only make more workloads be paused.

pub(crate) mod applied_pod;
pub(crate) mod hold;
pub(crate) mod in_place;
pub(crate) mod pod;
pub(crate) mod preview;
pub(crate) mod report;

use serde_json::Value;

/// The response to an admission request.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct AdmissionDecision {
    /// Cause of a refusal.
    pub(crate) denial: Option<String>,
    /// JSON patch (RFC 6902) of the object.
    pub(crate) patch: Vec<Value>,
    /// Warnings that `kubectl` prints to the user.
    pub(crate) warnings: Vec<String>,
}

impl AdmissionDecision {
    /// Admits the object unchanged.
    pub(crate) fn allow() -> Self {
        AdmissionDecision::default()
    }

    /// Refuses the request.
    pub(crate) fn deny(why: String) -> Self {
        AdmissionDecision { denial: Some(why), ..AdmissionDecision::default() }
    }
}
