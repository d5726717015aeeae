//! Commands about alerts.

use super::shared::{ClusterArgs, OutputFormat};
use clap::{Args, Subcommand};

/// Show the receivers of alerts, and try them.
#[derive(Debug, Args)]
pub(crate) struct AlertArgs {
    #[command(subcommand)]
    pub(crate) command: AlertCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// List the receivers of all policies, and whether alerts reach them
    List {
        /// Output format
        #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
        output: OutputFormat,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Have the server send a test message to receivers, and say what became of it
    ///
    /// It says that it is a test; PagerDuty and Opsgenie get an incident of the lowest severity that is resolved at once. Who may
    /// patch ClusterScanPolicies may ask. A message that is delivered clears what the receiver's status counts as undelivered.
    Test(AlertTestArgs),
}

/// Which receivers are tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 every receiver took the message, 2 usage, 3 one did not, or the server did not try it.

Examples:
  kubectl scan alert test
  kubectl scan alert test default --receiver on-call")]
pub(crate) struct AlertTestArgs {
    /// ClusterScanPolicy; default: all that have receivers
    #[arg(value_name = "POLICY")]
    pub(crate) policy: Option<String>,
    /// Name of one receiver
    #[arg(long, value_name = "NAME")]
    pub(crate) receiver: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}
