//! `kubectl scan image`: in the cluster if it has tidewaiter, else on this machine.

use crate::args::ImageArgs;
use crate::batch::{self, ImageResult, OwnJudgement};
use crate::cluster::{self, ClusterUnavailable};
use crate::exit::{self, Exit};
use crate::judge::JudgingCriteria;
use crate::output::ReportOutputs;
use crate::source::ImageSource;
use crate::{follow, local, terminal};
use anyhow::Result;
use jiff::Timestamp;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use tidewaiter_core::policy;
use tidewaiter_db::Database;
use tidewaiter_formats::JudgedReport;
use tidewaiter_io::in_order;

/// Images that are read at the same time unless the command line says how many: each reads several layers at once.
const MOST_AT_ONCE: usize = 4;

/// Chooses where to scan, scans, and prints the reports.
pub(crate) fn run(args: &ImageArgs) -> Result<Exit> {
    // A file, or an option of local scans, can only mean this machine; a plain reference means the cluster if there is
    // one. All images of a call are scanned in one place: one database and one policy are behind its summary.
    let is_here = |image: &String| ImageSource::parse(image).is_here();
    if args.local_only || !args.in_cluster && (args.images.iter().any(is_here) || args.local.is_given()) {
        return here(args);
    }
    match (cluster::with_tidewaiter(&args.cluster), args.in_cluster) {
        (Ok(cluster), _) => follow::images(&cluster, args),
        (Err(error), true) => Err(error.into()),
        (Err(error), false) if args.cluster.is_given() => Err(error.into()),
        (Err(ClusterUnavailable::NoCluster), false) => here(args),
        // Said aloud: a local scan has another database and another policy than the cluster's.
        (Err(reason), false) => {
            terminal::say(&format!("scanning locally: {reason}"));
            here(args)
        }
    }
}

fn here(args: &ImageArgs) -> Result<Exit> {
    let criteria = args.local.judge.criteria()?;
    let outputs = ReportOutputs::prepare_for(&args.output, &args.images)?;
    for image in &args.images {
        local::check_name(image)?;
        criteria.check_name(image)?;
    }
    let database = args.local.database()?;
    let [image] = args.images.as_slice() else { return several(args, &criteria, &outputs, &database) };
    let OwnJudgement { report, verdict } = judged(image, args, &criteria, &database)?;
    outputs.write(&[JudgedReport { report: &report, verdict: &verdict }])?;
    Ok(exit::of(verdict.outcome))
}

fn several(args: &ImageArgs, criteria: &JudgingCriteria, outputs: &ReportOutputs, database: &Database) -> Result<Exit> {
    terminal::tell_in_lines();
    let cores = || available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE);
    let threads = args.parallel.map_or_else(cores, NonZeroUsize::get);
    let result = |image: &String| {
        let judged = judged(image, args, criteria, database).map(|one| vec![one]);
        let result = ImageResult { image: image.clone(), judged };
        result.say();
        Ok::<_, Infallible>(result)
    };
    let Ok(results) = in_order(threads, &args.images, result);
    batch::finish(results, outputs)
}

fn judged(image: &str, args: &ImageArgs, criteria: &JudgingCriteria, database: &Database) -> Result<OwnJudgement> {
    let report = local::scan_with(image, &args.local, database)?;
    let policy = criteria.of_image(&report.inventory.image)?;
    let verdict = policy::decide(&report, &policy, Timestamp::now());
    Ok(OwnJudgement { report, verdict })
}
