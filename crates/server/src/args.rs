//! The command line.

use crate::harbor::args::HarborAdapterArgs;
use crate::scan::credential_providers::CredentialProviders;
use crate::scan::layer_cache::LayerCacheSettings;
use crate::scan::scanner::ScannerSettings;
use crate::settings::{CertificateLifetimes, PolicyReportsSetting, RegistrySettings, ServerSettings};
use crate::trusted_scans::TrustedScanner;
use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tidewaiter_crd::names::NAMESPACE;
use tidewaiter_scan::source::registry::hosts::RegistryHosts;

/// Holds workloads until their images are scanned and approved.
#[derive(Debug, Parser)]
#[command(name = "tidewaiter", version, max_term_width = 100)]
pub(crate) struct ServerArgs {
    #[command(subcommand)]
    pub(crate) command: ServerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Run the server: admission, controllers, API
    Serve(Box<ServeArgs>),
    /// Run the scanner: one process for each scan that the server asks for, apart from the server
    Scanner(ScannerArgs),
    /// Run a scanner for Harbor, which asks it (docs/harbor.md); it needs no cluster
    HarborAdapter(Box<HarborAdapterArgs>),
    /// Remove tidewaiter from the cluster of the current context; every workload continues to run
    Uninstall(UninstallArgs),
    /// Run one scan; the server starts it
    #[command(hide = true)]
    ScanWorker {
        /// Directory of the cache of layers
        #[arg(long, value_name = "DIR")]
        layer_cache: Option<PathBuf>,
    },
    /// Find what a new database changes; the server starts it
    #[command(hide = true)]
    RematchWorker,
}

#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Stop the server, remove what it made and release what it holds; leave the manifests' objects (definitions, roles, volume,
    /// namespace) to whoever applied them, as Helm does
    #[arg(long)]
    pub(crate) release_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScannerArgs {
    /// Unix socket to create, for the scanner's user and group
    #[arg(long, env = "TIDEWAITER_SCANNER", value_name = "PATH")]
    pub(crate) socket: PathBuf,
    /// User id of the server, the only one that may connect; default: the scanner's own
    #[arg(long, value_name = "UID")]
    pub(crate) server_user: Option<u32>,
    /// Maximum concurrent scans; as many as the server runs, or more
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) scans: u16,
    /// Folder for the layers of images, on a local file system, so that images of one base read it once; without it, every
    /// image is read as a whole
    #[arg(long, value_name = "DIR")]
    pub(crate) layer_cache: Option<PathBuf>,
    /// Size of the folder with the layers, in MiB; the least recently used ones are deleted
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub(crate) layer_cache_size: u64,
}

