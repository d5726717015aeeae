//! The command line: its commands and options, and no more, so that everything else may use it.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;
use std::path::PathBuf;
use tidewaiter_core::image::Platform;
use tidewaiter_core::severity::Severity;

/// Scan container images for known vulnerabilities.
#[derive(Debug, Parser)]
#[command(name = "kubectl-scan", bin_name = "kubectl scan", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 clean by policy, 1 policy violated, 2 usage, 3 the scan failed or is incomplete."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// Variants with a struct have its documentation: one here would hide the longer one from `--help`.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    Image(ImageArgs),
    Deployment(DeploymentArgs),
    Status(StatusArgs),
    Wait(WaitArgs),
    Approve(ApproveArgs),
    Rollback(RollbackArgs),
    Report(ReportArgs),
    Explain(ExplainArgs),
    Diff(DiffArgs),
    Fix(FixArgs),
    Db(DbArgs),
    /// Show or empty the cache of local scans
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Print a completion script for a shell
    Completion {
        /// The shell to complete for
        shell: Shell,
    },
}

/// Scan one image: in the cluster if the current context has tidewaiter, else on this machine.
///
/// A scan in the cluster uses the cluster's credentials, database and policy; a local scan changes nothing there.
/// IMAGE is a reference (`nginx:1.27`, `registry:host/name:tag`), an OCI layout (`oci:DIR`, `oci-archive:FILE`),
/// a `docker save` archive (`docker-archive:FILE`), a root file system (`dir:DIR`) or an image of containerd
/// (`containerd:REFERENCE`; data in $CONTAINERD_ROOT, default /var/lib/containerd), Docker (`docker:NAME`; $DOCKER_HOST) or
/// Podman (`podman:NAME`; $CONTAINER_HOST). A text such as `docker:27` may be a reference, too: it is one if this machine has no
/// image `27`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl scan image registry.example/myapp:v1
  kubectl scan image oci:./layout --output json
  kubectl scan image docker-archive:myapp.tar --block-at high")]
