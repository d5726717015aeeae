//! `kubectl scan image`: in the cluster where there is one with tidewaiter, else on this machine.

use crate::args::{ImageArgs, Output};
use crate::cluster::{self, Unavailable};
use crate::exit::{self, Exit};
use crate::{follow, local, render};
use anyhow::Result;
use jiff::Timestamp;
use std::io::Write;
use tidewaiter_core::policy;

/// Scans where it should, prints, and answers by exit code.
pub(crate) fn run(args: &ImageArgs) -> Result<Exit> {
    if args.local_only || !args.in_cluster && (local::is_here(&args.image) || args.local.is_given()) {
        return here(args);
    }
    match (cluster::with_tidewaiter(&args.cluster), args.in_cluster) {
        (Ok(cluster), _) => follow::image(&cluster, args),
        (Err(error), true) => Err(error.into()),
        (Err(error), false) if args.cluster.is_given() => Err(error.into()),
        (Err(Unavailable::NoCluster), false) => here(args),
        (Err(reason), false) => {
            writeln!(std::io::stderr(), "scanning locally: {reason}")?;
            here(args)
        }
    }
}

fn here(args: &ImageArgs) -> Result<Exit> {
    let report = local::scan(&args.image, &args.local)?;
    let (policy, now) = (args.local.policy(), Timestamp::now());
    let verdict = policy::decide(&report, &policy, now);
    match args.output {
        Output::Table => {
            render::table(&report, verdict.outcome, policy::too_old(&report.database, &policy, now).as_deref())?;
        }
        Output::Json => render::json(&report)?,
    }
    Ok(exit::of(verdict.outcome))
}
