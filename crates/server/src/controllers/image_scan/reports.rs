//! The reports of an ImageScan in the store. Reports are large: all of this runs on threads that may block, so that
//! admission is not delayed.

use crate::context::ServerContext;
use crate::decide::database::DatabaseChange;
use crate::peers;
use crate::scan::protocol::{PlatformReport, ScanFailure};
use crate::store::{Store, StoreError};
use std::sync::Arc;
use tidewaiter_core::Reason;
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

/// Stores the reports and inventories of a scan.
///
/// # Errors
/// When a report cannot be stored. The verdict is lost with it: as if nothing had been scanned, it is scanned again later.
pub(super) async fn put(
    ctx: &ServerContext,
    results: Vec<PlatformReport>,
) -> Result<(Vec<PlatformResult>, Vec<Report>), ScanFailure> {
    let store = Arc::clone(&ctx.store);
    let stored = tokio::task::spawn_blocking(move || put_all(&*store, results)).await;
    stored.unwrap_or_else(|e| Err(ScanFailure::new(Reason::Internal, e)))
}

fn put_all(store: &dyn Store, results: Vec<PlatformReport>) -> Result<(Vec<PlatformResult>, Vec<Report>), ScanFailure> {
    let mut stored: Vec<(PlatformResult, Report)> = Vec::new();
    for result in results {
        match put_one(store, result) {
            Ok(one) => stored.push(one),
            Err(error) => {
                stored.iter().for_each(|(platform, _)| store.remove_report(&platform.report_key));
                return Err(not_stored(&error));
            }
        }
    }
    Ok(stored.into_iter().unzip())
}

fn put_one(store: &dyn Store, result: PlatformReport) -> Result<(PlatformResult, Report), StoreError> {
    // Without it only the next database costs a rescan.
    if let Some(inventory) = &result.inventory
        && let Err(e) = store.put_inventory(inventory)
    {
        tracing::warn!("an inventory was not stored: {e}");
    }
    let report_key = store.put_report(&result.report)?;
    let digest = result.report.inventory.image.digest.to_string();
    let signed_by = result.signer.map(|signer| format!("{} at {}", signer.key, signer.made));
    Ok((PlatformResult { platform: result.platform.to_string(), digest, report_key, signed_by }, result.report))
}

fn not_stored(error: &StoreError) -> ScanFailure {
    let next = "make room on the volume of tidewaiter's store; the scan is tried again by itself";
    ScanFailure::new(Reason::ReportNotStored, format!("the report could not be stored: {error}; {next}"))
}

