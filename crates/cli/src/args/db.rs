//! Commands about the vulnerability database.

use super::shared::{OutputFormat, OwnRegistryArgs, RegistryArgs};
use clap::{Args, Subcommand};
use jiff::SignedDuration;
use std::path::PathBuf;

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
    pub(crate) registry: OwnRegistryArgs,
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
