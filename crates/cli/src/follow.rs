//! Follows a scan in the cluster until it ends, and shows its result.

use crate::args::ImageArgs;
use crate::batch::{self, ImageResult, OwnJudgement};
use crate::cluster::{Cluster, NoAnswer, StoredReport};
use crate::exit::{self, Exit};
use crate::output::ReportOutputs;
use crate::progress::Spinner;
use crate::stdout;
use crate::terminal::{self, printable};
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::json;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::policy::{self, Outcome, Policy, Verdict};
use tidewaiter_core::report::{Gap, GapKind, Report};
use tidewaiter_core::status::ImageStatus;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{self, ImageScanSpec, ImageScanStatus};
use tidewaiter_formats::JudgedReport;

/// Longest time for a scan: the server gives up after 15 minutes, so this is reached only when no server runs.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// `kubectl scan image` in the cluster.
pub(crate) fn images(cluster: &Cluster, args: &ImageArgs) -> Result<Exit> {
    let outputs = ReportOutputs::prepare_for(&args.output, &args.images)?;
    match args.images.as_slice() {
        [image] => cluster.run(one(cluster, image, &args.pull_secrets, &outputs)),
        images => cluster.run(several(cluster, images, &args.pull_secrets, &outputs)),
    }
}

/// Says that a scan was asked for.
pub(crate) fn say_started(cluster: &Cluster, image: &str) {
    let namespace = &cluster.namespace;
    terminal::say(&format!("Scan started for image {} (in the cluster, namespace {namespace})", printable(image)));
}

async fn one(cluster: &Cluster, image: &str, secrets: &[String], outputs: &ReportOutputs) -> Result<Exit> {
    say_started(cluster, image);
    let scan = start(cluster, image, secrets).await?;
    let status = end(cluster, &scan).await?;
    show(cluster, image, &status, outputs).await
}

/// All are started before the first is followed: the server scans them side by side.
async fn several(cluster: &Cluster, images: &[String], secrets: &[String], outputs: &ReportOutputs) -> Result<Exit> {
    let mut asked = Vec::new();
    for image in images {
        say_started(cluster, image);
        asked.push((image, start(cluster, image, secrets).await));
    }
    let mut results = Vec::new();
    for (image, scan) in asked {
        let judged = match scan {
            Ok(scan) => judged(cluster, image, &scan).await,
            Err(error) => Err(error),
        };
        let result = ImageResult { image: image.clone(), judged };
        result.say();
        results.push(result);
    }
    batch::finish(results, outputs)
}

async fn judged(cluster: &Cluster, image: &str, scan: &ImageScan) -> Result<Vec<OwnJudgement>> {
    let status = end(cluster, scan).await?;
    let result = reports(cluster, image, status).await.map_err(ResultUnavailable::into_error)?;
    let now = Timestamp::now();
    let verdicts: Vec<Verdict> = result.reports.iter().map(|report| verdict(&result, report, now)).collect();
    Ok(result.reports.into_iter().zip(verdicts).map(|(report, verdict)| OwnJudgement { report, verdict }).collect())
}

/// Creates the ImageScan of an image, or asks for a rescan if there is one.
pub(crate) async fn start(cluster: &Cluster, image: &str, secrets: &[String]) -> Result<ImageScan> {
    let api = cluster.scans();
    let name = image_scan::name(image);
    let rescan = Some(Timestamp::now().to_string());
    let asked = match cluster.scan(image).await? {
        Some(known) => {
            // In their order, by which logins are tried.
            let mut all = known.spec.pull_secrets.clone();
            all.extend(secrets.iter().filter(|name| !known.spec.pull_secrets.contains(name)).cloned());
            let patch = json!({"spec": {"rescan": rescan, "pullSecrets": all}});
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await
        }
        None => {
            let spec = ImageScanSpec {
                image: image.to_owned(),
                platforms: Vec::new(),
                pull_secrets: secrets.to_vec(),
                rescan,
            };
            api.create(&PostParams::default(), &ImageScan::new(&name, spec)).await
        }
    };
    asked.context("requesting the scan")
}

