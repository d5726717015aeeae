//! The HTTP API: reports and health.

use crate::context::ServerContext;
use crate::decide::database::DatabaseState;
use crate::decide::exception;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tidewaiter_core::Reason;

/// All routes.
pub(crate) fn router(ctx: Arc<ServerContext>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/readyz/scans", get(ready_for_scans))
        .route("/api/v1/reports/{key}", get(report))
        .with_state(ctx)
}

async fn ready(State(ctx): State<Arc<ServerContext>>) -> Response {
    let started = ctx.ready.load(Ordering::Acquire);
    let store = store_problem(&ctx).await;
    let (code, text) = readiness(ctx.index.problems(), started, &ctx.database.state(), store, Timestamp::now());
    (code, text).into_response()
}

/// Readiness for admission and control. A missing database is reported, and does not make the server unready: admission
/// works, holds remain. So is a store that cannot be written, and a database that is old: policy says what that means.
fn readiness(
    mut problems: Vec<String>,
    started: bool,
    database: &DatabaseState,
    store: Option<String>,
    now: Timestamp,
) -> (StatusCode, String) {
    if !started {
        problems.push("starting: the objects of the cluster are being listed".to_owned());
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

async fn ready_for_scans(State(ctx): State<Arc<ServerContext>>) -> Response {
    if let Some(why) = store_problem(&ctx).await {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, Reason::ReportNotStored, &why);
    }
    match ctx.database.state() {
        state @ DatabaseState::Ready(_) => {
            let id = state.id().unwrap_or_default();
            format!("ok, database {id}, {}\n", age(&state, Timestamp::now())).into_response()
        }
        DatabaseState::Missing(why) => refusal(StatusCode::SERVICE_UNAVAILABLE, Reason::NoDatabase, &why),
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

/// A refusal in the API server's own form (`Status`, Kubernetes API conventions): clients reach this server by the API
/// server's proxy and read both alike.
fn refusal(code: StatusCode, reason: Reason, message: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16()});
    (code, Json(status)).into_response()
}

fn read_report(ctx: &ServerContext, key: &str) -> Option<Vec<u8>> {
    let database = ctx.database.state();
    let mut report = ctx.store.report(key)?;
    database.confirm(&mut report);
    if let Some(namespace) = ctx.index.namespace_of_report(key) {
        // As the gate judges it.
        let (exceptions, max_days) = (ctx.index.exceptions_in(&namespace), ctx.policy(&namespace).max_exception_days);
        exception::apply(&mut report, exceptions.iter().map(|e| &**e), max_days, Timestamp::now());
    }
    serde_json::to_vec(&report).ok()
}

/// A report by its key, which only readers of its ImageScan know.
async fn report(State(ctx): State<Arc<ServerContext>>, Path(key): Path<String>) -> Response {
    let found = tokio::task::spawn_blocking(move || read_report(&ctx, &key)).await.ok().flatten();
    match found {
        Some(report) => ([(header::CONTENT_TYPE, "application/json")], report).into_response(),
        None => {
            let message = "no report has this key; it may have been replaced by a newer scan";
            refusal(StatusCode::NOT_FOUND, Reason::ReportNotFound, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::report::{DatabaseInfo, FeedContent, StaleFeed};

    #[test]
    fn readiness_is_that_of_admission() {
        let missing = || DatabaseState::Missing("no file".to_owned());
        let answer = |problems: &[&str], started: bool, database: &DatabaseState, store: Option<&str>| {
            let problems = problems.iter().map(|p| (*p).to_owned()).collect();
            let (store, now) = (store.map(str::to_owned), "2026-01-09T06:00:00Z".parse().unwrap());
            let (code, text) = readiness(problems, started, database, store, now);
            (code.as_u16(), text)
        };
        let check = |problems: &[&str], started: bool, database: DatabaseState, code: u16, text: &str| {
            assert_eq!(answer(problems, started, &database, None), (code, text.to_owned()));
        };
        let built = |at: &str| DatabaseState::Ready(DatabaseInfo { built: at.parse().ok(), ..DatabaseInfo::default() });
        let ready = || built("2026-01-09T03:30:00Z");
        let starting = "starting: the objects of the cluster are being listed\n";
        check(&[], true, ready(), 200, "ok, the database is 2 hours old\n");
        check(&[], true, built("2026-01-01T00:00:00Z"), 200, "ok, the database is 8 days old\n");
        let feed = |name: &str, read: &str| StaleFeed {
            name: name.into(),
            read: read.parse().unwrap(),
            ecosystems: vec![],
            content: FeedContent::Advisories,
        };
        let stale = vec![feed("new", "2026-01-08T00:00:00Z"), feed("old", "2025-12-01T00:00:00Z")];
        let stale = DatabaseInfo { built: "2026-01-09T06:00:00Z".parse().ok(), stale, ..DatabaseInfo::default() };
        let said = "ok, the database is 0 hours old; its feed old was last read 2025-12-01T00:00:00Z\n";
        check(&[], true, DatabaseState::Ready(stale), 200, said);
        check(&[], true, built(""), 200, "ok, the database does not say when it was built\n");
        check(&[], true, missing(), 200, "ok, but not ready for scans; holds remain: no file\n");
        check(&[], false, ready(), 503, starting);
        check(&["no rights"], true, ready(), 503, "no rights\n");
        check(&["no rights", "no kind"], true, missing(), 503, "no rights\nno kind\n");
        check(&["no rights"], false, missing(), 503, &format!("no rights\n{starting}"));
        // A full volume ends scans, and neither admission nor holds.
        let full = (200, "ok, but not ready for scans; holds remain: full\n".to_owned());
        assert_eq!(answer(&[], true, &ready(), Some("full")), full);
        assert_eq!(answer(&[], true, &missing(), Some("full")), full);
        assert_eq!(answer(&["no rights"], true, &ready(), Some("full")), (503, "no rights\n".to_owned()));
    }

    #[test]
    fn a_refusal_has_the_form_of_the_api_servers() {
        assert_eq!(refusal(StatusCode::NOT_FOUND, Reason::ReportNotFound, "m").status(), StatusCode::NOT_FOUND);
    }
}
