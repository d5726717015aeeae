//! `kubectl-scan`: image security scanning, with or without a cluster.
//!
//! ```text
//! args → image, diff, fix, explain (local), db → engine and database → report → render → stdout, exit code
//! args → image (in the cluster), deployment, status, approve, report → cluster → custom resources, server → render
//! ```
//!
//! This is the only crate that prints. It must never depend on the server.
//! Exit codes: 0 clean by policy, 1 policy violated, 2 usage, 3 the scan failed or is incomplete (1 wins).

mod approve;
mod args;
mod cache;
mod cluster;
mod db;
mod deployment;
mod diff;
mod exit;
mod explain;
mod fix;
mod follow;
mod image;
mod local;
mod progress;
mod render;
mod report;
mod status;
mod workload;

use args::{Args, Command};
use clap::Parser;
use exit::Exit;

fn main() -> std::process::ExitCode {
    // One TLS provider for the process; libraries bring none.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match Args::parse().command {
        Command::Image(args) => image::run(&args),
        Command::Deployment(args) => deployment::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Approve(args) => approve::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Fix(args) => fix::run(&args),
        Command::Db(args) => db::run(&args.command),
        Command::Cache { command } => cache::run(&command),
        Command::Completion { shell } => render::completion(shell),
    };
    outcome.unwrap_or_else(|error| exit::report(&error)).into()
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}
