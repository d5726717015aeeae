//! `kubectl-scan`: image security scanning, with or without a cluster.
//!
//! ```text
//! args → image, diff, fix, explain (local), db → engine and database → report → output, render → files, stdout, exit code
//! args → sbom → engine → output; args → convert → output
//! args → attest → engine → attestation → registry; args → verify → registry → attestation → exit code
//! args → image (in the cluster), deployment, status, wait, approve, policy, alert, rollback, report → cluster → custom resources, server → render
//! ```
//!
//! This is the only crate that prints. It must never depend on the server.
//! Exit codes: 0 clean by policy, 1 policy violated, 2 usage, 3 the scan failed or is incomplete (1 wins).

mod alert;
mod approve;
mod args;
mod attest;
mod batch;
mod built_in;
mod cache;
mod cluster;
mod complete;
mod completion;
mod convert;
mod cron_run;
mod db;
mod defect;
mod deployment;
mod diff;
mod dirs;
mod engines;
mod exceptions;
mod exit;
mod explain;
mod fix;
mod follow;
mod image;
mod judge;
mod keys;
mod kubeconfig;
mod local;
mod login;
mod man;
#[cfg(not(feature = "templates"))]
mod no_template;
mod output;
mod policy;
mod policy_file;
mod progress;
mod render;
mod report;
mod report_file;
mod revoke;
mod rollback;
mod sbom;
mod source;
mod status;
mod stdout;
#[cfg(feature = "templates")]
mod template;
mod terminal;
mod verify;
mod version;
mod wait;
mod workload;

use args::{Cli, CliCommand};
use clap::Parser;
use exit::Exit;

fn main() -> std::process::ExitCode {
    defect::report_panics();
    // Here and not in that library: only this crate is compiled with the flag of a static program.
    if cfg!(target_feature = "crt-static") {
        tidewaiter_http::names::resolve_by_files_and_dns();
    }
    // One TLS provider for the process; libraries bring none.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match complete::answered() {
        Ok(false) => {}
        Ok(true) => return Exit::Clean.into(),
        Err(error) => return exit::report(&error).into(),
    }
    let cli = Cli::parse();
    if cli.quiet {
        terminal::be_quiet();
    }
    let has_verdict = cli.command.has_verdict();
    let outcome = match cli.command {
        CliCommand::Image(args) => image::run(&args),
        CliCommand::Deployment(args) => deployment::run(&args),
        CliCommand::Status(args) => status::run(&args),
        CliCommand::Wait(args) => wait::run(&args),
        CliCommand::Approve(args) => approve::run(&args),
        CliCommand::Revoke(args) => revoke::run(&args),
        CliCommand::Policy(args) => policy::run(&args),
        CliCommand::Alert(args) => alert::run(&args),
        CliCommand::Exception(args) => exceptions::run(&args),
        CliCommand::Rollback(args) => rollback::run(&args),
        CliCommand::Report(args) => report::run(&args),
        CliCommand::Convert(args) => convert::run(&args),
        CliCommand::Sbom(args) => sbom::run(&args),
        CliCommand::Attest(args) => attest::run(&args),
        CliCommand::Verify(args) => verify::run(&args),
        CliCommand::Explain(args) => explain::run(&args),
        CliCommand::Diff(args) => diff::run(&args),
        CliCommand::Fix(args) => fix::run(&args),
        CliCommand::Db(args) => db::run(&args.command),
        CliCommand::Cache { command } => cache::run(&command),
        CliCommand::Completion { shell } => completion::run(shell),
        CliCommand::Man { folder } => man::run(&folder),
        CliCommand::Version(args) => version::run(&args),
    };
    let report = if has_verdict { exit::report } else { exit::report_unless_reader_left };
    outcome.unwrap_or_else(|error| report(&error)).into()
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}
