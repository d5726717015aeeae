//! `kubectl scan status`: both statuses of workloads, why, and what to do.

use crate::args::StatusArgs;
use crate::cluster::{self, Cluster, NoAnswer};
use crate::exit::Exit;
use crate::render;
use crate::workload::Workload;
use anyhow::Result;
use kube::ResourceExt as _;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};
use tidewaiter_crd::WorkloadScan;
use tidewaiter_crd::names::NAMESPACE;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// The statuses themselves need no server, and do not wait for it longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints one workload, or a table.
pub(crate) fn run(args: &StatusArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        warn(&cluster).await?;
        match &args.workload {
            Some(workload) => print_one(&cluster, &Workload::parse(workload)?).await?,
            None => {
                let all = cluster.workloads(args.all_namespaces).await?;
                let mut out = std::io::stdout().lock();
                match (all.is_empty(), args.all_namespaces) {
                    (true, true) => writeln!(out, "no workload is recorded")?,
                    (true, false) => writeln!(out, "no workload is recorded in namespace {}", cluster.namespace)?,
                    (false, everywhere) => write!(out, "{}", table(&all, everywhere))?,
                }
            }
        }
        Ok(Exit::Clean)
    })
}

/// Says what keeps everything waiting, whatever the workload: no database, or no server. Who may not ask is told nothing.
async fn warn(cluster: &Cluster) -> Result<()> {
    let why = match tokio::time::timeout(PATIENCE, cluster.ask("/readyz/scans")).await {
        Ok(Ok(_) | Err(NoAnswer::Forbidden)) => return Ok(()),
        Ok(Err(why)) => why.to_string(),
        Err(_) => {
            format!("the server has not answered within {PATIENCE:?}; is it running? kubectl -n {NAMESPACE} get pods")
        }
    };
    writeln!(std::io::stderr(), "warning: nothing new is scanned: {}", render::printable(&why))?;
    Ok(())
}

/// Prints one workload; one that does not exist is `NotCreated`.
pub(crate) async fn print_one(cluster: &Cluster, workload: &Workload<'_>) -> Result<()> {
    let title = workload.to_string();
    let (status, missing) = match workload.kind {
        "Deployment" => match workload.deployment(cluster).await?.and_then(|d| d.uid()) {
            Some(uid) => {
                let found = cluster.workload(workload.kind, workload.name, &uid).await?;
                (found, (DeploymentStatus::Created, "nothing is recorded of it yet"))
            }
            None => (None, (DeploymentStatus::NotCreated, "it does not exist")),
        },
        _ => (workload.recorded(cluster).await?, (DeploymentStatus::NotCreated, "nothing is recorded of it")),
    };
    let text = match status.and_then(|w| w.status) {
        Some(status) => detail(&title, &status),
        None => bare(&title, missing.0, missing.1),
    };
    write!(std::io::stdout(), "{text}")?;
    Ok(())
}

fn bare(title: &str, deployment: DeploymentStatus, message: &str) -> String {
    format!(
        "{title}\n  image status       {}\n  deployment status  {deployment}\n  {message}\n",
        ImageStatus::NotScanned
    )
}

fn detail(title: &str, status: &WorkloadScanStatus) -> String {
    let mut out = format!(
        "{}\n  image status       {}\n  deployment status  {}\n",
        render::printable(title),
        status.image_status,
        status.deployment_status
    );
    for (name, container) in status.current_revision().iter().flat_map(|r| &r.containers) {
        let image = container.pinned.as_ref().unwrap_or(&container.image);
        let _ = writeln!(out, "  {}: {}", render::printable(name), render::printable(image));
    }
    let _ = writeln!(out, "  {}", render::printable(&status.message));
    if !status.transitions.is_empty() {
        out.push_str("  transitions\n");
    }
    for transition in &status.transitions {
        let time = transition.time.get(..19).unwrap_or(&transition.time);
        let _ = writeln!(out, "    {time}Z  {}  {}", transition.image_status, transition.deployment_status);
    }
    out
}

fn table(all: &[WorkloadScan], everywhere: bool) -> String {
    let mut rows = vec![["NAMESPACE", "WORKLOAD", "IMAGE", "DEPLOYMENT", "MESSAGE"].map(str::to_owned)];
    for workload in all {
        let status = workload.status.clone().unwrap_or_default();
        rows.push([
            workload.namespace().unwrap_or_default(),
            format!("{}/{}", workload.spec.kind.lowercase(), render::printable(&workload.spec.name)),
            status.image_status.to_string(),
            status.deployment_status.to_string(),
            short(&render::printable(&status.message)),
        ]);
    }
    match everywhere {
        true => render::columns(&rows),
        false => render::columns(&rows.into_iter().map(|[_, rest @ ..]| rest).collect::<Vec<_>>()),
    }
}

/// A message's first part; `status WORKLOAD` shows all of it.
fn short(message: &str) -> String {
    const LONG: usize = 80;
    match message.chars().count() > LONG {
        true => message.chars().take(LONG).collect::<String>() + "…",
        false => message.to_owned(),
    }
}
