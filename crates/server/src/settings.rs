//! What the server's command line says.

use crate::trusted_scans::TrustedScanner;
use clap::ValueEnum;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use tidewaiter_scan::source::registry::hosts::RegistryHosts;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Settings that hold for the life of the process.
#[derive(Debug, Clone)]
pub(crate) struct ServerSettings {
    /// Excluded namespaces; without those that stay enforced once `install::exclusions` has settled them.
    pub(crate) excluded: Vec<String>,
    /// What is on the list of excluded namespaces and stays enforced, as `install::exclusions` has settled it.
    pub(crate) kept_enforced: Vec<String>,
    /// Whether namespaces are excluded that were enforced.
    pub(crate) exclude_enforced: bool,
    /// Whether the database comes from other servers.
    pub(crate) database_from_peers: bool,
    /// The name of this process among all servers of the cluster: that of its Pod.
    pub(crate) identity: String,
    /// How registries are reached.
    pub(crate) registries: RegistrySettings,
    /// Memory limit of one scan, in bytes.
    pub(crate) scan_memory: u64,
    /// Socket of the scanner; none: workers are children of this process.
    pub(crate) scanner: Option<PathBuf>,
    /// Maximum concurrent scans.
    pub(crate) scans: u16,
    /// In which APIs a report of each workload is written.
    pub(crate) policy_reports: PolicyReportsSetting,
    /// Whose signed scans are taken in place of reading an image.
    pub(crate) trusted_scans: Vec<TrustedScanner>,
    /// Folder with certificates of somebody else that are shown in place of the server's own.
    pub(crate) certificate_folder: Option<PathBuf>,
    /// How long the webhooks' certificates live.
    pub(crate) lifetimes: CertificateLifetimes,
    /// URL at which the API server reaches the webhooks; none: through the Service.
    pub(crate) webhook_url: Option<String>,
    /// The program of the worker processes: this one.
    pub(crate) program: PathBuf,
}

/// Where a scan's worker is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkerHost {
    /// By the scanner that listens at this Unix socket.
    Scanner(PathBuf),
    /// By this process, as a child that runs this program.
    Here(PathBuf),
}

impl ServerSettings {
    /// Where the workers of scans are started.
    pub(crate) fn worker_host(&self) -> WorkerHost {
        match &self.scanner {
            Some(socket) => WorkerHost::Scanner(socket.clone()),
            None => WorkerHost::Here(self.program.clone()),
        }
    }
}

/// In which APIs a report of each workload is written, for tools that show such reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyReportsSetting {
    // Not `off`, which YAML reads as `false`.
    /// In none
    #[default]
    #[value(name = "none")]
    Off,
    /// `reports.openreports.io`, v1alpha1
    Openreports,
    /// `policyreports.wgpolicyk8s.io`, v1alpha2
    Wgpolicyk8s,
    /// Both
    Both,
}

/// How long the webhooks' certificates live; each is renewed after two thirds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateLifetimes {
    /// Of an authority.
    pub(crate) authority: Duration,
    /// Of the certificate that a process shows.
    pub(crate) leaf: Duration,
}

impl Default for CertificateLifetimes {
    /// A year for an authority: its key is in a Secret, which backups and people may have read. Renewed after eight months, a
    /// rotation that something stops has four to be noticed. A week for a process's certificate: its key never leaves the process's
    /// memory, and a renewal needs nobody; long enough for a process that slept through a weekend.
    fn default() -> Self {
        CertificateLifetimes { authority: 365 * DAY, leaf: 7 * DAY }
    }
}

/// How registries are reached. A scan's own process receives them in its job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RegistrySettings {
    /// Networks that are allowed in addition to public addresses.
    pub(crate) allowed_networks: Vec<IpNet>,
    /// Hosts that are reached over plain HTTP.
    pub(crate) plain_http: Vec<String>,
    /// Hosts of token services that get logins of registries of other domains.
    pub(crate) token_services: Vec<String>,
    /// PEM of a private authority.
    pub(crate) ca_pem: Option<String>,
    /// Folder of mirrors, which a job has read already.
    #[serde(skip)]
    pub(crate) config_dir: Option<PathBuf>,
    /// The mirrors of a job's registry.
    pub(crate) hosts: RegistryHosts,
}
