//! Health, over plain HTTP: what kubelets and operators ask, and nothing about images or workloads.

use crate::context::{ServerContext, ServerStage};
use crate::decide::database::DatabaseState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;
use tidewaiter_core::Reason;

/// All routes.
pub(crate) fn router(ctx: Arc<ServerContext>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/readyz/scans", get(ready_for_scans))
        .route("/api/v1/reports/{key}", get(moved))
        .with_state(ctx)
}

async fn ready(State(ctx): State<Arc<ServerContext>>) -> Response {
    let store = store_problem(&ctx).await;
    let (code, text) = readiness(ctx.index.problems(), ctx.stage(), &ctx.database.state(), store, Timestamp::now());
    (code, text).into_response()
}

/// Readiness for admission and control. A missing database is reported, and does not make the server unready: admission
/// works, holds remain. So is a store that cannot be written, and a database that is old: policy says what that means.
fn readiness(
    mut problems: Vec<String>,
    stage: ServerStage,
    database: &DatabaseState,
    store: Option<String>,
    now: Timestamp,
) -> (StatusCode, String) {
    match stage {
        ServerStage::Starting => problems.push("starting: the objects of the cluster are being listed".to_owned()),
        ServerStage::Stopping => problems.push("stopping: another process takes over".to_owned()),
        ServerStage::Ready => {}
    }
    if !problems.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n");
    }
    let text = match (&store, database) {
        (Some(why), _) | (None, DatabaseState::Missing(why)) => {
            format!("ok, but not ready for scans; holds remain: {why}\n")
        }
        (None, DatabaseState::Ready(_)) => format!("ok, {}\n", age(database, now)),
    };
    (StatusCode::OK, text)
}

/// Why no report can be stored. Asked on a thread that may block: it may try to write.
async fn store_problem(ctx: &ServerContext) -> Option<String> {
    let store = Arc::clone(&ctx.store);
    let why = tokio::task::spawn_blocking(move || store.problem()).await.ok().flatten()?;
    Some(format!("no report can be stored: {why}; make room on the volume of tidewaiter's store"))
}

/// Whether new images are scanned: the database and its age, or why not.
pub(super) async fn scan_readiness(ctx: &ServerContext) -> Result<String, (Reason, String)> {
    if let Some(why) = store_problem(ctx).await {
        return Err((Reason::ReportNotStored, why));
    }
    match ctx.database.state() {
        state @ DatabaseState::Ready(_) => {
            let id = state.id().unwrap_or_default();
            Ok(format!("database {id}, {}", age(&state, Timestamp::now())))
        }
        DatabaseState::Missing(why) => Err((Reason::NoDatabase, why)),
    }
}

async fn ready_for_scans(State(ctx): State<Arc<ServerContext>>) -> Response {
    match scan_readiness(&ctx).await {
        Ok(text) => format!("ok, {text}\n").into_response(),
        Err((reason, why)) => refusal(StatusCode::SERVICE_UNAVAILABLE, reason.as_str(), &why),
    }
}

/// The age of the database, and of the feed that could not be read for the longest time.
fn age(database: &DatabaseState, now: Timestamp) -> String {
    let stale = database.oldest_feed().map(|feed| format!("; its feed {} was last read {}", feed.name, feed.read));
    database_age(database, now) + &stale.unwrap_or_default()
}

/// In hours for two days: it is meant to be renewed daily.
fn database_age(database: &DatabaseState, now: Timestamp) -> String {
    match database.age(now).map(|seconds| seconds / 3600) {
        None => "the database does not say when it was built".to_owned(),
        Some(hours) if hours < 48 => format!("the database is {hours} hours old"),
        Some(hours) => format!("the database is {} days old", hours / 24),
    }
}

/// A refusal in the API server's own form (`Status`, Kubernetes API conventions): who reaches this server by the API server's
/// proxy reads both alike.
fn refusal(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16()});
    (code, Json(status)).into_response()
}

/// Where earlier plugins look for a report, by its key alone: they print this.
async fn moved() -> Response {
    let message = "reports are read as ImageReports, by the permissions of a namespace: use the kubectl-scan of this server's version";
    refusal(StatusCode::GONE, "Gone", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::report::{DatabaseInfo, FeedContent, StaleFeed};

    #[test]
    fn readiness_is_that_of_admission() {
        let missing = || DatabaseState::Missing("no file".to_owned());
        let answer = |problems: &[&str], stage: ServerStage, database: &DatabaseState, store: Option<&str>| {
            let problems = problems.iter().map(|p| (*p).to_owned()).collect();
            let (store, now) = (store.map(str::to_owned), "2026-01-09T06:00:00Z".parse().unwrap());
            let (code, text) = readiness(problems, stage, database, store, now);
            (code.as_u16(), text)
        };
        let check = |problems: &[&str], stage: ServerStage, database: DatabaseState, code: u16, text: &str| {
            assert_eq!(answer(problems, stage, &database, None), (code, text.to_owned()));
        };
        let built = |at: &str| DatabaseState::Ready(DatabaseInfo { built: at.parse().ok(), ..DatabaseInfo::default() });
        let ready = || built("2026-01-09T03:30:00Z");
        let starting = "starting: the objects of the cluster are being listed\n";
        check(&[], ServerStage::Ready, ready(), 200, "ok, the database is 2 hours old\n");
        check(&[], ServerStage::Ready, built("2026-01-01T00:00:00Z"), 200, "ok, the database is 8 days old\n");
        let feed = |name: &str, read: &str| StaleFeed {
            name: name.into(),
            read: read.parse().unwrap(),
            ecosystems: vec![],
            content: FeedContent::Advisories,
        };
        let stale = vec![feed("new", "2026-01-08T00:00:00Z"), feed("old", "2025-12-01T00:00:00Z")];
        let stale = DatabaseInfo { built: "2026-01-09T06:00:00Z".parse().ok(), stale, ..DatabaseInfo::default() };
        let said = "ok, the database is 0 hours old; its feed old was last read 2025-12-01T00:00:00Z\n";
        check(&[], ServerStage::Ready, DatabaseState::Ready(stale), 200, said);
        check(&[], ServerStage::Ready, built(""), 200, "ok, the database does not say when it was built\n");
        check(&[], ServerStage::Ready, missing(), 200, "ok, but not ready for scans; holds remain: no file\n");
        check(&[], ServerStage::Starting, ready(), 503, starting);
        check(&["no rights"], ServerStage::Ready, ready(), 503, "no rights\n");
        check(&["no rights", "no kind"], ServerStage::Ready, missing(), 503, "no rights\nno kind\n");
        check(&["no rights"], ServerStage::Starting, missing(), 503, &format!("no rights\n{starting}"));
        check(&[], ServerStage::Stopping, ready(), 503, "stopping: another process takes over\n");
        // A full volume ends scans, and neither admission nor holds.
        let full = (200, "ok, but not ready for scans; holds remain: full\n".to_owned());
        assert_eq!(answer(&[], ServerStage::Ready, &ready(), Some("full")), full);
        assert_eq!(answer(&[], ServerStage::Ready, &missing(), Some("full")), full);
        assert_eq!(answer(&["no rights"], ServerStage::Ready, &ready(), Some("full")), (503, "no rights\n".to_owned()));
    }

    #[tokio::test]
    async fn an_older_plugin_is_told_where_reports_are() {
        let response = moved().await;
        assert_eq!(response.status(), StatusCode::GONE);
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let status: kube::core::Status = serde_json::from_slice(&body).unwrap();
        assert_eq!((status.code, status.reason.as_str()), (410, "Gone"));
        assert!(status.message.contains("ImageReports"), "{status:?}");
    }
}
