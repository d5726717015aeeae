//! `kubectl scan deployment`: all images of a Deployment are scanned again.

use crate::args::{DeploymentArgs, Output};
use crate::cluster::{self, Cluster};
use crate::exit::Exit;
use crate::workload::Workload;
use crate::{follow, render, status};
use anyhow::Result;
use std::collections::BTreeSet;
use std::io::Write as _;

/// Scans, shows, and answers by the worst result.
pub(crate) fn run(args: &DeploymentArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    let workload = Workload { kind: "Deployment", name: args.name.trim_start_matches("deployment/") };
    cluster.run(async {
        let images = images(&cluster, &workload).await?;
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
        status::print_one(&cluster, &workload).await?;
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
pub(crate) async fn images(cluster: &Cluster, workload: &Workload<'_>) -> Result<BTreeSet<String>> {
    let status = workload.find(cluster).await?.status.unwrap_or_default();
    let revision = status.current_revision().cloned().unwrap_or_default();
    Ok(revision.containers.into_values().map(|c| c.image).collect())
}
