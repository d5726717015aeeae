//! Reports that other servers have: each store is its process's own, and one that leads next should not read every image again.

use super::ask::{get_all, others};
use crate::context::ServerContext;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::report::Report;
use tidewaiter_crd::image_scan::PlatformResult;

/// Bytes of a report, at most: JSON of the largest images is tens of megabytes.
const MOST_BYTES: u64 = 256 << 20;
/// Pause between two looks at what is to be copied.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// Copies the report of a result from another server into the store of this one, and returns it; `None` where no other has it.
pub(crate) async fn copied(ctx: &ServerContext, result: &PlatformResult) -> Option<Report> {
    let addresses =
        others(ctx).await.inspect_err(|error| tracing::warn!("no other server is asked: {error:#}")).ok()?;
    for address in addresses {
        let path = format!("reports/{}", result.report_key);
        match get_all(ctx, address, &path, MOST_BYTES).await {
            Ok(bytes) => return stored(ctx, result.clone(), bytes).await,
            Err(error) => tracing::debug!("report {}: {error:#}", result.report_key),
        }
    }
    None
}

async fn stored(ctx: &ServerContext, result: PlatformResult, bytes: Vec<u8>) -> Option<Report> {
    let store = Arc::clone(&ctx.store);
    let work = move || {
        let report = Report::from_json(&bytes).inspect_err(|error| tracing::warn!("a copied report: {error}")).ok()?;
        // What was signed is not what is in the image, as far as others ask.
        if result.signed_by.is_none()
            && let Err(error) = store.put_inventory(&report.inventory)
        {
            tracing::warn!("an inventory was not stored: {error}");
        }
        if let Err(error) = store.put_report_as(&result.report_key, &report) {
            tracing::warn!("a report was not stored: {error}");
        }
        Some(report)
    };
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

/// Copies what ImageScans name, in a process that does not lead.
pub(crate) async fn keep_copies(ctx: Arc<ServerContext>) {
    // Those that are here, or that no other server has now: asked for once, and again by who leads.
    let mut asked: BTreeSet<String> = BTreeSet::new();
    loop {
        let named = named(&ctx);
        asked.retain(|key| named.iter().any(|result| result.report_key == *key));
        for result in named {
            if asked.insert(result.report_key.clone()) && !is_stored(&ctx, &result.report_key).await {
                copied(&ctx, &result).await;
            }
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

fn named(ctx: &ServerContext) -> Vec<PlatformResult> {
    let scans = ctx.index.images.state();
    scans.iter().filter_map(|scan| scan.status.as_ref()).flat_map(|status| status.platforms.clone()).collect()
}

async fn is_stored(ctx: &ServerContext, key: &str) -> bool {
    let (store, key) = (Arc::clone(&ctx.store), key.to_owned());
    tokio::task::spawn_blocking(move || store.report(&key).is_some()).await.unwrap_or_default()
}