/// Waits until the requested scan ends.
pub(crate) async fn end(cluster: &Cluster, asked: &ImageScan) -> Result<ImageScanStatus> {
    let generation = asked.metadata.generation.unwrap_or_default();
    let waiting = Spinner::new();
    let ended = |scan: Option<&ImageScan>| has_ended(scan, generation, &waiting);
    let name = asked.name_any();
    let outcome = tokio::time::timeout(LIMIT, await_condition(cluster.scans(), &name, ended)).await;
    waiting.clear();
    let scan = match outcome {
        Ok(scan) => scan.context("following the scan")?,
        Err(_) => bail!(
            "the scan has not ended after {LIMIT:?}; is the server running? kubectl -n tidewaiter-system get pods"
        ),
    };
    match scan.and_then(|s| s.status) {
        Some(status) => Ok(status),
        None => bail!("the ImageScan {name} was deleted while its scan ran; start it again"),
    }
}

/// Whether a watched scan has ended, or was deleted; says how far it is.
fn has_ended(scan: Option<&ImageScan>, generation: i64, waiting: &Spinner) -> bool {
    let Some(scan) = scan else { return true };
    let Some(status) = &scan.status else { return false };
    waiting.say(&format!("{}: {}", status.image_status, status.message));
    // A scan that cannot start has no final status: the server retries it. The reason is what the user needs.
    status.is_final(generation) || status.reason.is_some() && status.image_status == ImageStatus::NotScanned
}

/// Prints the result. Without access to the report, prints the ImageScan's summary; the exit code is the same.
pub(crate) async fn show(
    cluster: &Cluster,
    image: &str,
    status: &ImageScanStatus,
    outputs: &ReportOutputs,
) -> Result<Exit> {
    match print(cluster, image, status, outputs).await {
        Ok(outcome) => Ok(exit::of(outcome)),
        Err(ResultUnavailable::NoReport(why, status)) if outputs.is_table() => {
            summary(image, &status, &why)?;
            Ok(status.verdict.map_or(Exit::Failed, exit::of))
        }
        Err(error) => Err(error.into_error()),
    }
}

/// Why a result cannot be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResultUnavailable {
    /// The scan has no result.
    #[error("{0}")]
    NoResult(String),
    /// The scan has a result, but its report cannot be read.
    #[error("the report cannot be read: {0}")]
    NoReport(NoAnswer, Box<ImageScanStatus>),
    /// Reading the ImageScan or writing the output failed.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl ResultUnavailable {
    /// As it is: the exit code of another error follows from what it is.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            ResultUnavailable::Other(error) => error,
            other => other.into(),
        }
    }
}

/// Prints the reports of a result.
pub(crate) async fn print(
    cluster: &Cluster,
    image: &str,
    status: &ImageScanStatus,
    outputs: &ReportOutputs,
) -> Result<Outcome, ResultUnavailable> {
    let result = reports(cluster, image, status.clone()).await?;
    let now = Timestamp::now();
    let verdicts: Vec<Verdict> = result.reports.iter().map(|report| verdict(&result, report, now)).collect();
    let judged: Vec<_> =
        result.reports.iter().zip(&verdicts).map(|(report, verdict)| JudgedReport { report, verdict }).collect();
    outputs.write(&judged)?;
    Ok(result.outcome)
}

/// The cluster's result, as its status and its store have it.
#[derive(Debug)]
struct ClusterResult {
    outcome: Outcome,
    /// The first twenty.
    reasons: Vec<String>,
    reports: Vec<Report>,
}

/// The verdict about one report of a result. The status has no gaps that depend on the day: the end of a release's support is found
/// here as it is there; what else makes a whole report incomplete, the age of a database by the cluster's limit for it, is one of
/// the reasons.
fn verdict(result: &ClusterResult, report: &Report, now: Timestamp) -> Verdict {
    let any_age = Policy { max_database_age_days: None, ..Policy::default() };
    let mut gaps = policy::decide(report, &any_age, now).gaps;
    if result.outcome == Outcome::Incomplete && result.reports.iter().all(|report| report.complete) && gaps.is_empty() {
        let message = match result.reasons.as_slice() {
            [] => "the cluster's policy calls the report incomplete".to_owned(),
            reasons => reasons.join("; "),
        };
        gaps.push(Gap { kind: GapKind::OldDatabase, subject: "database".to_owned(), message });
    }
    Verdict { reasons: result.reasons.clone(), gaps, ..Verdict::of(result.outcome) }
}

