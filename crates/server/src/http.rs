//! What the server listens on: admission webhooks, reports and health, metrics.

pub(crate) mod admission_limits;
pub(crate) mod api;
pub(crate) mod metrics;
pub(crate) mod webhook;
