//! The command line of the adapter, and what it means.

use super::registry::HarborRegistry;
use crate::settings::{RegistrySettings, WorkerHost};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use tidewaiter_core::severity::Severity;
use tidewaiter_scan::source::registry::hosts::RegistryHosts;

#[derive(Debug, Args)]
pub(crate) struct HarborAdapterArgs {
    /// Harbor's registry as Harbor names it in its requests: https://harbor.example, or http://core:8080 with the internal address. Others
    /// are not scanned; repeatable
    #[arg(long = "registry", env = "TIDEWAITER_HARBOR_REGISTRY", value_name = "URL", value_delimiter = ',', required = true, value_parser = registry)]
    registries: Vec<HarborRegistry>,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub(super) listen: SocketAddr,
    /// File with the token that Harbor sends ("Bearer" or "APIKey"), at least 16 characters; read again when it changes
    #[arg(long, env = "TIDEWAITER_HARBOR_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Listen on other addresses than loopback without a token
    #[arg(long, conflicts_with = "token_file")]
    pub(super) allow_unauthenticated: bool,
    /// Folder with `tls.crt` and `tls.key`; read again when they change. Without it the adapter speaks plain HTTP
    #[arg(long, env = "TIDEWAITER_TLS_CERT_DIR", value_name = "DIR")]
    pub(super) tls_cert_dir: Option<PathBuf>,
    /// Vulnerability database file; what replaces it is used for the next scan
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE", default_value = "/var/lib/tidewaiter/db/tidewaiter.db")]
    pub(super) db: PathBuf,
    /// Folder for reports, and for what was read of images, on a local file system
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tidewaiter/store")]
    pub(super) store: PathBuf,
    /// Severity of the entry that says that a scan could not see everything; Harbor keeps artifacts from being pulled by severity alone
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t)]
    incomplete_severity: HarborSeverity,
    /// Private network that the storage or token service of the registry may be in, such as 10.0.0.0/8
    #[arg(long = "allow-registry-network", value_name = "CIDR")]
    allowed_networks: Vec<IpNet>,
    /// Host of a token service that gets the logins of registries that name it, though it is of another domain than they are
    #[arg(long = "allow-token-service", value_name = "HOST")]
    token_services: Vec<String>,
    /// PEM file of authorities that are trusted for the registry, in addition to the system's
    #[arg(long, value_name = "FILE")]
    registry_ca: Option<PathBuf>,
    /// Unix socket of `tidewaiter scanner`; without it, scans run in processes that the adapter starts itself
    #[arg(long, env = "TIDEWAITER_SCANNER", value_name = "PATH")]
    scanner: Option<PathBuf>,
    /// Memory limit of one scan, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    scan_memory: u64,
    /// Maximum concurrent scans
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    scans: u16,
    /// Maximum number of scans that wait; more are refused
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    waiting_scans: u16,
}

/// The severities of Harbor that a project can choose as its limit, and the one below all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum HarborSeverity {
    /// The artifact is kept from being pulled, whatever the project's limit is
    #[default]
    Critical,
    High,
    Medium,
    Low,
    /// It can be pulled, whatever the project's limit is
    Unknown,
}

impl From<HarborSeverity> for Severity {
    fn from(severity: HarborSeverity) -> Self {
        match severity {
            HarborSeverity::Critical => Severity::Critical,
            HarborSeverity::High => Severity::High,
            HarborSeverity::Medium => Severity::Medium,
            HarborSeverity::Low => Severity::Low,
            HarborSeverity::Unknown => Severity::Unknown,
        }
    }
}

/// What holds for the life of the adapter.
#[derive(Debug)]
pub(crate) struct AdapterSettings {
    pub(super) registries: Vec<HarborRegistry>,
    /// How they are reached, but for the hosts of a scan's own one.
    pub(super) reach: RegistrySettings,
    pub(super) incomplete: Severity,
    pub(super) workers: WorkerHost,
    /// Memory limit of one scan, in bytes.
    pub(super) scan_memory: u64,
    pub(super) scans: u16,
    pub(super) waiting_scans: u16,
}

fn registry(url: &str) -> Result<HarborRegistry, String> {
    url.trim().parse().map_err(str::to_owned)
}

impl HarborAdapterArgs {
    /// The settings that these arguments give.
    ///
    /// # Errors
    /// When a file that they name cannot be read, or the path of this program is unknown.
    pub(super) fn settings(&self) -> Result<AdapterSettings> {
        if self.registries.is_empty() {
            bail!("no registry is named; give --registry https://HARBOR");
        }
        let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| path.display().to_string());
        let reach = RegistrySettings {
            allowed_networks: self.allowed_networks.clone(),
            plain_http: Vec::new(),
            ca_pem: self.registry_ca.as_ref().map(read).transpose()?,
            token_services: self.token_services.clone(),
            config_dir: None,
            hosts: RegistryHosts::default(),
        };
        let workers = match &self.scanner {
            Some(socket) => WorkerHost::Scanner(socket.clone()),
            None => WorkerHost::Here(std::env::current_exe().context("the path of this program")?),
        };
        Ok(AdapterSettings {
            registries: self.registries.clone(),
            reach,
            incomplete: self.incomplete_severity.into(),
            workers,
            scan_memory: self.scan_memory << 20,
            scans: self.scans,
            waiting_scans: self.waiting_scans,
        })
    }
}
