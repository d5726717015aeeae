//! The options of `cargo xtask node`, and of its half that runs in the namespaces.

use std::path::PathBuf;

/// Options of a developer.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeArgs {
    /// Write the record of the run to docs/real-node.md
    #[arg(long)]
    pub(super) transcript: bool,
    /// Install the release programs, as a user does; default: the debug programs, which build faster
    #[arg(long)]
    pub(super) release: bool,
    /// Leave everything running after the last story, or after a failure, until Ctrl-C
    #[arg(long)]
    pub(super) keep: bool,
    /// Folder of built programs, instead of building them
    #[arg(long, value_name = "DIR", hide = true)]
    pub(super) programs: Option<PathBuf>,
}

/// Options that the first half passes to the second one.
#[derive(Debug, clap::Args)]
pub(crate) struct InsideArgs {
    #[command(flatten)]
    pub(super) args: NodeArgs,
    /// Folder for all files of the run
    #[arg(long)]
    pub(super) work: PathBuf,
    /// The node's control group
    #[arg(long)]
    pub(super) cgroup: String,
    /// Folder of `tidewaiter` and `kubectl-scan`
    #[arg(long)]
    pub(super) built: PathBuf,
    /// The control plane's binary, with a kubelet in it
    #[arg(long)]
    pub(super) controlplane: PathBuf,
}