/// Attempts to read a report that newer scans keep replacing. Each attempt waits for a whole scan, so a handful is hours of
/// an unlucky registry.
const ATTEMPTS: usize = 5;

/// Reads the reports of a result, or of the newer scan (the server's own, or another user's) that replaced it meanwhile.
async fn reports(
    cluster: &Cluster,
    image: &str,
    mut status: ImageScanStatus,
) -> Result<ClusterResult, ResultUnavailable> {
    for _ in 0..ATTEMPTS {
        let Some(outcome) = status.verdict else {
            let reason = status.reason.as_ref().map_or("ScanFailed", Reason::as_str);
            let message = printable(&status.message);
            return Err(ResultUnavailable::NoResult(format!("{}: {reason}: {message}", printable(image))));
        };
        match all(cluster, image, &status).await {
            Ok(reports) => return Ok(ClusterResult { outcome, reasons: status.reasons, reports }),
            Err(NoAnswer::Gone) => {}
            Err(other) => return Err(ResultUnavailable::NoReport(other, Box::new(status))),
        }
        let newer = match cluster.scan(image).await? {
            Some(scan) => end(cluster, &scan).await?,
            None => break,
        };
        // The same keys: the report is gone and was not replaced.
        if newer.platforms == status.platforms {
            break;
        }
        status = newer;
    }
    Err(ResultUnavailable::NoReport(NoAnswer::Gone, Box::new(status)))
}

async fn all(cluster: &Cluster, image: &str, status: &ImageScanStatus) -> Result<Vec<Report>, NoAnswer> {
    let (namespace, image_scan) = (cluster.namespace.as_str(), image_scan::name(image));
    let mut reports = Vec::new();
    for platform in &status.platforms {
        let key = platform.report_key.as_str();
        reports.push(cluster.report(StoredReport { namespace, image_scan: &image_scan, key }).await?);
    }
    Ok(reports)
}

/// Prints what the ImageScan itself has: the counts and the first reasons.
fn summary(image: &str, status: &ImageScanStatus, why: &NoAnswer) -> Result<()> {
    exit::warn(&format!("the report cannot be read, only its summary: {why}"));
    stdout::write_stdout(|out| {
        writeln!(out, "{}", printable(image))?;
        for reason in &status.reasons {
            writeln!(out, "  {}", printable(reason))?;
        }
        Ok(writeln!(out, "{}", printable(&status.message))?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory, SupportPeriod};

    fn report(support: Option<&str>) -> Report {
        let digest = Digest::from_sha256([0; 32]);
        let image = ImageInfo::new("app", digest.clone(), digest, "linux/amd64".parse().unwrap());
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
        let period = |until: &str| SupportPeriod {
            ecosystem: "Debian:9".into(),
            until: until.parse().unwrap(),
            extended_until: None,
        };
        Report { support: support.map(period), ..Report::new(inventory, DatabaseInfo::default(), vec![], vec![]) }
    }

    #[test]
    fn the_gaps_of_the_day_are_found_again() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |outcome: Outcome, reasons: &[&str], report: Report, expected: &[(GapKind, &str)]| {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            let result = ClusterResult { outcome, reasons, reports: vec![report] };
            let found = verdict(&result, &result.reports[0], now).gaps;
            let found: Vec<_> = found.iter().map(|gap| (gap.kind, gap.message.as_str())).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (gap, expected) in found.iter().zip(expected) {
                assert!(gap.0 == expected.0 && gap.1.contains(expected.1), "{gap:?}");
            }
        };
        check(Outcome::Pass, &[], report(None), &[]);
        // Whatever the outcome is, and the cluster's policy makes of it.
        let ended = [(GapKind::EndOfSupport, "")];
        check(Outcome::Violated, &["CVE-1"], report(Some("2022-07-01")), &ended);
        check(Outcome::Pass, &[], report(Some("2022-07-01")), &ended);
        check(Outcome::Pass, &[], report(Some("2027-07-01")), &[]);
        let old = "the database is 9 days old";
        check(Outcome::Incomplete, &[old], report(None), &[(GapKind::OldDatabase, old)]);
        check(Outcome::Incomplete, &[], report(None), &[(GapKind::OldDatabase, "calls the report incomplete")]);
    }
}
