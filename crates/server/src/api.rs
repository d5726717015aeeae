//! The HTTP API: reports and health; metrics at another address.

use crate::context::Context;
use crate::database::State as DatabaseState;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tidewaiter_core::Reason;

/// All routes.
pub(crate) fn router(ctx: Arc<Context>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/readyz/scans", get(ready_for_scans))
        .route("/api/v1/reports/{key}", get(report))
        .with_state(ctx)
}

/// Metrics, at an address of their own: everybody who is logged in reaches the other one (ADR 0008).
pub(crate) fn metrics_router(ctx: Arc<Context>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(ctx)
}

/// Ready for admission and control. A missing database is told, and takes nothing away: holds stay.
async fn ready(State(ctx): State<Arc<Context>>) -> Response {
    let mut problems = ctx.index.problems();
    if !ctx.ready.load(Ordering::Acquire) {
        problems.push("starting: the cluster is being read".to_owned());
    }
    match (problems.is_empty(), ctx.databases.state()) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n").into_response(),
        (true, DatabaseState::Missing(why)) => {
            format!("ok, but not ready for scans; holds stay: {why}\n").into_response()
        }
        (true, DatabaseState::Ready(_)) => "ok\n".into_response(),
    }
}

async fn ready_for_scans(State(ctx): State<Arc<Context>>) -> Response {
    match ctx.databases.state() {
        DatabaseState::Ready(id) => format!("ok, database {id}\n").into_response(),
        DatabaseState::Missing(why) => refusal(StatusCode::SERVICE_UNAVAILABLE, Reason::NoDatabase, &why),
    }
}

/// A refusal as the API server words its own (`Status` of the Kubernetes API conventions), since that is who passes it on.
fn refusal(code: StatusCode, reason: Reason, message: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16()});
    (code, Json(status)).into_response()
}

async fn metrics(State(ctx): State<Arc<Context>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], ctx.metrics.text()).into_response()
}

/// A report by its key, which only readers of its ImageScan know.
async fn report(State(ctx): State<Arc<Context>>, Path(key): Path<String>) -> Response {
    let store = Arc::clone(&ctx.store);
    let read = move || store.report(&key).and_then(|report| serde_json::to_vec(&report).ok());
    let found = tokio::task::spawn_blocking(read).await.ok().flatten();
    match found {
        Some(report) => ([(header::CONTENT_TYPE, "application/json")], report).into_response(),
        None => {
            let message = "there is no such report; it may have been replaced by a newer scan";
            refusal(StatusCode::NOT_FOUND, Reason::ReportNotFound, message)
        }
    }
}
