//! Commands about the policies of a cluster.

use super::shared::ClusterArgs;
use clap::{Args, Subcommand};

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
    /// to the namespace gets it in `enforcedNamespaces`; with `--all` the policy that names no namespace gets mode Enforce.
    Enable(EnableArgs),
    /// Take back `enable`: what is held there is released
    Disable {
        /// Namespaces; default: the one of `--namespace`
        #[arg(value_name = "NAMESPACE")]
        namespaces: Vec<String>,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// List the policies of the cluster, and where each is enforced
    List {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
}

/// What is to be enforced.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl scan policy enable team-a --dry-run
  kubectl scan policy enable team-a team-b --yes")]
pub(crate) struct EnableArgs {
    /// Namespaces; default: the one of `--namespace`
    #[arg(value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// All namespaces that no policy names
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
