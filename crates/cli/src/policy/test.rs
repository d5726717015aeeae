//! `kubectl scan policy test`: what a policy would change.

use super::outcome::PolicyEffect;
use super::{judge, live};
use crate::args::{OutputFormat, PolicyTestArgs};
use crate::cluster;
use crate::exit::Exit;
use crate::{policy_file, render, stdout};
use anyhow::Result;
use jiff::Timestamp;

/// Judges the targets, or the cluster, and prints what changes.
pub(super) fn run(args: &PolicyTestArgs) -> Result<Exit> {
    let now = Timestamp::now();
    let effect = if args.targets.is_empty() {
        let new = policy_file::read_objects(&args.file)?;
        let cluster = cluster::with_tidewaiter(&args.cluster)?;
        let new = new.in_namespace(&cluster.namespace);
        let (judged, not_judged) = cluster.run(live::judge(&cluster, new, args.cluster.namespace.as_deref(), now))?;
        PolicyEffect::of(judged, not_judged)
    } else {
        let (before, after) = (args.local.judge.criteria()?.of_every_image()?, policy_file::read(&args.file)?);
        let pair = judge::PolicyPair::new(&before, &after, now);
        PolicyEffect::of(judge::targets(&args.targets, &pair, &args.local)?, Vec::new())
    };
    match args.output {
        OutputFormat::Json => render::json(&effect)?,
        OutputFormat::Table => stdout::print(&effect.text())?,
    }
    Ok(effect.exit())
}
