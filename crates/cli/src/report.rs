//! `kubectl scan report`: the full reports that the server stores.

use crate::args::ReportArgs;
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use crate::follow::{self, ResultUnavailable};
use crate::output::ReportOutputs;
use crate::terminal::printable;
use crate::workload::WorkloadName;
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// Prints them. The exit code is not a verdict: stored reports are printed, not re-evaluated.
pub(crate) fn run(args: &ReportArgs) -> Result<Exit> {
    let outputs = ReportOutputs::prepare(&args.output.outputs, None)?.arranged(args.output.arrangement())?;
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let images = match workload(&cluster, &args.subject).await? {
            Some(workload) => workload.images(&cluster).await?,
            None => BTreeSet::from([args.subject.clone()]),
        };
        if images.len() > 1 && !outputs.may_be_repeated() {
            return Err(UsageError(several(&args.subject, &images)).into());
        }
        for image in images {
            let status = cluster.scan(&image).await?.and_then(|s| s.status);
            let Some(status) = status else {
                bail!("{image} was not scanned in namespace {}; run: kubectl scan image {image}", cluster.namespace);
            };
            follow::print(&cluster, &image, &status, &outputs).await.map_err(ResultUnavailable::into_error)?;
        }
        Ok(Exit::Clean)
    })
}

/// Why documents are not written for all images of a workload.
fn several(workload: &str, images: &BTreeSet<String>) -> String {
    let named: Vec<String> = images.iter().map(printable).collect();
    format!(
        "{} has {} images ({}), and such an output is about one; name it: kubectl scan report IMAGE -o ...",
        printable(workload),
        images.len(),
        named.join(", ")
    )
}

/// The workload that is meant. An image reference has slashes, too: what is before the first one may be the kind of an
/// operator's, if a workload of that kind and name was scanned.
async fn workload<'a>(cluster: &Cluster, subject: &'a str) -> Result<Option<WorkloadName<'a>>> {
    let Some(workload) = WorkloadName::parse(subject).ok().filter(|_| subject.contains('/')) else { return Ok(None) };
    let is_meant = workload.is_known() || workload.newest_scan(cluster).await?.is_some();
    Ok(is_meant.then_some(workload))
}
