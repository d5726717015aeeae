//! `kubectl scan completion`: a script that completes the command line in a shell.

use crate::args::Cli;
use crate::exit::Exit;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::{self, Write};

/// Prints a completion script.
pub(crate) fn run(shell: Shell) -> Result<Exit> {
    // In memory first: the generator panics when its writer fails, and a closed pipe must not panic.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubectl-scan", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Clean)
}
