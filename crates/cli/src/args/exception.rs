//! Commands about exceptions in a cluster.

use super::shared::ClusterArgs;
use clap::{Args, Subcommand};
use jiff::civil::Date;

/// Accept findings in a namespace, for a reason and a time.
///
/// One person requests an exception, another one approves it. Its findings stay in reports, and do not count. It ends by
/// itself; `kubectl delete scanexception NAME` ends it earlier.
#[derive(Debug, Args)]
pub(crate) struct ExceptionArgs {
    #[command(subcommand)]
    pub(crate) command: ExceptionCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExceptionCommand {
    /// Request an exception
    Request(RequestArgs),
    /// Approve the exception that another person requested
    Approve {
        /// Name of the exception
        name: String,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// List the exceptions of a namespace
    List {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
}

/// What is to be accepted.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  kubectl scan exception request openssl-hw --vulnerability CVE-2025-1234 --package openssl \\
    --reason 'the module is not loaded, SEC-411' --until 2026-12-31")]
pub(crate) struct RequestArgs {
    /// Name of the exception
    pub(crate) name: String,
    /// Vulnerability, by any of its names; `*` stands for any characters; repeatable
    #[arg(long = "vulnerability", value_name = "ID", required = true)]
    pub(crate) vulnerabilities: Vec<String>,
    /// Package, by name or purl; default: every package; repeatable
    #[arg(long = "package", value_name = "PACKAGE")]
    pub(crate) packages: Vec<String>,
    /// Image, by reference with wildcards or by digest; default: every image of the namespace; repeatable
    #[arg(long = "image", value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Reason, shown with every finding
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// First day (UTC) on which it no longer applies, as `2026-12-31`
    #[arg(long, value_name = "DATE")]
    pub(crate) until: Date,
    /// End it for a finding as soon as a version without it exists
    #[arg(long)]
    pub(crate) until_fixed: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}
