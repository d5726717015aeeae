//! The routes of the specification, and health.

use super::access::AccessToken;
use super::adapter::{HarborAdapter, VERSION};
use super::answer::{self, ReportKind};
use super::metadata;
use super::problem::AdapterProblem;
use super::queue::QueuedScanState;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a request: a token has some thousand, all else some hundred.
const MAX_BODY: usize = 64 << 10;
/// Time limit of a request's body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// After how many seconds an unfinished scan is asked for again. Harbor reads it as a number of eight bits.
const REFRESH_AFTER: u8 = 5;

/// What a request's media type begins with; a browser does not send it for a page of somebody else's.
const SCAN_REQUEST: &str = "application/vnd.scanner.adapter.scan.request+json";

/// What the routes need.
#[derive(Clone)]
pub(super) struct RouteState {
    pub(super) adapter: Arc<HarborAdapter>,
    /// The token that requests must have; none: they need none.
    pub(super) token: Arc<RwLock<Option<AccessToken>>>,
}

/// All routes.
pub(super) fn router(state: RouteState) -> Router {
    Router::new()
        .route("/api/v1/metadata", get(get_metadata))
        .route("/api/v1/scan", post(accept_scan))
        .route("/api/v1/scan/{id}/report", get(get_report))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(state.clone(), authenticate))
        .route("/healthz", get(async || "ok\n"))
        .with_state(state)
}

async fn authenticate(State(state): State<RouteState>, request: Request, next: Next) -> Response {
    let admitted = state.token.read().is_none_or(|token| token.admits(request.headers()));
    if admitted {
        return next.run(request).await;
    }
    let message = "the token is missing or wrong; enter that of --token-file in Harbor as Bearer or APIKey";
    let mut response = AdapterProblem::new(401, message).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
    response
}

async fn get_metadata(State(state): State<RouteState>, headers: HeaderMap) -> Result<Response, AdapterProblem> {
    let document = metadata::document(VERSION, &state.adapter.database().await?);
    let asks_for_old = header(&headers, ACCEPT).is_some_and(|accept| accept.replace(' ', "").contains("version=1.0"));
    let media_type = if asks_for_old { answer::METADATA_1_0 } else { answer::METADATA };
    Ok(([(CONTENT_TYPE, media_type)], document.to_string()).into_response())
}

async fn accept_scan(State(state): State<RouteState>, request: Request) -> Result<Response, AdapterProblem> {
    let media_type = header(request.headers(), CONTENT_TYPE).unwrap_or_default();
    if media_type.split(';').next().is_none_or(|name| !name.trim().eq_ignore_ascii_case(SCAN_REQUEST)) {
        return Err(AdapterProblem::new(415, format!("the body must be {SCAN_REQUEST}")));
    }
    let read = axum::body::to_bytes(request.into_body(), MAX_BODY);
    let body = tokio::time::timeout(BODY_TIME, read).await;
    let body = body.map_err(|_| AdapterProblem::new(408, "the body did not come in time"))?.map_err(|_| too_large())?;
    let id = state.adapter.accept(&body)?;
    let document = serde_json::json!({"id": id}).to_string();
    Ok((StatusCode::ACCEPTED, [(CONTENT_TYPE, answer::SCAN_RESPONSE)], document).into_response())
}

async fn get_report(
    State(state): State<RouteState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, AdapterProblem> {
    let kind = ReportKind::asked_for(header(&headers, ACCEPT), query.as_deref())?;
    let progress = state.adapter.progress(&id);
    match progress {
        None => Err(AdapterProblem::new(404, "no scan has this id, or its result is too old; scan the artifact again")),
        Some(QueuedScanState::Unfinished) => {
            Ok((StatusCode::FOUND, [("refresh-after", REFRESH_AFTER.to_string())]).into_response())
        }
        Some(QueuedScanState::Finished(outcome)) => {
            let bytes = state.adapter.report(outcome?, kind).await?;
            Ok(([(CONTENT_TYPE, kind.media_type())], Body::from(bytes)).into_response())
        }
    }
}

async fn no_such_path() -> AdapterProblem {
    AdapterProblem::new(404, "no such path: the adapter answers below /api/v1")
}

async fn wrong_method() -> AdapterProblem {
    AdapterProblem::new(405, "this path has another method")
}

fn too_large() -> AdapterProblem {
    AdapterProblem::new(413, format!("the body is larger than {} KiB", MAX_BODY >> 10))
}

fn header(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

impl IntoResponse for AdapterProblem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(CONTENT_TYPE, answer::ERROR)], self.body().to_string()).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
