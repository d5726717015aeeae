//! The gate's decisions at admission: pure functions over what is known in memory.
//!
//! ```text
//! (request, what is known of its workload) → answer: allow, patch, warn, or deny
//! ```
//!
//! No network, no clock, no file, no API call: nothing here may ever wait. The import check keeps it so. Nothing that
//! a user can write decides: annotations are carried along for display and only ever make more be paused.

pub(crate) mod deployment;
pub(crate) mod images;
pub(crate) mod pod;
pub(crate) mod revisions;

use serde_json::{Value, json};

/// What the API server is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Answer {
    /// Why the request is refused.
    pub(crate) denial: Option<String>,
    /// JSON patch (RFC 6902) of the object.
    pub(crate) patch: Vec<Value>,
    /// Lines that the user reads.
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    /// Let it pass as it is.
    pub(crate) fn pass() -> Self {
        Answer::default()
    }

    /// Refuse it.
    pub(crate) fn deny(why: String) -> Self {
        Answer { denial: Some(why), ..Answer::default() }
    }
}

/// Adds entries to a map of metadata (`annotations`, `labels`) that may not be there.
pub(crate) fn add_metadata(map: &str, present: bool, entries: &[(&str, &str)]) -> Vec<Value> {
    let mut patch = Vec::new();
    if !present && !entries.is_empty() {
        patch.push(json!({"op": "add", "path": format!("/metadata/{map}"), "value": {}}));
    }
    let add = |(key, value): &(&str, &str)| json!({"op": "add", "path": metadata_path(map, key), "value": value});
    patch.extend(entries.iter().map(add));
    patch
}

/// The JSON pointer (RFC 6901) of one entry of a metadata map.
pub(crate) fn metadata_path(map: &str, key: &str) -> String {
    format!("/metadata/{map}/{}", key.replace('~', "~0").replace('/', "~1"))
}
