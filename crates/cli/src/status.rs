//! `kubectl scan status`: both statuses of workloads, why, and what to do.

use crate::args::StatusArgs;
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use crate::render;
use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt as _};
use std::fmt::Write as _;
use std::io::Write as _;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};
use tidewaiter_crd::WorkloadScan;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// Prints one workload, or a table.
pub(crate) fn run(args: &StatusArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        match &args.workload {
            Some(workload) => {
                let (kind, name) = parse(workload)?;
                print_one(&cluster, kind, name).await?;
            }
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

fn parse(workload: &str) -> Result<(&'static str, &str)> {
    match workload.split_once('/') {
        Some(("deployment" | "deployments" | "deploy", name)) => Ok(("Deployment", name)),
        Some(("replicaset" | "replicasets" | "rs", name)) => Ok(("ReplicaSet", name)),
        Some(("pod" | "pods" | "po", name)) => Ok(("Pod", name)),
        Some((kind, _)) => Err(UsageError(format!("{kind} is no kind of workload here; give deployment/NAME")).into()),
        None => Ok(("Deployment", workload)),
    }
}

/// Prints one workload; one that does not exist is `NotCreated`.
pub(crate) async fn print_one(cluster: &Cluster, kind: &str, name: &str) -> Result<()> {
    let uid = match kind {
        "Deployment" => {
            let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
            api.get_opt(name).await?.and_then(|d| d.uid())
        }
        _ => None,
    };
    let all = cluster.workloads(false).await?;
    let mine = |w: &&WorkloadScan| {
        w.spec.kind == kind && w.spec.name == name && (kind != "Deployment" || uid.as_ref() == Some(&w.spec.uid))
    };
    let status = all.iter().find(mine).and_then(|w| w.status.clone());
    let title = format!("{}/{name}", kind.to_ascii_lowercase());
    let text = match (status, uid.is_some() || kind != "Deployment") {
        (Some(status), _) => detail(&title, &status),
        (None, true) if uid.is_none() => bare(&title, DeploymentStatus::NotCreated, "nothing is recorded of it"),
        (None, true) => bare(&title, DeploymentStatus::Created, "nothing is recorded of it yet"),
        (None, false) => bare(&title, DeploymentStatus::NotCreated, "it does not exist"),
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
            format!("{}/{}", workload.spec.kind.to_ascii_lowercase(), render::printable(&workload.spec.name)),
            status.image_status.to_string(),
            status.deployment_status.to_string(),
            short(&render::printable(&status.message)),
        ]);
    }
    let from = usize::from(!everywhere);
    let widths: Vec<usize> =
        (0..5).map(|i| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or_default()).collect();
    rows.iter().fold(String::new(), |mut out, row| {
        let cells: Vec<String> = (from..5).map(|i| format!("{:width$}", row[i], width = widths[i])).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
        out
    })
}

/// A message's first part; `status WORKLOAD` shows all of it.
fn short(message: &str) -> String {
    const LONG: usize = 80;
    match message.chars().count() > LONG {
        true => message.chars().take(LONG).collect::<String>() + "…",
        false => message.to_owned(),
    }
}
