//! What other servers of the cluster ask this one (`crate::peers`).

use crate::context::ServerContext;
use crate::decide::authority::ProcessTrust;
use crate::decide::database::PeerDatabase;
use crate::peers::{WebhookNotices, database, take_up};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{Stream, stream};
use std::io;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// Bytes of the database that are read at once.
const PART: usize = 256 << 10;

/// The routes, which begin with what the servers alone know.
pub(super) fn router<S>(ctx: Arc<ServerContext>) -> Router<S> {
    Router::new()
        .route("/peers/{token}/notices", post(notices))
        .route("/peers/{token}/reports/{key}", get(report))
        .route("/peers/{token}/database/offer", get(offer))
        .route("/peers/{token}/database", get(file))
        .route("/peers/{token}/authorities", get(authorities))
        .with_state(ctx)
}

fn known(ctx: &ServerContext, token: &str) -> Result<(), StatusCode> {
    if ctx.trust.knows_peers(token) { Ok(()) } else { Err(StatusCode::NOT_FOUND) }
}

async fn notices(
    State(ctx): State<Arc<ServerContext>>,
    Path(token): Path<String>,
    Json(notices): Json<WebhookNotices>,
) -> Result<StatusCode, StatusCode> {
    known(&ctx, &token)?;
    // Who asks looks for the leader again, and asks that one.
    if !ctx.fence.is_open() {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    take_up(&ctx, notices);
    Ok(StatusCode::ACCEPTED)
}

/// A report of this process's store, as it is there.
async fn report(
    State(ctx): State<Arc<ServerContext>>,
    Path((token, key)): Path<(String, String)>,
) -> Result<Vec<u8>, StatusCode> {
    known(&ctx, &token)?;
    let access = ctx.peers.get().ok_or(StatusCode::NOT_FOUND)?;
    let turn = Arc::clone(&access.reads).acquire_owned().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let store = Arc::clone(&ctx.store);
    let work = move || {
        let report = store.report(&key).and_then(|report| serde_json::to_vec(&report).ok());
        drop(turn);
        report
    };
    tokio::task::spawn_blocking(work).await.ok().flatten().ok_or(StatusCode::NOT_FOUND)
}

async fn offer(
    State(ctx): State<Arc<ServerContext>>,
    Path(token): Path<String>,
) -> Result<Json<PeerDatabase>, StatusCode> {
    known(&ctx, &token)?;
    database::offered(&ctx).map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Which authorities this process trusts.
async fn authorities(
    State(ctx): State<Arc<ServerContext>>,
    Path(token): Path<String>,
) -> Result<Json<ProcessTrust>, StatusCode> {
    known(&ctx, &token)?;
    Ok(Json(ctx.trust.report()))
}

/// The file; who asked compares it with the offer.
async fn file(State(ctx): State<Arc<ServerContext>>, Path(token): Path<String>) -> Result<Body, StatusCode> {
    known(&ctx, &token)?;
    let file = File::open(ctx.database.path()).await.map_err(|_| StatusCode::NOT_FOUND)?;
    Ok(Body::from_stream(parts(file)))
}

fn parts(file: File) -> impl Stream<Item = io::Result<Vec<u8>>> {
    stream::try_unfold(file, async |mut file| {
        let mut part = vec![0; PART];
        let read = file.read(&mut part).await?;
        part.truncate(read);
        Ok((read > 0).then_some((part, file)))
    })
}
