//! A request that carries an alert.

use serde_json::Value;

/// One POST.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpMessage {
    /// Added to the destination's address.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Value,
}

impl HttpMessage {
    /// JSON, to the destination's own address.
    pub(crate) fn json(body: Value) -> Self {
        HttpMessage { path: String::new(), content_type: "application/json", body }
    }
}
