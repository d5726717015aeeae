//! Commands about workloads in a cluster.

use super::output::OutputArgs;
use super::shared::ClusterArgs;
use clap::Args;
use jiff::SignedDuration;

/// Rescan the images of a Deployment, in the cluster.
///
/// Tags are resolved again: a tag may name another digest by now.
#[derive(Debug, Args)]
pub(crate) struct DeploymentArgs {
    /// Name of the Deployment
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Show the decisions about workloads, and their reasons.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Workload, as `KIND/NAME` (`deployment/NAME`, `pod/NAME`, ...); default: all of the namespace
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: Option<String>,
    /// Show the workloads of all namespaces
    #[arg(short = 'A', long, conflicts_with = "workload")]
    pub(crate) all_namespaces: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Approve the images of a workload.
///
/// Images that policy blocks cannot be approved, but in an emergency with --break-glass: they run then whatever policy says
/// of them, and everybody is told.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl scan approve deployment/app --reason 'tested in staging'
  kubectl scan approve deployment/app --break-glass --for 2h --reason 'INC-42: the fix has a finding, too'")]
pub(crate) struct ApproveArgs {
    /// Workload, as `KIND/NAME`: `deployment/NAME`, `pod/NAME`, ...
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: String,
    /// Reason, recorded for audit
    #[arg(long, default_value = "", value_name = "TEXT", required_if_eq("break_glass", "true"))]
    pub(crate) reason: String,
    /// Override policy: needs a reason, and the verb `override` on rolloutapprovals (ClusterRole tidewaiter-break-glass)
    #[arg(long)]
    pub(crate) break_glass: bool,
    /// Time after which the approval ends, as in 30m or 2h; what runs goes on then, and a rollout of another image is held
    /// [default with --break-glass: 1h, and a day at most]
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<SignedDuration>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Withdraw the approvals of a workload.
///
/// What runs goes on, restarts and scales; a rollout of another image is held until somebody approves.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Workload, as `KIND/NAME`: `deployment/NAME`, `pod/NAME`, ...
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Wait for the decision about a workload, and show it.
///
/// While policy waits for a person's approval, there is no decision.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 its images may run, 1 policy blocks them, 3 no decision in time.\n
Examples:
  kubectl apply -f app.yaml && kubectl scan wait deployment/app && kubectl rollout status deployment/app
  kubectl scan wait daemonset/agent --image registry.example/agent:v2 && kubectl apply -f agent.yaml")]
pub(crate) struct WaitArgs {
    /// Workload, as `KIND/NAME`: `deployment/NAME`, `pod/NAME`, ...
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: String,
    /// Image that the decision must be about, as the manifest names it; for an update that was refused; may be repeated
    #[arg(long = "image", value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Longest time to wait, as `90s` or `10m`
    #[arg(long, default_value = "10m", value_name = "DURATION")]
    pub(crate) timeout: SignedDuration,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Roll a Deployment back to an earlier template, also while it is held.
///
/// `kubectl rollout undo` refuses a held Deployment, because it is paused. Without `--to-revision`, the newest template that
/// ran before the current one is taken. If it is approved, the hold ends with this request.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// Workload: `deployment/NAME`, or its NAME
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: String,
    /// Revision, as `kubectl rollout history` numbers it
    #[arg(long, value_name = "NUMBER")]
    pub(crate) to_revision: Option<i64>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Print the stored reports of a workload or an image, from the cluster.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Workload (`KIND/NAME`), or an image as workloads name it
    #[arg(value_name = "WORKLOAD|IMAGE")]
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}
