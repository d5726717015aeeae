//! `kubectl scan status`: both statuses of workloads, their reasons, and what to do.

use crate::args::StatusArgs;
use crate::cluster::{self, Cluster, NoAnswer};
use crate::exit::{self, Exit};
use crate::terminal::printable;
use crate::workload::{DEPLOYMENT, WorkloadName};
use crate::{render, stdout};
use anyhow::Result;
use kube::ResourceExt as _;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus};
use tidewaiter_crd::names::NAMESPACE;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;
use tidewaiter_crd::{ObjectTime, WorkloadScan};

/// Longest wait for the server: only the warning needs it, the statuses do not.
const READINESS_LIMIT: Duration = Duration::from_secs(10);

/// Prints one workload in detail, or a table of all.
pub(crate) fn run(args: &StatusArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        warn(&cluster).await?;
        match &args.workload {
            Some(workload) => print_one(&cluster, &WorkloadName::parse(workload)?).await?,
            None => {
                let all = cluster.workloads(args.all_namespaces).await?;
                let mut out = std::io::stdout().lock();
                match (all.is_empty(), args.all_namespaces) {
                    (true, true) => writeln!(out, "no WorkloadScan in any namespace")?,
                    (true, false) => writeln!(out, "no WorkloadScan in namespace {}", cluster.namespace)?,
                    (false, everywhere) => write!(out, "{}", table(&all, everywhere))?,
                }
            }
        }
        Ok(Exit::Clean)
    })
}

/// Warns about what blocks every workload: no database, or no server. Without permission to ask, there is no warning.
async fn warn(cluster: &Cluster) -> Result<()> {
    let why = match tokio::time::timeout(READINESS_LIMIT, cluster.readiness()).await {
        // Who may not ask the server may still read the statuses.
        Ok(Err(NoAnswer::Forbidden(_))) => return Ok(()),
        Ok(Ok(scans)) if scans.ready => return Ok(()),
        Ok(Ok(scans)) => scans.message,
        Ok(Err(why)) => why.to_string(),
        Err(_) => {
            format!(
                "the server has not answered within {READINESS_LIMIT:?}; is it running? kubectl -n {NAMESPACE} get pods"
            )
        }
    };
    exit::warn(&format!("nothing new is scanned: {why}"));
    Ok(())
}

/// Prints one workload; one that does not exist is `NotCreated`.
pub(crate) async fn print_one(cluster: &Cluster, workload: &WorkloadName<'_>) -> Result<()> {
    let title = workload.to_string();
    let (status, missing) = match workload.kind {
        DEPLOYMENT => match workload.deployment(cluster).await?.and_then(|found| found.uid) {
            Some(uid) => {
                let found = cluster.deployment_record(workload.name, &uid).await?;
                (found, (DeploymentStatus::Created, "it has no WorkloadScan yet"))
            }
            None => (None, (DeploymentStatus::NotCreated, "it does not exist")),
        },
        _ => (workload.newest_scan(cluster).await?, (DeploymentStatus::NotCreated, "it has no WorkloadScan")),
    };
    let text = match status.and_then(|w| w.status) {
        Some(status) => detail(&title, &status),
        None => bare(&title, missing.0, missing.1),
    };
    stdout::print(&text)
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
        printable(title),
        status.image_status,
        status.deployment_status
    );
    for (name, container) in status.current_revision().iter().flat_map(|r| &r.containers) {
        let image = container.pinned.as_ref().unwrap_or(&container.image);
        let _ = writeln!(out, "  {}: {}", printable(name), printable(image));
    }
    let _ = writeln!(out, "  {}", printable(&status.message));
    if !status.transitions.is_empty() {
        out.push_str("  transitions\n");
    }
    for transition in &status.transitions {
        // Without fractions of a second.
        let time = match &transition.time {
            ObjectTime::At(time) => time.strftime("%FT%TZ").to_string(),
            ObjectTime::Unreadable(text) => printable(text),
        };
        let _ = writeln!(out, "    {time}  {}  {}", transition.image_status, transition.deployment_status);
    }
    out
}

fn table(all: &[WorkloadScan], everywhere: bool) -> String {
    let mut rows = vec![["NAMESPACE", "WORKLOAD", "IMAGE", "DEPLOYMENT", "MESSAGE"].map(str::to_owned)];
    for workload in all {
        let status = workload.status.clone().unwrap_or_default();
        rows.push([
            workload.namespace().unwrap_or_default(),
            format!("{}/{}", workload.spec.kind.lowercase(), printable(&workload.spec.name)),
            status.image_status.to_string(),
            status.deployment_status.to_string(),
            render::short(&printable(&status.message)),
        ]);
    }
    match everywhere {
        true => render::columns(&rows),
        false => render::columns(&rows.into_iter().map(|[_, rest @ ..]| rest).collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use serde_json::json;

    fn scan(kind: &str, name: &str, status: serde_json::Value) -> WorkloadScan {
        let scan = json!({
            "apiVersion": "tidewaiter.dev/v1alpha1", "kind": "WorkloadScan",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1"},
            "status": status,
        });
        serde_json::from_value(scan).unwrap_or_else(|e| unreachable!("{e}"))
    }

    fn blocked() -> WorkloadScan {
        let status = json!({
            "imageStatus": "VulnerabilitiesFound", "deploymentStatus": "Blocked", "current": "abc",
            "message": format!("blocked by policy: myapp (registry.example/myapp:v1): {}", "CVE-2025-0001 ".repeat(9)),
            "revisions": {"abc": {"decision": "Held", "containers": {
                "myapp": {"image": "registry.example/myapp:v1", "pinned": "registry.example/myapp@sha256:1"},
                "side\u{1b}car": {"image": "registry.example/sidecar:v2"}}}},
            "transitions": [
                {"time": "2025-01-01T00:00:00.123456Z", "imageStatus": "Scanning", "deploymentStatus": "Created"},
                {"time": "2025-01-01T00:00:09Z", "imageStatus": "VulnerabilitiesFound", "deploymentStatus": "Blocked"}],
        });
        scan("Deployment", "myapp", status)
    }

    #[test]
    fn one_workload_in_detail() {
        assert_snapshot!(detail("deployment/myapp", &blocked().status.unwrap_or_default()));
    }

    #[test]
    fn one_workload_without_a_scan() {
        assert_snapshot!(bare("deployment/myapp", DeploymentStatus::NotCreated, "it does not exist"), @r"
        deployment/myapp
          image status       NotScanned
          deployment status  NotCreated
          it does not exist
        ");
    }

    #[test]
    fn a_table_of_workloads() {
        let deployed = json!({"imageStatus": "Approved", "deploymentStatus": "Deployed",
            "message": "every image is approved"});
        let all = [blocked(), scan("StatefulSet", "database", deployed)];
        assert_snapshot!("table_of_a_namespace", table(&all, false));
        assert_snapshot!("table_of_all_namespaces", table(&all, true));
    }
}
