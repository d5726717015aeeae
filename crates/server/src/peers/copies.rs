//! Reports that other servers have: each store is its process's own, and one that leads next should not read every image again.

use super::ask::{get_all, others};
use crate::context::ServerContext;
use std::collections::{BTreeSet, HashSet};
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
    // A report that nobody has is asked for again: who leads scans its image, and then another one is named.
    let mut here: BTreeSet<String> = BTreeSet::new();
    loop {
        for result in absent(&ctx, &mut here) {
            if is_stored(&ctx, &result.report_key).await || copied(&ctx, &result).await.is_some() {
                here.insert(result.report_key);
            }
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// The results whose reports are not known to be here; forgets those that nothing names any more.
fn absent(ctx: &ServerContext, here: &mut BTreeSet<String>) -> Vec<PlatformResult> {
    let scans = ctx.index.images.state();
    let named = || scans.iter().filter_map(|scan| scan.status.as_ref()).flat_map(|status| &status.platforms);
    let keys: HashSet<&str> = named().map(|result| result.report_key.as_str()).collect();
    here.retain(|key| keys.contains(key.as_str()));
    named().filter(|result| !here.contains(&result.report_key)).cloned().collect()
}

async fn is_stored(ctx: &ServerContext, key: &str) -> bool {
    let (store, key) = (Arc::clone(&ctx.store), key.to_owned());
    tokio::task::spawn_blocking(move || store.report(&key).is_some()).await.unwrap_or_default()
}
