//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use tidewaiter_core::image::Platform;
use tidewaiter_core::severity::Severity;

/// Scan container images for known vulnerabilities.
#[derive(Debug, Parser)]
#[command(name = "kubectl-scan", bin_name = "kubectl scan", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 clean by policy, 1 policy violated, 2 usage, 3 the scan failed or is incomplete."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Scan one image
    Image(ImageArgs),
    /// Build and inspect the vulnerability database
    Db(DbArgs),
    /// Print a completion script for a shell
    Completion {
        /// The shell to complete for
        shell: Shell,
    },
}

/// Scan one image.
///
/// IMAGE is a reference (`nginx:1.27`, `registry:host/name:tag`), an OCI layout (`oci:DIR`)
/// or a `docker save` archive (`docker-archive:FILE`).
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  kubectl scan image registry.example/myapp:v1
  kubectl scan image oci:./layout --output json
  kubectl scan image docker-archive:myapp.tar --block-at high")]
pub(crate) struct ImageArgs {
    /// Image to scan
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Platform to choose from an index, as os/arch[/variant]; default: this machine's
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Severity from which findings violate the policy
    #[arg(long, default_value = "critical", value_name = "SEVERITY")]
    pub(crate) block_at: Severity,
    /// Vulnerability database file
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// Speak plain HTTP to the image's registry (loopback registries need no flag)
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Trust the certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Read credentials from this file instead of Docker's config.json
    #[arg(long, value_name = "FILE")]
    pub(crate) docker_config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table for people
    Table,
    /// The report as versioned JSON
    Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) command: DbCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Build a database from the feeds named in a feeds.toml
    Build {
        /// Feeds to read; default: the upstream addresses
        #[arg(long, value_name = "FILE")]
        feeds: Option<PathBuf>,
        /// File to write
        #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
        db: Option<PathBuf>,
    },
    /// Show age, feeds and coverage of a database
    Status {
        /// File to read
        #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
        db: Option<PathBuf>,
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}
