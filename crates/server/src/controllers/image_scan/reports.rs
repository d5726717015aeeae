//! The reports of an ImageScan in the store. Reports are large: all of this runs on threads that may block, so that
//! admission is not delayed.

use crate::context::ServerContext;
use crate::decide::database::DatabaseChange;
use crate::scan::worker::PlatformReport;
use crate::store::Store;
use std::sync::Arc;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{Inventory, Report};
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{ImageScanStatus, PlatformResult};
use tidewaiter_db::matching::Rematched;

/// Whether all reports of a status are in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// They are, or the status has none.
    Found,
    /// One was deleted: only a rescan can replace it.
    Lost,
}

/// Stores the reports and inventories of a scan. What cannot be stored is scanned again when it is needed.
pub(super) async fn put(ctx: &ServerContext, results: Vec<PlatformReport>) -> (Vec<PlatformResult>, Vec<Report>) {
    let store = Arc::clone(&ctx.store);
    let work = move || results.into_iter().map(|result| put_one(&*store, result)).unzip();
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

fn put_one(store: &dyn Store, result: PlatformReport) -> (PlatformResult, Report) {
    if let Some(inventory) = &result.inventory
        && let Err(e) = store.put_inventory(inventory)
    {
        tracing::warn!("an inventory was not stored: {e}");
    }
    let report_key = store.put_report(&result.report).unwrap_or_else(|e| {
        tracing::warn!("a report was not stored: {e}");
        String::new()
    });
    let digest = result.report.inventory.image.digest.to_string();
    (PlatformResult { platform: result.platform.to_string(), digest, report_key }, result.report)
}

/// The reports of a status; `None` when one was deleted.
pub(super) async fn get(ctx: &ServerContext, status: &ImageScanStatus) -> Option<Vec<Report>> {
    let (store, platforms) = (Arc::clone(&ctx.store), status.platforms.clone());
    let work = move || platforms.iter().map(|p| store.report(&p.report_key)).collect();
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

/// Removes the reports of an old status that a new one does not refer to.
pub(super) fn remove_replaced(ctx: &ServerContext, old: &ImageScanStatus, new: &ImageScanStatus) {
    let is_used = |key: &str| new.platforms.iter().any(|platform| platform.report_key == key);
    let keys = old.platforms.iter().map(|platform| platform.report_key.as_str());
    keys.filter(|key| !is_used(key)).for_each(|key| ctx.store.remove_report(key));
}

/// The results and reports of a finished scan by a new database; `None` when the store lacks an inventory or a report.
pub(super) async fn rematched(
    ctx: &ServerContext,
    scan: &ImageScan,
    change: Arc<DatabaseChange>,
) -> Option<(Vec<PlatformResult>, Vec<Report>)> {
    let store = Arc::clone(&ctx.store);
    let platforms = scan.status.as_ref()?.platforms.clone();
    let work = move || platforms.into_iter().map(|result| rematched_one(&*store, result, &change)).collect();
    let all: Option<Vec<(PlatformResult, Report)>> = tokio::task::spawn_blocking(work).await.ok().flatten();
    Some(all?.into_iter().unzip())
}

/// Confirms an unchanged report, or stores the new one.
fn rematched_one(
    store: &dyn Store,
    result: PlatformResult,
    change: &DatabaseChange,
) -> Option<(PlatformResult, Report)> {
    let image: Digest = result.digest.parse().ok()?;
    let old = store.report(&result.report_key)?;
    let report = match store.rematched(&image, &change.summary)? {
        Rematched::Same => {
            let database = change.to.clone().for_inventory(&old.inventory);
            store.confirm_report(&result.report_key, &database).ok()?;
            return Some((result, Report { database, ..old }));
        }
        Rematched::Findings { removed, added } => old.patched(&removed, &added, change.to.clone())?,
        // The same bytes, under the name by which this ImageScan requested them.
        Rematched::Whole(new) => {
            let inventory = Inventory { image: old.inventory.image, ..new.inventory };
            Report { inventory, ..*new }
        }
    };
    let report_key = store.put_report(&report).ok()?;
    Some((PlatformResult { report_key, ..result }, report))
}