/// The reports of a status; `None` when one is in no store any more.
pub(super) async fn get(ctx: &ServerContext, status: &ImageScanStatus) -> Option<Vec<Report>> {
    let (store, platforms) = (Arc::clone(&ctx.store), status.platforms.clone());
    let work = move || platforms.iter().map(|p| store.report(&p.report_key)).collect::<Vec<_>>();
    let stored = tokio::task::spawn_blocking(work).await.ok()?;
    let mut reports = Vec::new();
    for (report, platform) in stored.into_iter().zip(&status.platforms) {
        reports.push(match report {
            Some(report) => report,
            // Another process led, and stored it.
            None => peers::copied(ctx, platform).await?,
        });
    }
    Some(reports)
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
    // What the store has of this image was read for others: the scan that was taken here is not among it.
    if result.signed_by.is_some() {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ChangedReport, References, RematchSummary, SqliteStore, StoreLocation, StoreSpace};
    use parking_lot::Mutex;
    use std::io;
    use std::time::Duration;
    use tidewaiter_core::ecosystem::Os;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo};

    /// Accepts some reports and fails from then on, as a volume does that fills up.
    #[derive(Default)]
    struct FullStore {
        room: usize,
        inventories: bool,
        reports: Mutex<Vec<String>>,
    }

    fn full() -> StoreError {
        StoreError::Io(io::ErrorKind::StorageFull.into())
    }

    impl Store for FullStore {
        fn put_report(&self, _: &Report) -> Result<String, StoreError> {
            let mut reports = self.reports.lock();
            let key = format!("key{}", reports.len());
            if reports.len() >= self.room {
                return Err(full());
            }
            reports.push(key.clone());
            Ok(key)
        }
        fn put_report_as(&self, _: &str, _: &Report) -> Result<(), StoreError> {
            Err(full())
        }
        fn report(&self, _: &str) -> Option<Report> {
            None
        }
        fn confirm_report(&self, _: &str, _: &DatabaseInfo) -> Result<(), StoreError> {
            Err(full())
        }
        fn remove_report(&self, key: &str) {
            self.reports.lock().retain(|known| known != key);
        }
        fn put_inventory(&self, _: &Inventory) -> Result<(), StoreError> {
            if self.inventories { Ok(()) } else { Err(full()) }
        }
        fn inventory(&self, _: &Digest) -> Option<Inventory> {
            None
        }
        fn problem(&self) -> Option<String> {
            None
        }
        fn space(&self) -> StoreSpace {
            StoreSpace { used: Some(0), available: Some(0) }
        }
        fn location(&self) -> StoreLocation {
            StoreLocation::default()
        }
        fn clear_rematched(&self) -> Result<(), StoreError> {
            Err(full())
        }
        fn put_rematched(&self, _: &ChangedReport) -> Result<(), StoreError> {
            Err(full())
        }
        fn rematched(&self, _: &Digest, _: &RematchSummary) -> Option<Rematched> {
            None
        }
        fn collect_garbage(&self, _: &References, _: Duration) -> Result<usize, StoreError> {
            Err(full())
        }
    }

    fn result(platform: &str) -> PlatformReport {
        let digest = Digest::from_sha256([1; 32]);
        let image = ImageInfo::new("r.example/x:1", digest.clone(), digest, platform.parse().unwrap());
        let inventory = Inventory { image, layers: vec![], os: Some(Os::default()), packages: vec![], gaps: vec![] };
        let report = Report::new(inventory.clone(), DatabaseInfo::default(), vec![], vec![]);
        PlatformReport { platform: platform.parse().unwrap(), inventory: Some(inventory), signer: None, report }
    }

    #[test]
    fn a_report_that_cannot_be_stored_is_a_failed_scan() {
        let check = |room: usize, inventories: bool, expected: Result<&[&str], Reason>| {
            let store = FullStore { room, inventories, ..FullStore::default() };
            let put = put_all(&store, vec![result("linux/amd64"), result("linux/arm64")]);
            let keys = put.map(|(results, _)| results.into_iter().map(|r| r.report_key).collect::<Vec<_>>());
            let kept = store.reports.lock().clone();
            match expected {
                Ok(expected) => assert_eq!(keys.unwrap(), expected),
                Err(reason) => {
                    let failure = keys.unwrap_err();
                    assert_eq!(failure.reason, reason);
                    assert!(failure.message.contains("make room"), "{}", failure.message);
                    assert!(kept.is_empty(), "nothing refers to {kept:?}");
                }
            }
        };
        check(2, true, Ok(&["key0", "key1"]));
        // An inventory is only for the next database.
        check(2, false, Ok(&["key0", "key1"]));
        check(1, true, Err(Reason::ReportNotStored));
        check(0, false, Err(Reason::ReportNotStored));
    }

    #[test]
    fn a_scan_that_others_signed_is_not_rematched() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        // Its image was read for another ImageScan, too.
        let (known, _) = put_one(&store, result("linux/amd64")).unwrap();
        let summary = RematchSummary { database: "two".into(), last: 9, inventories: 1, visited: 1, changed: 0 };
        let to = DatabaseInfo { id: "two".into(), ..DatabaseInfo::default() };
        let change = DatabaseChange { from: "one".into(), to, summary };
        let check = |signed_by: Option<&str>, expected: bool| {
            let platform = PlatformResult { signed_by: signed_by.map(str::to_owned), ..known.clone() };
            assert_eq!(rematched_one(&store, platform, &change).is_some(), expected, "{signed_by:?}");
        };
        check(None, true);
        check(Some("sha256:1 at 2026-01-01T00:00:00Z"), false);
    }
}
