//! `kubectl scan deployment`: rescans all images of a Deployment.

use crate::args::DeploymentArgs;
use crate::cluster;
use crate::exit::Exit;
use crate::output::ReportOutputs;
use crate::workload::{DEPLOYMENT, WorkloadName};
use crate::{follow, status};
use anyhow::Result;

/// Rescans and shows each image; the exit code is the worst.
pub(crate) fn run(args: &DeploymentArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    let outputs = ReportOutputs::table()?;
    let workload = WorkloadName { kind: DEPLOYMENT, name: args.name.trim_start_matches("deployment/") };
    cluster.run(async {
        let images = workload.images(&cluster).await?;
        // All are started before the first is followed: the server scans them side by side.
        let mut started = Vec::new();
        for image in &images {
            follow::say_started(&cluster, image);
            started.push((image, follow::start(&cluster, image, &[]).await?));
        }
        let mut worst = Exit::Clean;
        for (image, scan) in started {
            let ended = follow::end(&cluster, &scan).await?;
            let exit = match follow::show(&cluster, image, &ended, &outputs).await {
                Ok(exit) => exit,
                Err(error) => crate::exit::report(&error),
            };
            worst = worst.worse(exit);
        }
        status::print_one(&cluster, &workload).await?;
        Ok(worst)
    })
}
