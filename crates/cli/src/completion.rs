//! `kubectl scan completion`: a script by which a shell asks this program (`complete`).

use crate::complete;
use crate::exit::Exit;
use anyhow::Result;
use clap_complete::Shell;
use std::io::{self, Write as _};

/// Prints the script.
pub(crate) fn run(shell: Shell) -> Result<Exit> {
    io::stdout().write_all(&complete::script(&shell.to_string())?)?;
    Ok(Exit::Clean)
}