pub(crate) struct ImageArgs {
    /// Image to scan
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Scan on this machine
    #[arg(long = "local", conflicts_with = "in_cluster")]
    pub(crate) local_only: bool,
    /// Scan in the cluster
    #[arg(long, conflicts_with_all = ["platform", "block_at", "exceptions", "base", "no_cache", "plain_http", "ca_file", "docker_config"])]
    pub(crate) in_cluster: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    /// Pull secret of the namespace, for a scan in the cluster; repeatable
    #[arg(long = "pull-secret", value_name = "NAME")]
    pub(crate) pull_secrets: Vec<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Show why a vulnerability is, or is not, reported for an image.
///
/// Shows every advisory that was compared, and the result. The image is scanned on this machine.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Vulnerability, by any of its names: `CVE-2024-1234`, `GHSA-...`
    pub(crate) vulnerability: String,
    /// Image, named as for `image`
    pub(crate) image: String,
    /// Name of the only package to show
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Compare two images.
///
/// Shows packages and findings that were added, removed or changed. Both images are scanned on this machine.
#[derive(Debug, Args)]
#[command(after_help = "The exit code is that of the new image.")]
pub(crate) struct DiffArgs {
    /// Old image, named as for `image`
    pub(crate) old: String,
    /// New image
    pub(crate) new: String,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Show the smallest upgrades that satisfy the policy, by layer.
///
/// The image is scanned on this machine.
#[derive(Debug, Args)]
pub(crate) struct FixArgs {
    /// Image, named as for `image`
    pub(crate) image: String,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

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
/// Images that policy blocks cannot be approved.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// Workload, as `KIND/NAME`: `deployment/NAME`, `pod/NAME`, ...
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: String,
    /// Reason, recorded for audit
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Wait for the decision about a workload, and show it.
///
/// While policy waits for a person's approval, there is no decision.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 its images may run, 1 policy blocks them, 3 no decision in time.\n
Example:
  kubectl apply -f app.yaml && kubectl scan wait deployment/app && kubectl rollout status deployment/app")]
pub(crate) struct WaitArgs {
    /// Workload, as `KIND/NAME`: `deployment/NAME`, `pod/NAME`, ...
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: String,
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
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Text for people
    Table,
    /// JSON for programs
    Json,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show where the cache is and how large it is
    Status,
    /// Remove everything from the cache
    Clear,
}

/// Build and inspect the vulnerability database.
#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) command: DbCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Build a database from the feeds of a `feeds.toml`
    Build {
        /// Feeds to read, as a `feeds.toml`; default: the upstream feeds
        #[arg(long, value_name = "FILE")]
        feeds: Option<PathBuf>,
        /// File to write
        #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
        db: Option<PathBuf>,
        /// Folder for downloads; default: `$XDG_CACHE_HOME/tidewaiter/feeds`, else `~/.cache/tidewaiter/feeds`
        #[arg(long, env = "TIDEWAITER_DOWNLOADS", value_name = "DIR")]
        downloads: Option<PathBuf>,
        /// If the build fails, print the error and exit with 0; an existing database stays in place
        #[arg(long)]
        keep_going: bool,
    },
    /// Download the database that others built, if it is newer
    ///
    /// Its digest is verified before it replaces the one in place, and an older one is refused. With `--key` it must be
    /// signed: an artifact as `db push` or `cosign sign --key` signs it, a file or URL by a file next to it,
    /// `SOURCE.sig`, as `cosign sign-blob --key` writes it. If the registry has the database that is in place, only the
    /// manifest is transferred.
    Update(UpdateArgs),
    /// Push the database to a registry, from which others update theirs
    ///
    /// It is pushed as an OCI artifact with a layer of the compressed file; the tag last.
    Push(PushArgs),
    /// Renew the database on a schedule, until it is stopped
    ///
    /// Downloads it from the source if there is one, else builds it from the feeds; at once if there is none, if it is older
    /// than `--every`, or when the source or a file next to `feeds.toml` has changed. A failure leaves the database in
    /// place and is tried again after a minute, then after two, four and so on, at most an hour. The container `database`
    /// of the server's Pod runs it.
    Renew(RenewArgs),
    /// Write the database to a file, for a machine without a network
    Export {
        /// File to write
        file: PathBuf,
        /// Database to read
        #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
        db: Option<PathBuf>,
    },
    /// Replace the database by an exported file, after verifying it
    Import {
        /// File to read
        file: PathBuf,
        /// Database to replace
        #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
        db: Option<PathBuf>,
        /// Import even if older than the current database
        #[arg(long)]
        allow_older: bool,
    },
    /// Compare two database files: advisories that were added, removed or changed, and their packages
    ///
    /// An advisory has changed if one of its rows, its text or facts about its CVEs (ratings, exploitation) differ. When
    /// and in which order the files were built makes no difference.
    Diff {
        /// Old database
        old: PathBuf,
        /// New database
        new: PathBuf,
        /// Output format
        #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
        output: OutputFormat,
    },
    /// Show the age, feeds and coverage of a database
    Status {
        /// File to read
        #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
        db: Option<PathBuf>,
        /// Output format
        #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
        output: OutputFormat,
    },
}

/// What `db update` reads and writes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  kubectl scan db update oci://registry.example/tidewaiter-db:latest
  kubectl scan db update https://mirror.example/tidewaiter.db.zst --key database.pub
  TIDEWAITER_DB_SOURCE=oci://registry.example/tidewaiter-db:latest kubectl scan db update")]
pub(crate) struct UpdateArgs {
    /// Database to take: `oci://REGISTRY/REPOSITORY:TAG`, `https://…`, or a file (as it is, or compressed with zstd)
    #[arg(env = "TIDEWAITER_DB_SOURCE", value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// PEM file of the public key that must have signed it: ed25519, or ECDSA with P-256
    #[arg(long, env = "TIDEWAITER_DB_KEY", value_name = "PUBLIC_KEY")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keyless: KeylessArgs,
    /// Take it even if older than the database in place
    #[arg(long)]
    pub(crate) allow_older: bool,
    /// Database to replace
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// Who must have signed a database without a key of their own, by a Sigstore bundle. All of them together; named as cosign names
/// them.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KeylessArgs {
    /// Identity in the certificate of the Sigstore bundle that must have signed it, as
    /// `https://github.com/OWNER/REPOSITORY/.github/workflows/database.yml@refs/heads/main`
    #[arg(
        long,
        env = "TIDEWAITER_DB_IDENTITY",
        value_name = "IDENTITY",
        requires_all = ["certificate_oidc_issuer", "trusted_root"],
        conflicts_with = "key"
    )]
    pub(crate) certificate_identity: Option<String>,
    /// Who vouched for that identity, as `https://token.actions.githubusercontent.com`
    #[arg(long, env = "TIDEWAITER_DB_ISSUER", value_name = "URL", requires = "certificate_identity")]
    pub(crate) certificate_oidc_issuer: Option<String>,
    /// File with Sigstore's certificates and keys, as of `cosign trusted-root create`; nothing is downloaded
    #[arg(long, env = "TIDEWAITER_DB_TRUSTED_ROOT", value_name = "FILE", requires = "certificate_identity")]
    pub(crate) trusted_root: Option<PathBuf>,
}

