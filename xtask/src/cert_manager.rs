//! Fetches the definitions of cert-manager for tests: once, cached under `target/`.

use crate::controlplane::tools;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::cert_manager;

/// Its Go module.
const MODULE: &str = "github.com/cert-manager/cert-manager";

/// Copies the definitions of the module that `go.sum` names, unless they are cached.
pub(crate) fn ensure(root: &Path) -> Result<()> {
    let folder = cert_manager::folder(root);
    if folder.is_dir() {
        return Ok(());
    }
    tools()?;
    let definitions = download(&cert_manager::sources(root))?.join("deploy/crds");
    // Under another name first: an interrupted copy must not look finished.
    let unfinished = folder.with_extension("new");
    fs::create_dir_all(&unfinished)?;
    for file in fs::read_dir(&definitions).with_context(|| definitions.display().to_string())? {
        let file = file?;
        if file.path().extension().is_some_and(|extension| extension == "yaml") {
            // Not copied: the module's files are read-only.
            fs::write(unfinished.join(file.file_name()), fs::read(file.path())?)?;
        }
    }
    Ok(fs::rename(&unfinished, &folder)?)
}

/// Where Go has the module's files.
fn download(sources: &Path) -> Result<PathBuf> {
    let asked = Command::new("go").args(["mod", "download", "-json", MODULE]).current_dir(sources).output();
    let asked = asked.context("go cannot be run")?;
    let said: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
    match said["Dir"].as_str() {
        Some(folder) if asked.status.success() => Ok(folder.into()),
        _ => bail!("{MODULE} cannot be fetched: {said} {}", String::from_utf8_lossy(&asked.stderr)),
    }
}