impl ScannerArgs {
    /// The settings that these arguments give.
    ///
    /// # Errors
    /// When the path of this program is unknown.
    pub(crate) fn settings(self) -> Result<ScannerSettings> {
        let program = std::env::current_exe().context("the path of this program")?;
        let limit = self.layer_cache_size << 20;
        let layer_cache = self.layer_cache.map(|dir| LayerCacheSettings { dir, limit });
        Ok(ScannerSettings { socket: self.socket, user: self.server_user, scans: self.scans, program, layer_cache })
    }
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Vulnerability database file; reopened when it is replaced
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE", default_value = "/var/lib/tidewaiter/db/tidewaiter.db")]
    pub(crate) db: PathBuf,
    /// Take the database of other servers, where they have a newer one: for a process next to which nothing builds it
    #[arg(long, env = "TIDEWAITER_DATABASE_FROM_PEERS")]
    pub(crate) database_from_peers: bool,
    /// Folder for reports and inventories, on a local file system
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tidewaiter/store")]
    pub(crate) store: PathBuf,
    /// Address of the API (reports, health)
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
    /// Address of the metrics
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    pub(crate) metrics_listen: SocketAddr,
    /// Address of the admission webhooks
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443")]
    pub(crate) webhook_listen: SocketAddr,
    /// URL at which the API server reaches the webhooks, when not through the Service: https://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub(crate) webhook_url: Option<String>,
    /// Folder with `tls.crt`, `tls.key` and `ca.crt` for the webhooks, as of a mounted Secret of cert-manager, in place of the server's
    /// own certificates; read again when they change
    #[arg(long, env = "TIDEWAITER_TLS_CERT_DIR", value_name = "DIR")]
    pub(crate) tls_cert_dir: Option<PathBuf>,
    /// How long an authority of the webhooks lives, in seconds; for tests
    #[arg(long, env = "TIDEWAITER_CA_LIFETIME", value_name = "SECONDS", hide = true, value_parser = clap::value_parser!(u64).range(60..))]
    pub(crate) ca_lifetime: Option<u64>,
    /// How long a certificate of the webhooks lives, in seconds; for tests
    #[arg(long, env = "TIDEWAITER_CERTIFICATE_LIFETIME", value_name = "SECONDS", hide = true, value_parser = clap::value_parser!(u64).range(12..))]
    pub(crate) certificate_lifetime: Option<u64>,
    /// Namespaces to exclude, in addition to the server's own, separated by commas; repeatable
    #[arg(
        long = "exclude-namespace",
        env = "TIDEWAITER_EXCLUDE_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAME",
        value_parser = namespace_name,
        default_values = ["kube-system", "kube-public", "kube-node-lease"]
    )]
    pub(crate) excluded: Vec<String>,
    /// Also exclude namespaces that were enforced; without it they stay enforced, whatever the list says
    #[arg(long = "exclude-enforced-namespaces", env = "TIDEWAITER_EXCLUDE_ENFORCED_NAMESPACES")]
    pub(crate) exclude_enforced: bool,
    /// Name of this process among all servers of the cluster, of which one leads: its Pod's; default: the host's name
    #[arg(long, env = "TIDEWAITER_IDENTITY", value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// Private network that registries may be in, such as 10.0.0.0/8
    #[arg(long = "allow-registry-network", value_name = "CIDR")]
    pub(crate) allowed_networks: Vec<IpNet>,
    /// Registry that is reached over plain HTTP, as host:port
    #[arg(long = "plain-http-registry", value_name = "HOST")]
    pub(crate) plain_http: Vec<String>,
    /// Folder of mirrors in containerd's form (HOST/hosts.toml), as nodes have it in /etc/containerd/certs.d; read for each scan
    #[arg(long, env = "TIDEWAITER_REGISTRY_CONFIG_DIR", value_name = "DIR")]
    pub(crate) registry_config_dir: Option<PathBuf>,
    /// Host of a token service that gets the logins of registries that name it, though it is of another domain than they are
    #[arg(long = "allow-token-service", value_name = "HOST")]
    pub(crate) token_services: Vec<String>,
    /// PEM file of authorities that are trusted for registries, in addition to the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_ca: Option<PathBuf>,
    /// CredentialProviderConfig of kubelet.config.k8s.io/v1, as kubelets have it, in one file: programs that give logins of registries
    #[arg(
        long,
        env = "TIDEWAITER_IMAGE_CREDENTIAL_PROVIDER_CONFIG",
        value_name = "FILE",
        requires = "provider_folder"
    )]
    pub(crate) image_credential_provider_config: Option<PathBuf>,
    /// Folder with the programs of that file
    #[arg(
        id = "provider_folder",
        long = "image-credential-provider-bin-dir",
        env = "TIDEWAITER_IMAGE_CREDENTIAL_PROVIDER_BIN_DIR",
        value_name = "DIR",
        requires = "image_credential_provider_config"
    )]
    pub(crate) image_credential_provider_bin_dir: Option<PathBuf>,
    /// YAML file of scanners whose signed scans are taken in place of reading an image: key, images, maxAge of each (docs/attestations.md)
    #[arg(long, env = "TIDEWAITER_TRUSTED_SCANS", value_name = "FILE")]
    pub(crate) trusted_scans: Option<PathBuf>,
    /// Write a report of each workload, with its worst findings, for tools that show policy reports (docs/policy-reports.md)
    #[arg(long, env = "TIDEWAITER_POLICY_REPORTS", value_enum, value_name = "APIS", default_value_t)]
    pub(crate) policy_reports: PolicyReportsSetting,
    /// Unix socket of `tidewaiter scanner`; without it, scans run in processes that the server starts itself
    #[arg(long, env = "TIDEWAITER_SCANNER", value_name = "PATH")]
    pub(crate) scanner: Option<PathBuf>,
    /// Memory limit of one scan, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub(crate) scan_memory: u64,
    /// Maximum concurrent scans
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) scans: u16,
    /// Maximum concurrent scans of images of one registry; default: as many as there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) scans_per_registry: Option<u16>,
}

/// In a container, the name of its Pod.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of a namespace: a label of DNS (RFC 1123), as the API server requires.
fn namespace_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name =
        (1..=63).contains(&text.len()) && text.chars().all(is_inner) && !text.starts_with('-') && !text.ends_with('-');
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("not the name of a namespace: lower case letters, digits and dashes between them, 63 at most".to_owned())
    }
}

