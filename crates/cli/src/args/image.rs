//! Commands about images, with a cluster or without.

use super::output::{OutputArgs, OutputParser, OutputTarget};
use super::shared::{ClusterArgs, JudgeArgs, LocalArgs, OutputFormat, RegistryArgs};
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use tidewaiter_core::image::Platform;
use tidewaiter_formats::SbomFormat;

/// Scan images: in the cluster if the current context has tidewaiter, else on this machine.
///
/// A scan in the cluster uses the cluster's credentials, database and policy; a local scan changes nothing there.
/// IMAGE is a reference (`nginx:1.27`, `registry:host/name:tag`), an OCI layout (`oci:DIR`, `oci-archive:FILE`),
/// a `docker save` archive (`docker-archive:FILE`), a root file system (`dir:DIR`) or an image of containerd
/// (`containerd:REFERENCE`; data in $CONTAINERD_ROOT, default /var/lib/containerd), Docker (`docker:NAME`; $DOCKER_HOST) or
/// Podman (`podman:NAME`; $CONTAINER_HOST). A text such as `docker:27` may be a reference, too: it is one if this machine has no
/// image `27`. `sbom:FILE` (`sbom:-`: standard input) is an SBOM, whose packages are judged as an image's: CycloneDX 1.2 to 1.7
/// (JSON, XML), SPDX 2.2, 2.3 and 3.0 (JSON), Syft's JSON, GitHub's.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl scan image registry.example/myapp:v1
  kubectl scan image oci:./layout --output json
  kubectl scan image oci:./layout -o table -o sarif=report.sarif -o html=report.html
  kubectl scan image docker-archive:myapp.tar --fail-on high+fixable,kev
  kubectl scan image r.example/app:v2 --fail-on high+new --baseline v1.json
  kubectl scan image r.example/app:v1 r.example/job:v1 -o table -o csv={name}.csv
  kubectl scan image sbom:myapp.cdx.json")]
pub(crate) struct ImageArgs {
    /// Images to scan; of several each is judged alone, in the order given, and a summary follows
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
    /// Scan on this machine
    #[arg(long = "local", conflicts_with = "in_cluster")]
    pub(crate) local_only: bool,
    /// Scan in the cluster
    #[arg(long, conflicts_with_all = ["platform", "fail_on", "baseline", "block_at", "policy", "exceptions", "base", "no_cache", "plain_http", "ca_file", "docker_config", "registry_config_dir"])]
    pub(crate) in_cluster: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Images that are read at the same time on this machine; default: one for each core, at most 4
    #[arg(long, value_name = "NUMBER")]
    pub(crate) parallel: Option<NonZeroUsize>,
    /// Pull secret of the namespace, for a scan in the cluster; repeatable
    #[arg(long = "pull-secret", value_name = "NAME")]
    pub(crate) pull_secrets: Vec<String>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

/// Write a report in other formats.
///
/// Reads a report, or a list of several images or platforms, as `-o json` writes it. It is judged again: by the options below, as they are
/// now.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 written, whatever the verdict, 2 usage, 3 it could not be written. With --fail-on, --block-at or --policy
those of `image`.

Examples:
  kubectl scan image registry.example/myapp:v1 -o json=report.json
  kubectl scan convert report.json -o sarif=report.sarif -o markdown")]
pub(crate) struct ConvertArgs {
    /// File of the report; `-`: standard input
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,
    /// Image of the report to take from a list, as the report names it
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<String>,
    /// Platform of the report to take from a list, as `os/arch[/variant]`
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

/// List the packages of an image as an SBOM.
///
/// The image is read on this machine. No database is needed: the SBOM has no vulnerabilities. For one with them:
/// `kubectl scan image IMAGE -o cyclonedx`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 complete, 2 usage, 3 it is incomplete, or could not be written.

Example:
  kubectl scan sbom registry.example/myapp:v1 -o cyclonedx=myapp.cdx.json -o spdx=myapp.spdx.json")]
pub(crate) struct SbomArgs {
    /// Image, named as for `image`
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Format; FORMAT=FILE writes a file; repeatable
    #[arg(short, long = "output", value_name = "FORMAT[=FILE]", value_parser = OutputParser::<SbomFormat>::new(), default_value = "cyclonedx")]
    pub(crate) outputs: Vec<OutputTarget<SbomFormat>>,
    /// Platform to choose from an index, as `os/arch[/variant]`; default: this machine's
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    /// Read every layer, even if the cache has its packages
    #[arg(long)]
    pub(crate) no_cache: bool,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
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
