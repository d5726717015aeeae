//! Following a scan in the cluster until it ends, and showing its result.

use crate::args::{ImageArgs, Output};
use crate::cluster::{Cluster, NoAnswer};
use crate::exit::{self, Exit};
use crate::progress::Waiting;
use crate::render;
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::policy::Outcome;
use tidewaiter_core::report::Report;
use tidewaiter_core::status::ImageStatus;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{self, ImageScanSpec, ImageScanStatus};

/// The server gives up on a scan before this.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// `kubectl scan image` in the cluster.
pub(crate) fn image(cluster: &Cluster, args: &ImageArgs) -> Result<Exit> {
    let image = &args.image;
    let namespace = &cluster.namespace;
    writeln!(
        std::io::stderr(),
        "Scan started for image {} (in the cluster, namespace {namespace})",
        render::printable(image)
    )?;
    cluster.run(async {
        let scan = start(cluster, image, &args.pull_secrets).await?;
        let status = end(cluster, &scan).await?;
        show(cluster, image, &status, args.output).await
    })
}

/// Asks for a scan, or for another one.
pub(crate) async fn start(cluster: &Cluster, image: &str, secrets: &[String]) -> Result<ImageScan> {
    let api = cluster.scans();
    let name = image_scan::name(image);
    let rescan = Some(Timestamp::now().to_string());
    let asked = match cluster.scan(image).await? {
        Some(known) => {
            let all: BTreeSet<&String> = known.spec.pull_secrets.iter().chain(secrets).collect();
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
    asked.context("asking for the scan")
}

/// Waits for the end of the scan that was asked for.
pub(crate) async fn end(cluster: &Cluster, asked: &ImageScan) -> Result<ImageScanStatus> {
    let generation = asked.metadata.generation.unwrap_or_default();
    let waiting = Waiting::new();
    let ended = |scan: Option<&ImageScan>| match scan.map(|s| s.status.as_ref()) {
        None => true,
        Some(None) => false,
        Some(Some(status)) => {
            waiting.say(&format!("{}: {}", status.image_status, status.message));
            status.is_final(generation) || status.reason.is_some() && status.image_status == ImageStatus::NotScanned
        }
    };
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

/// Prints the result. Who may not read the report still learns what the scan said, and the exit code says the same.
pub(crate) async fn show(cluster: &Cluster, image: &str, status: &ImageScanStatus, output: Output) -> Result<Exit> {
    match print(cluster, image, status, output).await {
        Ok(outcome) => Ok(exit::of(outcome)),
        Err(NotPrinted::NoReport(why, status)) if output == Output::Table => {
            summary(image, &status, &why)?;
            Ok(status.verdict.map_or(Exit::Failed, exit::of))
        }
        Err(error) => Err(error.into()),
    }
}

/// Why a result was not printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPrinted {
    /// There is none.
    #[error("{0}")]
    NoResult(String),
    /// There is one, and its report cannot be had.
    #[error("the report cannot be read: {0}")]
    NoReport(NoAnswer, Box<ImageScanStatus>),
    /// It could not be written.
    #[error(transparent)]
    Output(#[from] anyhow::Error),
}

/// Prints the whole result, or says why not.
pub(crate) async fn print(
    cluster: &Cluster,
    image: &str,
    status: &ImageScanStatus,
    output: Output,
) -> Result<Outcome, NotPrinted> {
    let (outcome, reports) = reports(cluster, image, status.clone()).await?;
    match (output, reports.as_slice()) {
        (Output::Json, [one]) => render::json(one)?,
        (Output::Json, several) => render::json(several)?,
        (Output::Table, all) => all.iter().try_for_each(|report| render::table(report, outcome, None))?,
    }
    Ok(outcome)
}

/// How often a report may be replaced while it is asked for.
const REPLACED: usize = 5;

/// The reports of a result. Where a newer scan has replaced them meanwhile (the server's own, or somebody else's), those
/// of that one.
async fn reports(
    cluster: &Cluster,
    image: &str,
    mut status: ImageScanStatus,
) -> Result<(Outcome, Vec<Report>), NotPrinted> {
    for _ in 0..REPLACED {
        let Some(outcome) = status.verdict else {
            let reason = status.reason.as_ref().map_or("ScanFailed", Reason::as_str);
            let message = render::printable(&status.message);
            return Err(NotPrinted::NoResult(format!("{}: {reason}: {message}", render::printable(image))));
        };
        match all(cluster, &status).await {
            Ok(reports) => return Ok((outcome, reports)),
            Err(NoAnswer::Gone) => {}
            Err(other) => return Err(NotPrinted::NoReport(other, Box::new(status))),
        }
        let newer = match cluster.scan(image).await? {
            Some(scan) => end(cluster, &scan).await?,
            None => break,
        };
        if newer.platforms == status.platforms {
            break;
        }
        status = newer;
    }
    Err(NotPrinted::NoReport(NoAnswer::Gone, Box::new(status)))
}

async fn all(cluster: &Cluster, status: &ImageScanStatus) -> Result<Vec<Report>, NoAnswer> {
    let mut reports = Vec::new();
    for platform in &status.platforms {
        reports.push(cluster.report(&platform.report_key).await?);
    }
    Ok(reports)
}

/// What the ImageScan itself says: the counts, and the first reasons.
fn summary(image: &str, status: &ImageScanStatus, why: &NoAnswer) -> Result<()> {
    writeln!(std::io::stderr(), "warning: the report cannot be read, only its summary: {why}")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", render::printable(image))?;
    for reason in &status.reasons {
        writeln!(out, "  {}", render::printable(reason))?;
    }
    writeln!(out, "{}", render::printable(&status.message))?;
    Ok(())
}
