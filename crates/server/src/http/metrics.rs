//! Metrics in the OpenMetrics text format, at an address of their own, which a network policy can open to who collects them.

use crate::context::ServerContext;
use crate::metrics::{self, ClusterMoment};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use std::sync::Arc;

/// The route.
pub(crate) fn router(ctx: Arc<ServerContext>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(ctx)
}

async fn scrape(State(ctx): State<Arc<ServerContext>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let (database, now) = (ctx.database.state(), Timestamp::now());
    ctx.metrics.set_cluster(&moment(&ctx));
    ctx.metrics.set_certificates(ctx.trust.ends());
    ctx.metrics.set_leads(ctx.fence.is_open());
    ([(header::CONTENT_TYPE, kind)], ctx.metrics.text(database.age(now), database.feed_age(now))).into_response()
}

fn moment(ctx: &ServerContext) -> ClusterMoment {
    ClusterMoment {
        workloads: metrics::count(ctx.index.workloads.state().iter().map(|record| &**record)),
        waiting_scans: ctx.slots.waiting(),
        store: ctx.store.space(),
    }
}