/// When `db renew` renews the database, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct RenewArgs {
    /// Pause from one renewal to the next, as `24h` or `90m`
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub(crate) every: SignedDuration,
    /// Source to download from, as of `db update`; without one the database is built
    #[arg(long, env = "TIDEWAITER_DB_SOURCE", value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// PEM file of the public key that must have signed what is downloaded
    #[arg(long, env = "TIDEWAITER_DB_KEY", value_name = "PUBLIC_KEY")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keyless: KeylessArgs,
    /// Feeds to build from, as a `feeds.toml`; default: the upstream feeds
    #[arg(long, value_name = "FILE")]
    pub(crate) feeds: Option<PathBuf>,
    /// File to write
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// Folder for downloads of feeds
    #[arg(long, env = "TIDEWAITER_DOWNLOADS", value_name = "DIR")]
    pub(crate) downloads: Option<PathBuf>,
    /// Memory limit of one renewal, in MiB; one that needs more fails, and the next is tried
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<u64>,
}

/// What `db push` reads, and where it goes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example, with a new pair of keys:
  openssl genpkey -algorithm ed25519 -out database.key
  openssl pkey -in database.key -pubout -out database.pub
  kubectl scan db push oci://registry.example/tidewaiter-db:latest --key database.key")]
pub(crate) struct PushArgs {
    /// Where to push: `oci://REGISTRY/REPOSITORY:TAG`
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// Database to push
    #[arg(long, env = "TIDEWAITER_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// PEM file (PKCS #8) of the private key to sign with: ed25519, or ECDSA with P-256
    #[arg(long, value_name = "PRIVATE_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// Publish the whole file alone, without the delta from what TARGET named before
    #[arg(long)]
    pub(crate) no_delta: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
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
    /// Address of tidewaiter's API; default: through the API server's service proxy
    #[arg(long, env = "TIDEWAITER_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
}

impl ClusterArgs {
    /// Whether a cluster was named: then a local scan must not replace the one in the cluster.
    pub(crate) fn is_given(&self) -> bool {
        // Exhaustive: a new option must be considered here.
        let Self { namespace, context, kubeconfig, server } = self;
        namespace.is_some() || context.is_some() || kubeconfig.is_some() || server.is_some()
    }
}

/// Options of local scans on this machine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Local scans")]
pub(crate) struct LocalArgs {
    /// Platform to choose from an index, as `os/arch[/variant]`; default: this machine's
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    /// Lowest severity that violates the policy; default: critical
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) block_at: Option<Severity>,
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
    /// Maximum age of the database in days, above which the report is incomplete (default: 5); 0: no maximum
    #[arg(long, value_name = "DAYS")]
    pub(crate) max_database_age: Option<u32>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// How a registry is reached.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RegistryArgs {
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

impl KeylessArgs {
    /// As they are where no command line gives them.
    pub(crate) fn of_environment() -> Self {
        KeylessArgs {
            certificate_identity: std::env::var("TIDEWAITER_DB_IDENTITY").ok(),
            certificate_oidc_issuer: std::env::var("TIDEWAITER_DB_ISSUER").ok(),
            trusted_root: std::env::var_os("TIDEWAITER_DB_TRUSTED_ROOT").map(PathBuf::from),
        }
    }
}

impl LocalArgs {
    /// Whether an option was given that only a local scan uses.
    pub(crate) fn is_given(&self) -> bool {
        // Exhaustive: a new option must be considered here. The database does not count: it may come from the environment.
        let Self {
            platform,
            block_at,
            exceptions,
            base,
            no_cache,
            db: _,
            max_database_age,
            registry: RegistryArgs { plain_http, ca_file, docker_config },
        } = self;
        platform.is_some()
            || block_at.is_some()
            || !exceptions.is_empty()
            || base.is_some()
            || *no_cache
            || max_database_age.is_some()
            || *plain_http
            || ca_file.is_some()
            || docker_config.is_some()
    }
}
