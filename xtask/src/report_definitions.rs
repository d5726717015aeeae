//! Fetches the definitions of the APIs of policy reports, for the story that writes such reports.

use crate::controlplane::tools;
use crate::install::{once, output};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::report_definitions::{ALL, PublishedDefinition, folder};

/// What `go mod download -json` says of a module.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DownloadedModule {
    dir: PathBuf,
    sum: String,
}

/// Fetches them, unless they are there.
pub(crate) fn ensure_fetched(root: &Path) -> Result<()> {
    let folder = folder(root);
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    fs::create_dir_all(parent)?;
    once(parent, name, |to| ALL.iter().try_for_each(|definition| fetch(definition, to))).map(drop)
}

fn fetch(definition: &PublishedDefinition, to: &Path) -> Result<()> {
    tools()?;
    let module = definition.module;
    // Outside of any module, so that none is asked for what it requires.
    let said =
        output(Command::new("go").args(["mod", "download", "-json", module]).env("GO111MODULE", "on").current_dir(to))?;
    let downloaded: DownloadedModule = serde_json::from_str(&said).with_context(|| format!("{module}: {said}"))?;
    ensure!(
        downloaded.sum == definition.sum,
        "{module} is {}, and not {} as when its definition was chosen; do not use it",
        downloaded.sum,
        definition.sum
    );
    let from = downloaded.dir.join(definition.path);
    // Read and written, not copied: files of the module cache are read-only.
    let text = fs::read(&from).with_context(|| from.display().to_string())?;
    fs::write(to.join(definition.file), text).with_context(|| to.display().to_string())
}
