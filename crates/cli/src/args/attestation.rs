//! Commands about signed statements.

use super::shared::{JudgeArgs, LocalArgs, OutputFormat, RegistryArgs};
use clap::Args;
use jiff::SignedDuration;
use std::path::PathBuf;
use tidewaiter_core::image::Platform;

/// Sign the verdict about an image, and attach it to the image.
///
/// IMAGE is scanned on this machine, or REPORT is taken, and judged by the options below. Two statements are signed, about the
/// digest: the scan with its report (`https://cosign.sigstore.dev/attestation/vuln/v1`) and the verdict
/// (`https://tidewaiter.dev/attestations/verdict/v1`). `kubectl scan verify` and `cosign verify-attestation` verify them. Newer
/// ones by the same key take the place of older ones.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 signed, whatever the verdict, 2 usage, 3 it could not be signed or attached.

Example, with a new pair of keys:
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out scan.key
  openssl pkey -in scan.key -pubout -out scan.pub
  kubectl scan attest registry.example/myapp:v1 --key scan.key
  kubectl scan verify registry.example/myapp:v1 --key scan.pub")]
pub(crate) struct AttestArgs {
    /// Image, named as for `image`; only one in a registry can have something attached
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// PEM file (PKCS #8) of the private key to sign with: ed25519, or ECDSA with P-256
    #[arg(long, value_name = "PRIVATE_KEY")]
    pub(crate) key: PathBuf,
    /// Report of the image to sign, as `-o json` writes it, instead of a scan; `-`: standard input
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["all_platforms", "platform", "exceptions", "base", "no_cache"])]
    pub(crate) report: Option<PathBuf>,
    /// Scan every platform of an index: what is signed is about the index, too
    #[arg(long, conflicts_with = "platform")]
    pub(crate) all_platforms: bool,
    /// File to write the envelopes to, one in each line
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Attach nothing; without `--output` the envelopes go to standard output
    #[arg(long)]
    pub(crate) no_push: bool,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Verify the signed verdict about an image.
///
/// Looks for what `kubectl scan attest` attached to the digest that IMAGE names, and believes nothing of it that KEY did not sign.
/// The newest verdict counts. With a policy, the signed report is judged again by it instead.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 the verdict is a pass, 1 it is a violation, 2 usage, 3 it is incomplete, or there is none that counts.

Examples:
  kubectl scan verify registry.example/myapp:v1 --key scan.pub
  kubectl scan verify registry.example/myapp:v1 --key scan.pub --policy strict.yaml --max-age 4h")]
pub(crate) struct VerifyArgs {
    /// Image in a registry: what it names must have been signed, so of an index all platforms
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// PEM file of the public key that must have signed: ed25519, or ECDSA with P-256
    #[arg(long, value_name = "PUBLIC_KEY")]
    pub(crate) key: PathBuf,
    /// Platform of an index to verify alone, as `os/arch[/variant]`
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    /// Largest age of what was signed, as `24h` or `30m`
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub(crate) max_age: SignedDuration,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}
