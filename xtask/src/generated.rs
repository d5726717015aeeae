//! Generated files: written, or compared with what is there.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// What to do with generated files.
#[derive(Debug, clap::Args)]
pub(crate) struct GeneratedArgs {
    /// Only check that they are up to date
    #[arg(long)]
    check: bool,
}

impl GeneratedArgs {
    /// Writes the file, or compares it; true if it is up to date.
    pub(crate) fn apply(&self, root: &Path, file: &str, text: &str, command: &str) -> Result<bool> {
        let path = root.join(file);
        if !self.check {
            fs::write(&path, text).with_context(|| path.display().to_string())?;
            return Ok(true);
        }
        let current = fs::read_to_string(&path).unwrap_or_default() == text;
        if !current {
            println!("{file} is out of date; run: {command}");
        }
        Ok(current)
    }
}