impl ServeArgs {
    /// Whose signed scans are taken: nobody's, where no file says so.
    fn trusted_scans(&self) -> Result<Vec<TrustedScanner>> {
        let Some(path) = &self.trusted_scans else { return Ok(Vec::new()) };
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        TrustedScanner::parse_all(&text).map_err(|why| anyhow!("{}: {why}", path.display()))
    }

    /// The programs that give logins: none, where no file says so.
    ///
    /// # Errors
    /// When the file cannot be used, or a program that it names.
    pub(crate) fn credential_providers(&self) -> Result<CredentialProviders> {
        match (&self.image_credential_provider_config, &self.image_credential_provider_bin_dir) {
            (Some(file), Some(folder)) => CredentialProviders::open(file, folder).map_err(|why| anyhow!(why)),
            _ => Ok(CredentialProviders::default()),
        }
    }

    fn lifetimes(&self) -> CertificateLifetimes {
        let usual = CertificateLifetimes::default();
        CertificateLifetimes {
            authority: self.ca_lifetime.map_or(usual.authority, Duration::from_secs),
            leaf: self.certificate_lifetime.map_or(usual.leaf, Duration::from_secs),
        }
    }

    /// The settings that these arguments give.
    ///
    /// # Errors
    /// When a file that they name cannot be read.
    pub(crate) fn settings(&self) -> Result<ServerSettings> {
        let mut excluded = self.excluded.clone();
        excluded.push(NAMESPACE.to_owned());
        excluded.sort();
        excluded.dedup();
        let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| path.display().to_string());
        if let Some(dir) = &self.registry_config_dir {
            // For its errors: a mistake is said now.
            RegistryHosts::read(dir)?;
        }
        let registries = RegistrySettings {
            allowed_networks: self.allowed_networks.clone(),
            plain_http: self.plain_http.clone(),
            ca_pem: self.registry_ca.as_ref().map(read).transpose()?,
            token_services: self.token_services.clone(),
            config_dir: self.registry_config_dir.clone(),
            hosts: RegistryHosts::default(),
        };
        Ok(ServerSettings {
            excluded,
            kept_enforced: Vec::new(),
            exclude_enforced: self.exclude_enforced,
            database_from_peers: self.database_from_peers,
            identity: self.identity.clone().unwrap_or_else(host_name),
            registries,
            policy_reports: self.policy_reports,
            scan_memory: self.scan_memory << 20,
            scanner: self.scanner.clone(),
            trusted_scans: self.trusted_scans()?,
            scans: self.scans,
            webhook_url: self.webhook_url.clone(),
            certificate_folder: self.tls_cert_dir.clone(),
            lifetimes: self.lifetimes(),
            program: std::env::current_exe().context("the path of this program")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in the manifest: one text with commas, over several lines.
    #[test]
    fn excluded_namespaces() {
        let check = |text: &str, expected: Result<&[&str], &str>| {
            let parsed = ServerArgs::try_parse_from(["tidewaiter", "serve", &format!("--exclude-namespace={text}")]);
            let found = parsed.map_err(|error| error.to_string()).map(|args| match args.command {
                ServerCommand::Serve(serve) => serve.excluded,
                other => panic!("{other:?}"),
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text:?}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text:?}: {error}"),
                (found, _) => panic!("{text:?}: {found:?}"),
            }
        };
        check("kube-system", Ok(&["kube-system"]));
        check("kube-system, kube-public,\n  cert-manager", Ok(&["kube-system", "kube-public", "cert-manager"]));
        let no_name = "not the name of a namespace";
        for wrong in ["", "a,,b", "Team", "a_b", "-a", "a-", "a'] || true || 'a' in ['a", "a.b"] {
            check(wrong, Err(no_name));
        }
        check(&"a".repeat(64), Err(no_name));
        check(&"a".repeat(63), Ok(&[&"a".repeat(63)]));
    }

    /// As in the manifest of the scanner for Harbor.
    #[test]
    fn the_adapter_starts_as_its_manifest_has_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../integrations/harbor/adapter.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let documents = text.split("\n---\n").map(|one| serde_saphyr::from_str::<serde_json::Value>(one).unwrap());
        let deployment = documents.into_iter().find(|one| one["kind"] == "Deployment").unwrap();
        let containers = &deployment["spec"]["template"]["spec"]["containers"];
        for name in ["adapter", "scanner"] {
            let container = containers.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
            let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
            let parsed = ServerArgs::try_parse_from(["tidewaiter"].into_iter().chain(args));
            assert!(parsed.is_ok(), "{name}: {parsed:?}");
        }
    }
}
