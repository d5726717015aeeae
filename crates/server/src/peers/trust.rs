//! Which authorities the other servers trust, and whose certificates they show.

use super::ask::{get_all, others};
use crate::context::ServerContext;
use crate::decide::authority::ProcessTrust;
use anyhow::Result;
use futures::future::join_all;
use std::net::IpAddr;

/// Bytes of an answer.
const MOST_BYTES: u64 = 64 << 10;

/// What the other servers say of themselves; none for one that does not answer, or is of an earlier version.
///
/// # Errors
/// When it is not known which servers there are.
pub(crate) async fn of_others(ctx: &ServerContext) -> Result<Vec<Option<ProcessTrust>>> {
    Ok(join_all(others(ctx).await?.into_iter().map(|address| of(ctx, address))).await)
}

async fn of(ctx: &ServerContext, address: IpAddr) -> Option<ProcessTrust> {
    let answer = get_all(ctx, address, "authorities", MOST_BYTES).await;
    let answer = answer.inspect_err(|error| tracing::warn!("the webhooks' authorities: {error}")).ok()?;
    serde_json::from_slice(&answer).ok()
}
