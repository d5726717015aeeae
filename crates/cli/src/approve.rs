//! `kubectl scan approve`: a person's approval of exactly the digests that were scanned.

use crate::args::ApproveArgs;
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use crate::terminal::printable;
use crate::workload::WorkloadName;
use anyhow::{Context as _, Result, bail};
use jiff::{SignedDuration, Timestamp};
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use std::io::Write as _;
use tidewaiter_core::image::Reference;
use tidewaiter_core::status::DeploymentStatus;
use tidewaiter_crd::approval::RolloutApprovalSpec;
use tidewaiter_crd::workload_scan::{Decision, WorkloadScanStatus};
use tidewaiter_crd::{RolloutApproval, WorkloadScan};

/// Creates a RolloutApproval, if policy waits for one.
pub(crate) fn run(args: &ApproveArgs) -> Result<Exit> {
    let workload = WorkloadName::parse(&args.workload)?;
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let scan = workload.find(&cluster).await?;
        let status = scan.status.clone().unwrap_or_default();
        let mut out = std::io::stdout();
        let overrides = args.break_glass;
        match status.deployment_status {
            DeploymentStatus::PendingApproval => {}
            DeploymentStatus::Blocked | DeploymentStatus::Created if overrides => {}
            DeploymentStatus::Blocked => {
                bail!("{workload} cannot be approved (in an emergency: --break-glass): {}", printable(&status.message))
            }
            DeploymentStatus::RollingOut | DeploymentStatus::Deployed if is_retained(&status) && overrides => {}
            DeploymentStatus::RollingOut | DeploymentStatus::Deployed if is_retained(&status) => {
                bail!(
                    "{workload} is retained (it ran before enforcement began, or has lost its approval) and needs no approval; its next rollout does: {}",
                    printable(&status.message)
                )
            }
            DeploymentStatus::RollingOut | DeploymentStatus::Deployed => {
                writeln!(out, "{workload} is already approved ({})", status.deployment_status)?;
                return Ok(Exit::Clean);
            }
            _ => bail!("{workload} is not scanned yet: {}", printable(&status.message)),
        }
        let digests = digests(&cluster, &status).await?;
        let expires = end(args, Timestamp::now())?;
        let by = create(&cluster, &scan, digests, args, expires).await?;
        let until = expires.map(|end| format!(", until {end}")).unwrap_or_default();
        let what = if overrides { "runs whatever policy says of it: glass broken" } else { "approved" };
        writeln!(out, "{workload} {what} by {}{until}", printable(&by))?;
        Ok(Exit::Clean)
    })
}

fn is_retained(status: &WorkloadScanStatus) -> bool {
    status.current_revision().is_some_and(|revision| revision.decision == Decision::Retained)
}

/// The digests that were scanned. The approval names them, so it never covers what a tag names later.
async fn digests(cluster: &Cluster, status: &WorkloadScanStatus) -> Result<Vec<String>> {
    let revision = status.current_revision().context("the WorkloadScan has no current revision; try again")?;
    let mut digests = Vec::new();
    for container in revision.containers.values() {
        let scan = cluster.scan(&container.image).await?;
        let named = || Some(container.image.parse::<Reference>().ok()?.digest()?.to_string());
        let digest = scan.and_then(|s| s.status?.digest).or_else(named);
        digests.push(digest.with_context(|| {
            format!("the scan of {} has no result; try again, or name the image by its digest", container.image)
        })?);
    }
    // Two containers may run one image; the server compares sets.
    digests.sort();
    digests.dedup();
    Ok(digests)
}

/// Default and longest time for which policy is overridden.
const BREAK_GLASS: (SignedDuration, SignedDuration) = (SignedDuration::from_hours(1), SignedDuration::from_hours(24));

/// When the approval ends.
fn end(args: &ApproveArgs, now: Timestamp) -> Result<Option<Timestamp>, UsageError> {
    let (default, longest) = BREAK_GLASS;
    let duration = args.duration.or(args.break_glass.then_some(default));
    match duration {
        Some(duration) if !duration.is_positive() => {
            Err(UsageError("--for must be a time to come, as in: --for 2h".to_owned()))
        }
        Some(duration) if args.break_glass && duration > longest => {
            Err(UsageError("--break-glass ends within a day: --for 24h at most".to_owned()))
        }
        duration => Ok(duration.and_then(|duration| now.checked_add(duration).ok())),
    }
}

async fn create(
    cluster: &Cluster,
    scan: &WorkloadScan,
    digests: Vec<String>,
    args: &ApproveArgs,
    expires: Option<Timestamp>,
) -> Result<String> {
    let by = cluster.user_name().await?;
    let spec = RolloutApprovalSpec {
        kind: scan.spec.kind.clone(),
        name: scan.spec.name.clone(),
        uid: scan.spec.uid.clone(),
        digests,
        reason: args.reason.clone(),
        approved_by: by.clone(),
        break_glass: args.break_glass,
        expires: expires.map(Into::into),
    };
    let mut approval = RolloutApproval::new("", spec);
    approval.metadata.name = None;
    // Within the 253 characters of a name, with what the API server appends.
    approval.metadata.generate_name = Some(format!("{}-", scan.name_any().chars().take(230).collect::<String>()));
    approval.metadata.owner_references = Some(scan.owner_references().to_vec());
    let api: Api<RolloutApproval> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    api.create(&PostParams::default(), &approval).await.context("creating the RolloutApproval")?;
    Ok(by)
}
