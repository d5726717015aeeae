//! From reports to an ImageScan's status: counts, verdict, reasons.

use super::write;
use crate::context::Context;
use crate::worker::{Done, PlatformReport};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewaiter::store::Store;
use tidewaiter_core::Reason;
use tidewaiter_core::finding::{Counts, Finding};
use tidewaiter_core::policy::{self, Outcome, Policy};
use tidewaiter_core::report::Report;
use tidewaiter_core::status::ImageStatus;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{ImageScanStatus, PlatformResult};

/// Reasons kept in the object; the report holds all.
const MAX_REASONS: usize = 20;

/// The status of a finished scan. Reports and inventories go to the store.
pub(super) async fn status(scan: &ImageScan, ctx: &Context, done: Done) -> ImageScanStatus {
    let (store, results) = (Arc::clone(&ctx.store), done.results);
    // Reports are large, and admission is served beside.
    let kept = tokio::task::spawn_blocking(move || results.into_iter().map(|r| keep(&*store, r)).unzip());
    let (platforms, reports): (Vec<_>, Vec<_>) = kept.await.unwrap_or_default();
    let judged = ImageScanStatus {
        observed_generation: scan.metadata.generation.unwrap_or_default(),
        digest: Some(done.digest.to_string()),
        node_platforms: super::run::platforms(scan, ctx).iter().map(ToString::to_string).collect(),
        platforms,
        database: Some(done.database),
        finished: Some(Timestamp::now().to_string()),
        ..ImageScanStatus::default()
    };
    with_verdict(judged, &reports, &ctx.policy(&scan.namespace().unwrap_or_default()).criteria)
}

fn keep(store: &dyn Store, result: PlatformReport) -> (PlatformResult, Report) {
    if let Some(inventory) = &result.inventory {
        // Without it the layers are read again the next time.
        if let Err(e) = store.put_inventory(inventory) {
            tracing::warn!("an inventory was not kept: {e}");
        }
    }
    let report_key = store.put_report(&result.report).unwrap_or_else(|e| {
        tracing::warn!("a report was not kept: {e}");
        String::new()
    });
    let digest = result.report.inventory.image.digest.to_string();
    (PlatformResult { platform: result.platform.to_string(), digest, report_key }, result.report)
}

/// How judging again went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The verdict is that of the policy as it is now.
    Judged,
    /// A report is gone: only a new scan can tell.
    ReportLost,
}

/// Judges the stored reports by the policy as it is now.
pub(super) async fn again(scan: &ImageScan, ctx: &Context) -> Result<Again, kube::Error> {
    let Some(old) = scan.status.as_ref().filter(|s| s.digest.is_some()) else { return Ok(Again::Judged) };
    let (store, platforms) = (Arc::clone(&ctx.store), old.platforms.clone());
    let read = move || {
        let one = |p: &PlatformResult| store.report(&p.report_key);
        platforms.iter().map(one).collect::<Option<Vec<Report>>>()
    };
    // Reports are large, and admission is served beside.
    let Some(reports) = tokio::task::spawn_blocking(read).await.ok().flatten() else { return Ok(Again::ReportLost) };
    let criteria = ctx.policy(&scan.namespace().unwrap_or_default()).criteria;
    let new = with_verdict(old.clone(), &reports, &criteria);
    if new != *old {
        write(scan, ctx, &new).await?;
    }
    Ok(Again::Judged)
}

/// Removes the reports of a status that was replaced.
pub(super) fn forget(scan: &ImageScan, ctx: &Context) {
    scan.status.iter().flat_map(|s| &s.platforms).for_each(|p| ctx.store.remove_report(&p.report_key));
}

/// Fills in what follows from the reports and the policy, today.
pub(super) fn with_verdict(status: ImageScanStatus, reports: &[Report], criteria: &Policy) -> ImageScanStatus {
    let now = Timestamp::now();
    let verdicts: Vec<_> = reports.iter().map(|report| policy::decide(report, criteria, now)).collect();
    let outcome = verdicts.iter().map(|v| v.outcome).max().unwrap_or(Outcome::Incomplete);
    let counts = merged(reports);
    let mut reasons: Vec<String> = Vec::new();
    for reason in verdicts.into_iter().flat_map(|v| v.reasons) {
        if !reasons.contains(&reason) && reasons.len() < MAX_REASONS {
            reasons.push(reason);
        }
    }
    let reason = (outcome == Outcome::Incomplete).then_some(Reason::Incomplete);
    let message = match outcome {
        Outcome::Incomplete => format!("{}; the scan is incomplete: {}", counts.sentence(), reasons.join("; ")),
        _ => counts.sentence(),
    };
    ImageScanStatus {
        image_status: ImageStatus::of(outcome, counts),
        reason,
        message,
        counts: Some(counts),
        complete: reports.iter().all(|r| r.complete),
        verdict: Some(outcome),
        reasons,
        ..status
    }
}

/// Each (vulnerability, package, version) of any platform once.
fn merged(reports: &[Report]) -> Counts {
    let mut all: BTreeMap<(&str, &str, &str), &Finding> = BTreeMap::new();
    for finding in reports.iter().flat_map(|r| &r.findings) {
        all.insert((&finding.vulnerability, &finding.package, &finding.installed_version), finding);
    }
    Counts::of(&all.into_values().cloned().collect::<Vec<_>>())
}
