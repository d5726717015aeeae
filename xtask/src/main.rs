//! `cargo xtask`: what a developer runs besides cargo's own commands.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers prints")]

mod bench;
mod cert_manager;
mod chart;
mod classify;
mod controlplane;
mod cosign;
mod coverage;
mod demo;
mod deploy;
mod dice;
mod earlier;
mod formats;
mod fuzz;
mod generated;
mod gitops;
mod image;
mod imports;
mod install;
mod integrations;
mod monitoring;
mod node;
mod orders;
mod platform;
mod programs;
mod push;
mod release;
mod report_definitions;
mod schemas;
mod soak;
mod spotcheck;
mod stories;
mod test;
mod threats;
mod truth;
mod vectors;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tidewaiter_testkit::kubernetes::KubernetesMinor;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    command: XtaskCommand,
}

#[derive(Debug, Subcommand)]
enum XtaskCommand {
    /// Build what is missing and run all tests, including the stories on real clusters
    Test,
    /// Play the whole flow on a temporary cluster
    Demo {
        /// Keep everything running until Enter is pressed, and print its KUBECONFIG
        #[arg(long)]
        keep: bool,
    },
    /// Build the control plane for tests, unless it is cached
    Controlplane {
        /// Minor version of Kubernetes (1.30): the newest, or one that `tests/controlplane` has a folder for
        #[arg(long, value_name = "MINOR")]
        kubernetes: Option<KubernetesMinor>,
    },
    /// Play stories on another version of Kubernetes (root; not in CI)
    Stories(stories::StoriesArgs),
    /// Build Helm 4 and the libraries of Flux and Argo CD for tests, unless they are cached
    Gitops {
        /// Helm 3, too; its story is skipped without it
        #[arg(long)]
        helm3: bool,
    },
    /// Build the programs of an earlier version, unless they are cached; the story of its upgrade is skipped without them
    Earlier,
    /// Build the server's OCI image, under target/image, or that of the plugin
    Image(image::ProgramImageArgs),
    /// Pack the Helm chart, under target/chart, and push it as an OCI artifact
    Chart(chart::ChartArgs),
    /// Write what a release gives people, under target/release-files: archive, checksums, krew's manifest
    Release(release::ReleaseArgs),
    /// Install on a real node and play stories with running Pods (root, Debian; not in CI)
    Node(node::NodeArgs),
    /// The half of `node` that runs in namespaces of its own
    #[command(hide = true)]
    NodeInside(node::InsideArgs),
    /// Write the generated manifests
    Deploy(generated::GeneratedArgs),
    /// Keep the custom resource definitions as those of a version, with which `deploy` compares later ones
    Keep {
        /// The version that is released
        version: String,
    },
    /// Write docs/coverage.md: supported files, systems, programs and feeds; check that tests named in documents exist
    Coverage(generated::GeneratedArgs),
    /// Measure the gate under load: many Deployments at once, reviews at a fixed rate, forged ones (root; not in CI)
    Soak(soak::SoakArgs),
    /// Check integrations/ and docs/pipelines.md by actionlint, Tekton's validation and ShellCheck (network, the first time; not in CI)
    Integrations,
    /// Build the program that runs the dashboard's queries for tests, unless it is cached, and draw docs/monitoring.svg
    Monitoring,
    /// Fetch the definitions of the APIs of policy reports for a story, unless they are there (network, the first time)
    ReportDefinitions,
    /// Check the import rules of crates and modules, and that names of types are unique
    Imports,
    /// Compare the engine with package managers' own lists (images in DIR, lists in DIR/truth)
    Truth {
        /// Folder of OCI layouts and root file systems
        #[arg(required_unless_present = "built")]
        dir: Option<PathBuf>,
        /// Build the images from package registries, once, under target/truth (network, root, several minutes)
        #[arg(long, conflicts_with = "dir")]
        built: bool,
        /// Only images of recipes whose names begin like this: `maven`, `quarkus`, `debian`
        #[arg(long, requires = "built", default_value = "", hide_default_value = true)]
        only: String,
        /// Succeed although images could not be built
        #[arg(long, requires = "built")]
        allow_unmeasured: bool,
        /// Print every missed and every invented package
        #[arg(long)]
        differences: bool,
    },
    /// Check version schemes with lines `A < B`, `A = B`, `A > B` of DIR/ECOSYSTEM-versions*.txt
    Vectors {
        /// Folder of vector files
        dir: PathBuf,
    },
    /// Compare version orders with the tools that define them (network; apt, pip, npm, Go, mvn; not in CI)
    Orders(orders::OrdersArgs),
    /// Compare the classifier of programs with real ones, and name those that were never seen
    Classify(classify::ClassifyArgs),
    /// Validate the formats of reports by the reference validators (network; pip, npm, Java; not in CI)
    Formats(formats::FormatsArgs),
    /// Verify attested images by cosign's own programs (network; Go, openssl; ten minutes at first; not in CI)
    Cosign,
    /// Fuzz every parser of hostile bytes, guided by coverage
    Fuzz(fuzz::FuzzArgs),
    /// Measure scans, and the sizes of the database and the programs
    Bench(bench::BenchArgs),
    /// Inflate and hash an image's layers: the least that a scan must do
    #[command(hide = true)]
    BenchFloor(bench::floor::FloorArgs),
    /// Check known facts about vulnerabilities with a database
    Spotcheck {
        /// File of facts: a list of `{id, checks: [{ecosystem, package, version, vulnerable}]}`
        file: PathBuf,
        /// Database to ask
        #[arg(long)]
        db: PathBuf,
    },
}

