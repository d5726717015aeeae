//! The chart as the archive and the OCI artifact that `helm install` takes, packed by Helm itself.

use crate::gitops;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::cluster::which;

#[derive(Debug, clap::Args)]
pub(crate) struct ChartArgs {
    /// Push it below this address, with the logins of `helm registry login` and Docker: oci://HOST/NAMESPACE
    #[arg(long, value_name = "OCI_URL")]
    push: Option<String>,
    /// Use plain HTTP for the registry
    #[arg(long, requires = "push")]
    plain_http: bool,
}

/// Checks and packs the chart into `target/chart`, and pushes it if asked.
pub(crate) fn run(root: &Path, args: &ChartArgs) -> Result<bool> {
    let helm = which("helm").map_or_else(|| own_helm(root), Ok)?;
    let out = root.join("target/chart");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    let chart: OsString = root.join("deploy/chart").into();
    succeed(&helm, &["lint".into(), "--strict".into(), chart.clone(), "--set=image.repository=x".into()])?;
    succeed(&helm, &["package".into(), chart, "--destination".into(), out.clone().into()])?;
    if let Some(to) = &args.push {
        let mut words: Vec<OsString> = vec!["push".into(), archive(&out)?.into(), to.into()];
        words.extend(args.plain_http.then(|| "--plain-http".into()));
        succeed(&helm, &words)?;
    }
    Ok(true)
}

/// Helm 4 as the stories have it, where PATH has none.
fn own_helm(root: &Path) -> Result<PathBuf> {
    gitops::ensure(root)?;
    Ok(tidewaiter_testkit::gitops::helm_4(root))
}

fn archive(folder: &Path) -> Result<PathBuf> {
    let first = fs::read_dir(folder)?.next().context("helm package wrote nothing")?;
    Ok(first?.path())
}

fn succeed(helm: &Path, words: &[OsString]) -> Result<()> {
    let status = Command::new(helm).args(words).status().with_context(|| helm.display().to_string())?;
    if !status.success() {
        bail!("helm failed; see above");
    }
    Ok(())
}
