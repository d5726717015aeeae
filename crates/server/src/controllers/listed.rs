//! Follows the ImageAllowlists that another process writes, in one that does not lead: its webhook lets start at once what the
//! API server's own list allows by then.

use crate::context::ServerContext;
use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt as _};
use std::sync::Arc;
use tidewaiter_crd::ImageAllowlist;
use tidewaiter_crd::names::ALLOWLIST;

/// Follows the lists; until one is seen, Pods of its namespace start gated and are released.
pub(crate) async fn follow(ctx: Arc<ServerContext>) {
    let lists: Api<ImageAllowlist> = Api::all(ctx.client.clone());
    // By name: the server may read no others.
    let config = watcher::Config::default().fields(&format!("metadata.name={ALLOWLIST}"));
    let mut events = Box::pin(watcher(lists, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => ctx.written_allowlists.forget_all(),
            Ok(Event::InitDone) => {}
            Ok(Event::Apply(list) | Event::InitApply(list)) => {
                ctx.written_allowlists.note(&list.namespace().unwrap_or_default(), list.spec);
            }
            Ok(Event::Delete(list)) => ctx.written_allowlists.forget(&list.namespace().unwrap_or_default()),
            Err(error) => tracing::warn!("watching ImageAllowlists fails (see deploy/rbac.yaml): {error}"),
        }
    }
}
