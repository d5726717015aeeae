//! Refusals and failures, as the specification has them: a status, and `{"error": {"message": …}}`.

use serde_json::{Value, json};

/// A refusal or failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdapterProblem {
    /// Status of HTTP.
    pub(crate) status: u16,
    /// What happened, the cause, and what to do next.
    pub(crate) message: String,
    /// Seconds after which the same may succeed.
    pub(crate) retry_after: Option<u16>,
}

impl AdapterProblem {
    /// A problem that stays.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        AdapterProblem { status, message: message.into(), retry_after: None }
    }

    /// A problem that passes.
    pub(crate) fn passing(message: impl Into<String>, retry_after: u16) -> Self {
        AdapterProblem { status: 503, message: message.into(), retry_after: Some(retry_after) }
    }

    /// The document.
    pub(crate) fn body(&self) -> Value {
        json!({"error": {"message": self.message}})
    }
}
