//! The command line: its commands and options, and no more, so that everything else may use it.

mod alert;
mod attestation;
mod db;
mod exception;
mod fail_on;
mod image;
mod output;
mod policy;
mod shared;
mod workload;

pub(crate) use self::alert::{AlertArgs, AlertCommand, AlertTestArgs};
pub(crate) use self::attestation::{AttestArgs, VerifyArgs};
pub(crate) use self::db::{DbArgs, DbCommand, KeylessArgs, PushArgs, RenewArgs, UpdateArgs};
pub(crate) use self::exception::{ExceptionArgs, ExceptionCommand, RequestArgs};
pub(crate) use self::fail_on::{FailCriterion, FailRule};
pub(crate) use self::image::{ConvertArgs, DiffArgs, ExplainArgs, FixArgs, ImageArgs, SbomArgs};
pub(crate) use self::output::{OutputArgs, OutputTarget, ReportOutputFormat};
pub(crate) use self::policy::{EnableArgs, PolicyArgs, PolicyCommand, PolicyTestArgs, PreflightArgs};
pub(crate) use self::shared::{ClusterArgs, JudgeArgs, LocalArgs, OutputFormat, OwnRegistryArgs, RegistryArgs};
pub(crate) use self::workload::{
    ApproveArgs, DeploymentArgs, ReportArgs, RevokeArgs, RollbackArgs, StatusArgs, WaitArgs,
};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Scan container images for known vulnerabilities.
#[derive(Debug, Parser)]
#[command(name = "kubectl-scan", bin_name = "kubectl scan", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 clean by policy, 1 policy violated, 2 usage, 3 the scan failed or is incomplete."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: CliCommand,
    /// Print errors alone besides the result: no progress, no warnings
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// Variants with a struct have its documentation: one here would hide the longer one from `--help`.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    Image(ImageArgs),
    Deployment(DeploymentArgs),
    Status(StatusArgs),
    Wait(WaitArgs),
    Approve(ApproveArgs),
    Revoke(RevokeArgs),
    Policy(PolicyArgs),
    Alert(AlertArgs),
    Exception(ExceptionArgs),
    Rollback(RollbackArgs),
    Report(ReportArgs),
    Convert(ConvertArgs),
    Sbom(SbomArgs),
    Attest(Box<AttestArgs>),
    Verify(VerifyArgs),
    Explain(ExplainArgs),
    Diff(DiffArgs),
    Fix(FixArgs),
    Db(DbArgs),
    /// Show or empty the cache of local scans
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Print a completion script for a shell
    Completion {
        /// The shell to complete for
        shell: Shell,
    },
    /// Write the manual pages, one for each command
    Man {
        /// An existing folder, or one to create; where `man` looks: ~/.local/share/man/man1
        folder: PathBuf,
    },
    Version(VersionArgs),
}

impl CliCommand {
    /// Whether its exit code tells more than that it came to its end: a verdict, or whether a namespace is enforced.
    pub(crate) fn has_verdict(&self) -> bool {
        match self {
            CliCommand::Image(_)
            | CliCommand::Deployment(_)
            | CliCommand::Wait(_)
            | CliCommand::Convert(_)
            | CliCommand::Sbom(_)
            | CliCommand::Verify(_)
            | CliCommand::Diff(_)
            | CliCommand::Fix(_) => true,
            CliCommand::Alert(args) => matches!(args.command, AlertCommand::Test(_)),
            CliCommand::Policy(args) => !matches!(args.command, PolicyCommand::List { .. }),
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show where the cache is and how large it is
    Status,
    /// Remove everything from the cache
    Clear,
}

/// Show the versions of this program, its formats and its database
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Vulnerability database file
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}
