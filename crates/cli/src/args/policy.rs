//! Commands about the policies of a cluster.

use super::shared::{ClusterArgs, LocalArgs, OutputFormat};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Enforce policies namespace by namespace, and try new ones.
///
/// Who may patch ClusterScanPolicies may enable and disable: administrators of the cluster.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Enforce the policy of a namespace, after listing what it would hold
    ///
    /// The list is of what the cluster knows: workloads with an image that violates the policy, has no scan yet, or whose
    /// report is incomplete. Nothing that runs is stopped: what is listed is held at its next rollout. The policy that applies
    /// to the namespace gets it in `enforcedNamespaces`; with `--all` the policy that chooses no namespace gets mode Enforce.
    Enable(EnableArgs),
    /// Take back `enable`: what is held there is released
    ///
    /// A namespace that is enforced by more than `enable` stays so: by a policy with mode Enforce, or a ScanPolicy of its own.
    #[command(after_help = "\
Exit codes: 0 not enforced any more, 2 usage, or it stays enforced, 3 the server has not applied the change, or it failed.")]
    Disable {
        /// Namespaces; default: the one of `--namespace`
        #[arg(value_name = "NAMESPACE")]
        namespaces: Vec<String>,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Show what a policy would change, without changing anything
    ///
    /// Judges reports, images or the cluster by the present policy and by the new one, and lists what the new one would block
    /// or allow. TARGET is a report as `kubectl scan image -o json` prints it (`FILE.json`), a folder of such files, or an image
    /// as for `kubectl scan image`, which is scanned on this machine. Without a target the stored reports of every workload of
    /// the cluster are judged, or those of `--namespace`: as if FILE were applied there. A ScanPolicy without a namespace goes to
    /// that of `--namespace`, else to that of the context.
    Test(Box<PolicyTestArgs>),
    /// List what would wait or be refused while the server is away
    ///
    /// Looks at what the API server would do to new Pods of every workload, as a restart, a drain or a scale-up makes them: without
    /// the server it lets start what it knows as approved. And it lists namespaces of infrastructure that are enforced: what
    /// a node needs to start (network, volumes, names, certificates) should not wait for the server. Changes nothing.
    Preflight(PreflightArgs),
    /// List the policies of the cluster, and where each is enforced; those of namespaces as NAMESPACE/NAME
    List {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
}

/// What is to be enforced.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 enforced, or nothing was to be changed, 2 usage, 3 the server has not applied the change, or it failed.

Examples:
  kubectl scan policy enable team-a --dry-run
  kubectl scan policy enable team-a team-b --yes")]
pub(crate) struct EnableArgs {
    /// Namespaces; default: the one of `--namespace`
    #[arg(value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// All namespaces that no policy chooses
    #[arg(long, conflicts_with = "namespaces")]
    pub(crate) all: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// List what would be held, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// What is looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 nothing would be refused or wait, 1 something would, or infrastructure is enforced, 2 usage, 3 it failed.

Examples:
  kubectl scan policy preflight           # the enforced namespaces, as they are
  kubectl scan policy preflight team-a    # as if team-a were enforced")]
pub(crate) struct PreflightArgs {
    /// Namespaces, as if they were enforced; default: those that are
    #[arg(value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// What is judged, and by what.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 nothing would be newly blocked, 1 something would, 2 usage, 3 something could not be judged (1 wins).

Examples:
  kubectl scan policy test strict.yaml
  kubectl scan policy test strict.yaml reports/ registry.example/myapp:v1 --policy present.yaml")]
pub(crate) struct PolicyTestArgs {
    /// File of ClusterScanPolicy and ScanPolicy objects
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Reports, folders of reports, or images; default: the workloads of the cluster
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}