fn main() -> ExitCode {
    // One TLS provider for the process; libraries bring none.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let root = root();
    let outcome = match Xtask::parse().command {
        XtaskCommand::Demo { keep } => demo::run(&root, if keep { demo::Keep::Running } else { demo::Keep::Nothing }),
        XtaskCommand::Controlplane { kubernetes } => controlplane::ensure(&root, kubernetes).map(|path| {
            println!("{}", path.display());
            true
        }),
        XtaskCommand::Stories(args) => stories::run(&root, &args),
        XtaskCommand::Gitops { helm3 } => gitops::ensure(&root).and_then(|()| {
            if helm3 {
                gitops::ensure_helm_3(&root)?;
            }
            Ok(true)
        }),
        XtaskCommand::Earlier => earlier::ensure(&root).map(|()| true),
        XtaskCommand::Image(args) => image::run(&root, &args),
        XtaskCommand::Chart(args) => chart::run(&root, &args),
        XtaskCommand::Release(args) => release::run(&root, &args),
        XtaskCommand::Node(args) => node::run(&root, &args),
        XtaskCommand::NodeInside(inside) => node::run_inside(&root, &inside),
        XtaskCommand::Deploy(args) => deploy::run(&root, &args),
        XtaskCommand::Keep { version } => schemas::keep(&root, &version).map(|()| true),
        XtaskCommand::Coverage(args) => {
            coverage::run(&root, &args).and_then(|current| Ok(threats::run(&root)? && current))
        }
        XtaskCommand::Test => test::run(&root),
        XtaskCommand::Soak(args) => soak::run(&root, &args),
        XtaskCommand::Monitoring => monitoring::run(&root),
        XtaskCommand::ReportDefinitions => report_definitions::ensure_fetched(&root).map(|()| true),
        XtaskCommand::Integrations => integrations::run(&root),
        XtaskCommand::Imports => imports::run(&root),
        XtaskCommand::Truth { dir: Some(dir), differences, .. } => truth::run(&dir, differences),
        XtaskCommand::Truth { only, differences, allow_unmeasured, .. } => {
            truth::built(&root, &only, differences, allow_unmeasured)
        }
        XtaskCommand::Vectors { dir } => vectors::run(&dir),
        XtaskCommand::Orders(args) => orders::run(&root, &args),
        XtaskCommand::Classify(args) => classify::run(&root, &args),
        XtaskCommand::Formats(args) => formats::run(&root, &args),
        XtaskCommand::Cosign => cosign::run(&root),
        XtaskCommand::Fuzz(args) => fuzz::run(&root, &args),
        XtaskCommand::Bench(args) => bench::run(&root, &args),
        XtaskCommand::BenchFloor(args) => bench::floor::run(&args),
        XtaskCommand::Spotcheck { file, db } => spotcheck::run(&file, &db),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The project's folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}
