//! `kubectl scan image`: in the cluster if it has tidewaiter, else on this machine.

use crate::args::ImageArgs;
use crate::cluster::{self, ClusterUnavailable};
use crate::exit::{self, Exit};
use crate::output::ReportOutputs;
use crate::source::ImageSource;
use crate::{follow, local};
use anyhow::Result;
use jiff::Timestamp;
use std::io::Write;
use tidewaiter_core::policy;
use tidewaiter_formats::JudgedReport;

/// Chooses where to scan, scans, and prints the report.
pub(crate) fn run(args: &ImageArgs) -> Result<Exit> {
    // A file, or an option of local scans, can only mean this machine; a plain reference means the cluster if there is
    // one.
    if args.local_only || !args.in_cluster && (ImageSource::parse(&args.image).is_here() || args.local.is_given()) {
        return here(args);
    }
    match (cluster::with_tidewaiter(&args.cluster), args.in_cluster) {
        (Ok(cluster), _) => follow::image(&cluster, args),
        (Err(error), true) => Err(error.into()),
        (Err(error), false) if args.cluster.is_given() => Err(error.into()),
        (Err(ClusterUnavailable::NoCluster), false) => here(args),
        // Said aloud: a local scan has another database and another policy than the cluster's.
        (Err(reason), false) => {
            writeln!(std::io::stderr(), "scanning locally: {reason}")?;
            here(args)
        }
    }
}

fn here(args: &ImageArgs) -> Result<Exit> {
    let criteria = args.local.judge.criteria()?;
    let outputs = ReportOutputs::prepare(&args.output.outputs, ImageSource::parse(&args.image).path())?;
    let outputs = outputs.arranged(args.output.arrangement())?;
    criteria.check_name(&args.image)?;
    let report = local::scan(&args.image, &args.local)?;
    let policy = criteria.of_image(&report.inventory.image)?;
    let verdict = policy::decide(&report, &policy, Timestamp::now());
    outputs.write(&[JudgedReport { report: &report, verdict: &verdict }])?;
    Ok(exit::of(verdict.outcome))
}
