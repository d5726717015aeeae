//! Builds the tools of GitOps for tests, Helm, Flux's apply library and Argo CD's comparison: once, cached under `target/`.

use crate::cert_manager;
use crate::controlplane::{go_build, tools};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use tidewaiter_testkit::gitops;

/// Helm 3, whose main package no module of ours can name.
const HELM_3: &str = "helm.sh/helm/v3/cmd/helm@v3.22.0";

/// Builds Helm 4 and the libraries of Flux and Argo CD and fetches cert-manager's definitions, unless they are cached.
pub(crate) fn ensure(root: &Path) -> Result<()> {
    cert_manager::ensure(root)?;
    let folder = gitops::folder(root);
    if folder.is_dir() {
        return Ok(());
    }
    tools()?;
    println!("building Helm 4 and the libraries of Flux and Argo CD; the first time it takes about three minutes");
    let mut command = go_build();
    command.args(["-ldflags", "-s -w", "-o"]);
    make(&folder, |unfinished| {
        // A separator at its end: it is the folder of several programs.
        command.arg(unfinished.join("")).args([".", "helm.sh/helm/v4/cmd/helm"]).current_dir(gitops::sources(root));
        succeed(&mut command)
    })
}

/// Builds Helm 3, unless it is cached.
pub(crate) fn ensure_helm_3(root: &Path) -> Result<()> {
    let folder = gitops::helm_3_folder(root);
    if folder.is_dir() {
        return Ok(());
    }
    tools()?;
    make(&folder, |unfinished| {
        let mut command = Command::new("go");
        succeed(command.args(["install", "-trimpath", HELM_3]).env("GOBIN", unfinished).env("CGO_ENABLED", "0"))
    })
}

/// Makes a folder under another name first: an interrupted build must not look finished.
fn make(folder: &Path, build: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let unfinished = folder.with_extension("new");
    fs::create_dir_all(&unfinished)?;
    build(&unfinished)?;
    Ok(fs::rename(&unfinished, folder)?)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().context("go cannot be run")?;
    if !status.success() {
        bail!("the tools of GitOps do not build; see above");
    }
    Ok(())
}
