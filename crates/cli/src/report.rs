//! `kubectl scan report`: the full reports that the server keeps.

use crate::args::ReportArgs;
use crate::cluster;
use crate::exit::Exit;
use crate::workload::Workload;
use crate::{deployment, follow};
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// Prints them; the exit code is about printing, not about what they say.
pub(crate) fn run(args: &ReportArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        // An image's reference holds a slash too, but no kind before it.
        let images = match Workload::parse(&args.subject) {
            Ok(workload) if args.subject.contains('/') => deployment::images(&cluster, &workload).await?,
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
