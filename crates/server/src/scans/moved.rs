//! An ImageScan that was judged with the database before: it is brought to the one that is there without a scan.

use super::{judge, run, write};
use crate::context::Context;
use crate::database::Move;
use crate::rematch::Moved;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter::store::Store;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{Inventory, Report};
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{ImageScanStatus, PlatformResult};
use tidewaiter_db::matching::Rematched;

/// The re-match wakes everything when it ends; this is for what it should miss.
const WAIT: Duration = Duration::from_secs(10);

/// One platform's report as the new database has it.
struct Platform {
    result: PlatformResult,
    report: Report,
}

/// Brings a finished scan to the database that is there. `None`: only a scan can tell.
pub(super) async fn bring_up(scan: &ImageScan, ctx: &Context, database: &str) -> Result<Option<Action>, kube::Error> {
    let Some(old) = scan.status.as_ref().filter(|status| is_whole(scan, status, ctx)) else { return Ok(None) };
    let moved = match ctx.databases.moving() {
        Move::Running { from } if old.database.as_ref() == Some(&from) => return Ok(Some(Action::requeue(WAIT))),
        Move::Done(moved) if old.database.as_ref() == Some(&moved.from) && moved.to.id == database => moved,
        _ => return Ok(None),
    };
    let (store, platforms, by) = (Arc::clone(&ctx.store), old.platforms.clone(), Arc::clone(&moved));
    let one = move |result: PlatformResult| platform(&*store, result, &by);
    let found = tokio::task::spawn_blocking(move || platforms.into_iter().map(one).collect::<Option<Vec<_>>>()).await;
    let Some(found) = found.ok().flatten() else { return Ok(None) };
    let changed = found.iter().zip(&old.platforms).any(|(new, old)| new.result != *old);
    let (platforms, reports): (Vec<_>, Vec<_>) = found.into_iter().map(|p| (p.result, p.report)).unzip();
    let finished = if changed { Some(Timestamp::now().to_string()) } else { old.finished.clone() };
    let status = ImageScanStatus { database: Some(database.to_owned()), platforms, finished, ..old.clone() };
    let status = judge::with_verdict(status, &reports, &ctx.policy(&scan.namespace().unwrap_or_default()).criteria);
    write(scan, ctx, &status).await?;
    let replaced =
        old.platforms.iter().filter(|old| status.platforms.iter().all(|new| new.report_key != old.report_key));
    replaced.for_each(|old| ctx.store.remove_report(&old.report_key));
    Ok(Some(Action::await_change()))
}

/// Whether there is a result of this generation for all nodes.
fn is_whole(scan: &ImageScan, status: &ImageScanStatus, ctx: &Context) -> bool {
    let platforms = run::platforms(scan, ctx);
    status.is_final(scan.metadata.generation.unwrap_or_default())
        && status.digest.is_some()
        && platforms.iter().all(|p| status.node_platforms.contains(&p.to_string()))
}

/// The old report confirmed, or the new one kept; `None` when the store does not know the image or its report.
fn platform(store: &dyn Store, result: PlatformResult, moved: &Moved) -> Option<Platform> {
    let image: Digest = result.digest.parse().ok()?;
    let old = store.report(&result.report_key)?;
    let report = match store.rematched(&image, &moved.seen)? {
        Rematched::Same => {
            store.confirm_report(&result.report_key, &moved.to).ok()?;
            return Some(Platform { result, report: Report { database: moved.to.clone(), ..old } });
        }
        Rematched::Findings { removed, added } => old.patched(&removed, &added, moved.to.clone())?,
        // The same bytes under the name that this one asked for.
        Rematched::Whole(new) => {
            let inventory = Inventory { image: old.inventory.image, ..new.inventory };
            Report { inventory, ..*new }
        }
    };
    let report_key = store.put_report(&report).ok()?;
    Some(Platform { result: PlatformResult { report_key, ..result }, report })
}
