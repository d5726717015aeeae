//! The command line.

use crate::cluster::ClusterArgs;
use crate::local::LocalArgs;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

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
    /// Scan the images of a Deployment again, in the cluster
    Deployment(DeploymentArgs),
    /// Show what is decided about workloads, and why
    Status(StatusArgs),
    /// Approve the images of a workload that policy allows
    Approve(ApproveArgs),
    /// Print the reports of a workload or an image, from the cluster
    Report(ReportArgs),
    /// Show why a vulnerability is, or is not, reported for an image
    Explain(ExplainArgs),
    /// Compare two images
    Diff(DiffArgs),
    /// Show the smallest upgrades that clear the policy
    Fix(FixArgs),
    /// Build and inspect the vulnerability database
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
}

/// Scan one image: in the cluster where the current context has tidewaiter, else on this machine.
///
/// A scan in the cluster uses its credentials, database and policy; a local one changes nothing there.
/// IMAGE is a reference (`nginx:1.27`, `registry:host/name:tag`), an OCI layout (`oci:DIR`, `oci-archive:FILE`),
/// a `docker save` archive (`docker-archive:FILE`), a root file system (`dir:DIR`) or an image of containerd
/// (`containerd:REFERENCE`; data in $CONTAINERD_ROOT, default /var/lib/containerd).
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
    /// Scan on this machine
    #[arg(long = "local", conflicts_with = "in_cluster")]
    pub(crate) local_only: bool,
    /// Scan in the cluster
    #[arg(long, conflicts_with_all = ["platform", "block_at", "exceptions", "base", "no_cache", "plain_http", "ca_file", "docker_config"])]
    pub(crate) in_cluster: bool,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Secret of the namespace to pull with; may be given again (in the cluster)
    #[arg(long = "pull-secret", value_name = "NAME")]
    pub(crate) pull_secrets: Vec<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Show why a vulnerability is, or is not, reported: every record that was compared, and the answer. The image is
/// scanned on this machine.
#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainArgs {
    /// The vulnerability, by any of its names: CVE-2024-1234, GHSA-...
    pub(crate) vulnerability: String,
    /// The image, named as for `image`
    pub(crate) image: String,
    /// One package only
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Compare two images: packages and findings that came, went or changed. Both are scanned on this machine.
#[derive(Debug, ClapArgs)]
#[command(after_help = "The exit code is the new image's.")]
pub(crate) struct DiffArgs {
    /// The image before, named as for `image`
    pub(crate) old: String,
    /// The image after
    pub(crate) new: String,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Show the smallest upgrades after which the policy is met, by layer. The image is scanned on this machine.
#[derive(Debug, ClapArgs)]
pub(crate) struct FixArgs {
    /// The image, named as for `image`
    pub(crate) image: String,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Scan the images of a Deployment again: a tag that was pushed anew is resolved anew.
#[derive(Debug, ClapArgs)]
pub(crate) struct DeploymentArgs {
    /// Name of the Deployment
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Show what is decided about workloads, and why.
#[derive(Debug, ClapArgs)]
pub(crate) struct StatusArgs {
    /// One workload, as KIND/NAME (deployment/NAME, pod/NAME, ...); default: all of the namespace
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: Option<String>,
    /// Workloads of all namespaces
    #[arg(short = 'A', long, conflicts_with = "workload")]
    pub(crate) all_namespaces: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Approve the images of a workload. What policy blocks cannot be approved.
#[derive(Debug, ClapArgs)]
pub(crate) struct ApproveArgs {
    /// The workload, as KIND/NAME: deployment/NAME, pod/NAME, ...
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: String,
    /// Why, for those who ask later
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Print the full reports that the server keeps.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    /// A workload (KIND/NAME) or an image as workloads name it
    #[arg(value_name = "WORKLOAD|IMAGE")]
    pub(crate) subject: String,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table for people
    Table,
    /// The report as versioned JSON
    Json,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show where it is and how much it holds
    Status,
    /// Remove everything in it
    Clear,
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
        /// Folder for what is downloaded; default: $XDG_CACHE_HOME/tidewaiter/feeds, else ~/.cache/tidewaiter/feeds
        #[arg(long, env = "TIDEWAITER_DOWNLOADS", value_name = "DIR")]
        downloads: Option<PathBuf>,
        /// When the build fails, say so and succeed: a database that is there stays
        #[arg(long)]
        keep_going: bool,
    },
    /// Write the database to a file that can be carried to another machine
    Export {
        /// File to write
        file: PathBuf,
        /// Database to read
        #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
        db: Option<PathBuf>,
    },
    /// Take a database from a file that was exported; it is verified first
    Import {
        /// File to read
        file: PathBuf,
        /// Database to replace
        #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
        db: Option<PathBuf>,
        /// Take it although it is older than the one that is there
        #[arg(long)]
        allow_older: bool,
    },
    /// Compare two database files: advisories that came, went or changed, and the packages they concern
    ///
    /// An advisory has changed when a row or its text did, or what is known of its CVEs (ratings, exploitation). When and
    /// in which order the files were built makes no difference.
    Diff {
        /// The database before
        old: PathBuf,
        /// The database after
        new: PathBuf,
        /// How to print the result
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
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
