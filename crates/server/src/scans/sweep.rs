//! The store keeps what objects of the cluster refer to: what belonged to deleted ones goes after a while.

use crate::context::Context;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter::store::Used;
use tidewaiter_core::image::Digest;

/// How often.
const EVERY: Duration = Duration::from_secs(3600);
/// An image that is deployed again soon is not read again.
const AGE: Duration = Duration::from_secs(24 * 3600);

/// Sweeps for ever.
pub(crate) async fn sweep(ctx: Arc<Context>) {
    loop {
        let (store, used) = (Arc::clone(&ctx.store), used(&ctx));
        let swept = tokio::task::spawn_blocking(move || store.sweep(&used, AGE)).await;
        match swept {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(swept)) => {
                tracing::info!("{swept} reports and inventories that nothing refers to were removed from the store")
            }
            Ok(Err(error)) => tracing::warn!("the store was not swept: {error}"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn used(ctx: &Context) -> Used {
    let mut used = Used::default();
    for scan in ctx.index.images.state() {
        for platform in scan.status.iter().flat_map(|s| &s.platforms) {
            used.reports.insert(platform.report_key.clone());
            used.images.extend(platform.digest.parse::<Digest>());
        }
    }
    used
}
