//! What the server listens on: admission webhooks, health, metrics.

pub(crate) mod admission_limits;
pub(crate) mod api;
pub(crate) mod metrics;
mod peers;
mod reports;
pub(crate) mod webhook;
