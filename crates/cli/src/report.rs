//! `kubectl scan report`: the full reports that the server keeps.

use crate::args::ReportArgs;
use crate::cluster;
use crate::exit::Exit;
use crate::{deployment, follow};
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// Prints them; the exit code is about printing, not about what they say.
pub(crate) fn run(args: &ReportArgs) -> Result<Exit> {
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let images: BTreeSet<String> = match args.subject.strip_prefix("deployment/") {
            Some(name) => {
                let (_, scan) = deployment::find(&cluster, name).await?;
                let revision = scan.status.as_ref().and_then(|s| s.current_revision().cloned()).unwrap_or_default();
                revision.containers.into_values().map(|c| c.image).collect()
            }
            None => BTreeSet::from([args.subject.clone()]),
        };
        for image in images {
            let status = cluster.scan(&image).await?.and_then(|s| s.status);
            let Some(status) = status else {
                bail!("{image} was not scanned in namespace {}; run: kubectl scan image {image}", cluster.namespace);
            };
            follow::show(&cluster, &image, &status, args.output).await?;
        }
        Ok(Exit::Clean)
    })
}
