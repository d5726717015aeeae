//! Options that several commands have.

use super::fail_on::FailCriterion;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tidewaiter_core::image::Platform;
use tidewaiter_core::severity::Severity;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Text for people
    Table,
    /// JSON for programs
    Json,
}

/// Which cluster, which namespace, which server.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClusterArgs {
    /// Namespace; default: the context's
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig; default: the current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Kubeconfig file; default: `$KUBECONFIG`, else `~/.kube/config`
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl ClusterArgs {
    /// Whether a cluster was named: then a local scan must not replace the one in the cluster.
    pub(crate) fn is_given(&self) -> bool {
        // Exhaustive: a new option must be considered here.
        let Self { namespace, context, kubeconfig } = self;
        namespace.is_some() || context.is_some() || kubeconfig.is_some()
    }
}

/// By what a report is judged on this machine.
#[derive(Debug, Clone, Args)]
pub(crate) struct JudgeArgs {
    /// What violates the policy, in place of `critical`: a severity (that or worse), `unknown` (not rated), `kev`, `epss>=0.5`,
    /// `cvss>=7`, `fixable`, `new` (see --baseline); `high+fixable`: both of one finding. Repeatable, or separated by commas: any
    /// violates it. With --policy they are added to the file's
    #[arg(long, value_name = "CRITERION", value_delimiter = ',')]
    pub(crate) fail_on: Vec<FailCriterion>,
    /// Earlier report of the same image, as of `-o json`: a finding that it has is not `new`
    #[arg(long, value_name = "REPORT")]
    pub(crate) baseline: Option<PathBuf>,
    /// Lowest severity that violates the policy, as --fail-on SEVERITY; default: critical
    #[arg(long, value_name = "SEVERITY", conflicts_with_all = ["policy", "fail_on"])]
    pub(crate) block_at: Option<Severity>,
    /// File of ClusterScanPolicy and ScanPolicy objects to judge the image by; of several the strictest, whatever their namespaces and mode
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Maximum age of the database in days, above which the report is incomplete (default: 5); 0: no maximum
    #[arg(long, value_name = "DAYS", conflicts_with = "policy")]
    pub(crate) max_database_age: Option<u32>,
}

/// Options of local scans on this machine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Local scans")]
pub(crate) struct LocalArgs {
    /// Platform to choose from an index, as `os/arch[/variant]`; default: this machine's
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    /// File of exceptions: OpenVEX, CSAF or CycloneDX VEX, .trivyignore[.yaml], .grype.yaml, osv-scanner.toml,
    /// tidewaiter-exceptions.toml; or the directory of a VEX repository; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) exceptions: Vec<PathBuf>,
    /// Base image, whose layers are marked; default: derived from the image's history
    #[arg(long, value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// Read every layer, even if the cache has its packages
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Vulnerability database file
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// How a registry is reached, or a mirror in its place.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RegistryArgs {
    #[command(flatten)]
    pub(crate) own: OwnRegistryArgs,
    /// Folder of mirrors to read from, in containerd's form (HOST/hosts.toml), such as /etc/containerd/certs.d; default: none
    #[arg(long, value_name = "DIR")]
    pub(crate) registry_config_dir: Option<PathBuf>,
}

/// How a registry itself is reached: nothing is written to mirrors.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OwnRegistryArgs {
    /// Use plain HTTP for the registry; registries on loopback need no flag
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// PEM file of authorities to trust, in addition to the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Registry credentials file; default: Docker's `config.json`, then Podman's `auth.json`
    #[arg(long, value_name = "FILE")]
    pub(crate) docker_config: Option<PathBuf>,
}

impl LocalArgs {
    /// Whether an option was given that only a local scan uses.
    pub(crate) fn is_given(&self) -> bool {
        // Exhaustive: a new option must be considered here. The database does not count: it may come from the environment.
        let Self {
            platform,
            judge: JudgeArgs { fail_on, baseline, block_at, policy, max_database_age },
            exceptions,
            base,
            no_cache,
            db: _,
            registry: RegistryArgs { own: OwnRegistryArgs { plain_http, ca_file, docker_config }, registry_config_dir },
        } = self;
        platform.is_some()
            || !fail_on.is_empty()
            || baseline.is_some()
            || block_at.is_some()
            || policy.is_some()
            || !exceptions.is_empty()
            || base.is_some()
            || *no_cache
            || max_database_age.is_some()
            || *plain_http
            || ca_file.is_some()
            || docker_config.is_some()
            || registry_config_dir.is_some()
    }
}
