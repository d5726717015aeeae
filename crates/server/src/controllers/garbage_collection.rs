//! Garbage collection of the store: rows of deleted objects are deleted after a while.

use crate::context::ServerContext;
use crate::store::References;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::image::Digest;

/// Pause between two collections.
const PAUSE: Duration = Duration::from_secs(3600);
/// Age of a row that may be deleted: an image that is deployed again within a day is not read again.
const MIN_AGE: Duration = Duration::from_secs(24 * 3600);

/// Collects until the process ends.
pub(crate) async fn run(ctx: Arc<ServerContext>) {
    loop {
        // The references first: a row that is stored after that is too young to be deleted.
        let (store, references) = (Arc::clone(&ctx.store), references(&ctx));
        let collected = tokio::task::spawn_blocking(move || store.collect_garbage(&references, MIN_AGE)).await;
        match collected {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(rows)) => tracing::info!("deleted {rows} unreferenced reports and inventories from the store"),
            Ok(Err(error)) => tracing::warn!("garbage collection of the store failed: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn references(ctx: &ServerContext) -> References {
    let mut references = References::default();
    for scan in ctx.index.images.state() {
        for platform in scan.status.iter().flat_map(|s| &s.platforms) {
            references.reports.insert(platform.report_key.clone());
            references.images.extend(platform.digest.parse::<Digest>());
        }
    }
    references
}
