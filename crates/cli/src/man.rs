//! `kubectl scan man`: the manual pages, for packages of the program (`man kubectl-scan-image`).

use crate::args::Cli;
use crate::exit::Exit;
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::fs;
use std::path::Path;

/// Writes a page for each command into a folder.
pub(crate) fn run(folder: &Path) -> Result<Exit> {
    fs::create_dir_all(folder).with_context(|| format!("{}: pages go into a folder", folder.display()))?;
    // Without `kubectl`: pages are looked up by the program's name.
    let program = Cli::command().bin_name("kubectl-scan");
    clap_mangen::generate_to(program, folder).with_context(|| folder.display().to_string())?;
    Ok(Exit::Clean)
}
