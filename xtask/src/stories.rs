//! Plays stories on another version of Kubernetes than the newest.

use crate::{controlplane, demo, gitops, monitoring, report_definitions, test};
use anyhow::{Context, Result, bail};
use std::path::Path;
use tidewaiter_testkit::confined;
use tidewaiter_testkit::controlplane::OVERRIDE;
use tidewaiter_testkit::kubernetes::{CHOICE, KubernetesMinor};

#[derive(Debug, clap::Args)]
pub(crate) struct StoriesArgs {
    /// Minor version of Kubernetes (1.30): the newest, or one that `tests/controlplane` has a folder for
    #[arg(long, value_name = "MINOR")]
    kubernetes: KubernetesMinor,
    /// Only stories whose names contain one of these: `stateful_sets::`
    filters: Vec<String>,
}

/// Builds what is missing and plays the stories; true if all pass. The last line says how many were skipped.
pub(crate) fn run(root: &Path, args: &StoriesArgs) -> Result<bool> {
    if !confined::is_possible() {
        bail!("stories confine the server as deploy/ does; run this as root");
    }
    if std::env::var_os(OVERRIDE).is_some() {
        bail!("{OVERRIDE} names a control plane; unset it, so that --kubernetes chooses");
    }
    controlplane::ensure(root, Some(args.kubernetes))?;
    demo::programs(root)?;
    gitops::ensure(root)?;
    monitoring::ensure(root)?;
    report_definitions::ensure_fetched(root)?;
    let record = test::record(root)?;
    let mut command = test::test(root, &["-p", test::STORIES, "--test", "stories", "--"], &record);
    command.args(&args.filters).env(CHOICE, args.kubernetes.to_string());
    let status = command.status().context("cargo test cannot be run")?;
    test::print_skipped(&record)?;
    Ok(status.success())
}
