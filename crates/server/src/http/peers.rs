//! What other servers of the cluster ask this one (`crate::peers`).

use super::webhook::is_same;
use crate::context::ServerContext;
use crate::peers::{WebhookNotices, take_up};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use std::sync::Arc;

/// The routes, which begin with what the servers alone know.
pub(super) fn router<S>(ctx: Arc<ServerContext>) -> Router<S> {
    Router::new().route("/peers/{token}/notices", post(notices)).with_state(ctx)
}

async fn notices(
    State(ctx): State<Arc<ServerContext>>,
    Path(token): Path<String>,
    Json(notices): Json<WebhookNotices>,
) -> StatusCode {
    if !ctx.peers.get().is_some_and(|known| is_same(&known.token, &token)) {
        return StatusCode::NOT_FOUND;
    }
    // Who asks looks for the leader again, and asks that one.
    if !ctx.fence.is_open() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    take_up(&ctx, notices);
    StatusCode::ACCEPTED
}
