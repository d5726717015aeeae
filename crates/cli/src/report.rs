//! `kubectl scan report`: the full reports that the server stores.

use crate::args::ReportArgs;
use crate::cluster;
use crate::exit::Exit;
use crate::follow;
use crate::workload::WorkloadName;
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// Prints them. The exit code is not a verdict: stored reports are printed, not re-evaluated.
pub(crate) fn run(args: &ReportArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        // An image reference has slashes too, but no kind before the first one.
        let images = match WorkloadName::parse(&args.subject) {
            Ok(workload) if args.subject.contains('/') => workload.images(&cluster).await?,
            _ => BTreeSet::from([args.subject.clone()]),
        };
        for image in images {
            let status = cluster.scan(&image).await?.and_then(|s| s.status);
            let Some(status) = status else {
                bail!("{image} was not scanned in namespace {}; run: kubectl scan image {image}", cluster.namespace);
            };
            follow::print(&cluster, &image, &status, args.output).await?;
        }
        Ok(Exit::Clean)
    })
}
