//! `kubectl scan deployment`: all images of a Deployment are scanned again.

use crate::args::{DeploymentArgs, Output};
use crate::cluster::{self, Cluster};
use crate::exit::Exit;
use crate::{follow, render, status};
use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt as _};
use std::collections::BTreeSet;
use std::io::Write as _;
use tidewaiter_crd::WorkloadScan;

/// Scans, shows, and answers by the worst result.
pub(crate) fn run(args: &DeploymentArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    let name = args.name.trim_start_matches("deployment/");
    cluster.run(async {
        let images = images(&cluster, name).await?;
        let mut started = Vec::new();
        for image in &images {
            let started_for = render::printable(image);
            writeln!(
                std::io::stderr(),
                "Scan started for image {started_for} (in the cluster, namespace {})",
                cluster.namespace
            )?;
            started.push((image, follow::start(&cluster, image, &[]).await?));
        }
        let mut worst = Exit::Clean;
        for (image, scan) in started {
            let ended = follow::end(&cluster, &scan).await?;
            let exit = match follow::show(&cluster, image, &ended, Output::Table).await {
                Ok(exit) => exit,
                Err(error) => crate::exit::report(&error),
            };
            worst = worse(worst, exit);
        }
        status::print_one(&cluster, "Deployment", name).await?;
        Ok(worst)
    })
}

/// A violation is certain, and wins.
fn worse(a: Exit, b: Exit) -> Exit {
    match (a, b) {
        (Exit::Violated, _) | (_, Exit::Violated) => Exit::Violated,
        (Exit::Clean, other) | (other, Exit::Clean) => other,
        (other, _) => other,
    }
}

/// The image strings of the template as it is.
async fn images(cluster: &Cluster, name: &str) -> Result<BTreeSet<String>> {
    let (_, scan) = find(cluster, name).await?;
    let revision = scan.status.as_ref().and_then(|s| s.current_revision().cloned()).unwrap_or_default();
    Ok(revision.containers.into_values().map(|c| c.image).collect())
}

/// A Deployment and what is recorded of it.
pub(crate) async fn find(cluster: &Cluster, name: &str) -> Result<(Deployment, WorkloadScan)> {
    let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let found = api.get_opt(name).await.with_context(|| format!("reading deployment/{name}"))?;
    let Some(found) = found else {
        bail!("deployment/{name} does not exist in namespace {}; check the name and -n", cluster.namespace);
    };
    let uid = found.uid().unwrap_or_default();
    match cluster.workload("Deployment", name, &uid).await? {
        Some(scan) => Ok((found, scan)),
        None => bail!(
            "nothing is recorded of deployment/{name}: its namespace {} is excluded, or the server is not running \
             (kubectl -n tidewaiter-system get pods)",
            cluster.namespace
        ),
    }
}
