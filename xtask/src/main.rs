//! `cargo xtask`: everything a developer runs that is not `cargo build`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks on the terminal")]

mod bench;
mod controlplane;
mod coverage;
mod demo;
mod deploy;
mod fuzz;
mod image;
mod imports;
mod latency;
mod node;
mod push;
mod spotcheck;
mod test;
mod truth;
mod vectors;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build what is missing and run every test, the stories on real clusters included
    Test,
    /// Play the whole flow on a throw-away cluster
    Demo {
        /// Leave everything running until Enter is pressed, and print its KUBECONFIG
        #[arg(long)]
        keep: bool,
    },
    /// Build the control plane for tests, unless it is there
    Controlplane,
    /// Make the server's OCI image, under target/image
    Image {
        /// Push it, as HOST/NAME:TAG, with Docker's stored logins
        #[arg(long, value_name = "REFERENCE")]
        push: Option<String>,
        /// The registry speaks plain HTTP; one on loopback needs no flag
        #[arg(long, requires = "push")]
        plain_http: bool,
        /// Folder of programs that are built, instead of the release programs
        #[arg(long, value_name = "DIR", hide = true)]
        programs: Option<PathBuf>,
    },
    /// Install on a real node and play stories with Pods that run (root, Debian; outside CI)
    Node(node::NodeArgs),
    /// The half of `node` that runs in namespaces of its own
    #[command(hide = true)]
    NodeInside(node::InsideArgs),
    /// Write the generated manifests
    Deploy {
        /// Only check that they are up to date
        #[arg(long)]
        check: bool,
    },
    /// Write docs/coverage.md: which files, systems and programs are seen, and what judges them
    Coverage {
        /// Only check that it is up to date
        #[arg(long)]
        check: bool,
    },
    /// Measure what the gate adds to a rollout, beside an excluded namespace
    Latency,
    /// Check which crate imports which
    Imports,
    /// Compare the engine with the package managers' own lists (images in DIR, lists in DIR/truth)
    Truth {
        /// Folder of OCI layouts and root file systems
        #[arg(required_unless_present = "built")]
        dir: Option<PathBuf>,
        /// Build the images from the registries, once, under target/truth (network, root, several minutes)
        #[arg(long, conflicts_with = "dir")]
        built: bool,
        /// Name every missed and every invented package
        #[arg(long)]
        differences: bool,
    },
    /// Check version orders against lines `A < B`, `A = B`, `A > B` in DIR/ECOSYSTEM-versions*.txt
    Vectors {
        /// Folder of vector files
        dir: PathBuf,
    },
    /// Fuzz every parser of hostile bytes, led by coverage
    Fuzz(fuzz::Args),
    /// Measure scans, memory, the database and the programs, beside the least that any scanner must do
    Bench(bench::BenchArgs),
    /// Inflate and hash an image's layers, and nothing else
    #[command(hide = true)]
    BenchFloor(bench::floor::FloorArgs),
    /// Check known facts (a file of `{id, checks: [{ecosystem, package, version, vulnerable}]}`) against a database
    Spotcheck {
        /// File of facts
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
    let outcome = match Args::parse().command {
        Command::Demo { keep } => demo::run(&root, if keep { demo::Keep::Running } else { demo::Keep::Nothing }),
        Command::Controlplane => controlplane::ensure(&root).map(|path| {
            println!("{}", path.display());
            true
        }),
        Command::Image { push, plain_http, programs } => {
            let transport = if plain_http { push::Transport::PlainHttp } else { push::Transport::Tls };
            image::run(&root, push.as_deref(), transport, programs.as_deref())
        }
        Command::Node(args) => node::run(&root, &args),
        Command::NodeInside(inside) => node::run_inside(&root, &inside),
        Command::Deploy { check } => {
            deploy::run(&root, if check { deploy::Check::Compare } else { deploy::Check::Write })
        }
        Command::Coverage { check } => {
            coverage::run(&root, if check { coverage::Check::Compare } else { coverage::Check::Write })
        }
        Command::Test => test::run(&root),
        Command::Latency => latency::run(&root),
        Command::Imports => imports::run(&root),
        Command::Truth { dir: Some(dir), differences, .. } => truth::run(&dir, differences),
        Command::Truth { differences, .. } => truth::build::ensure(&root).and_then(|dir| truth::run(&dir, differences)),
        Command::Vectors { dir } => vectors::run(&dir),
        Command::Fuzz(args) => fuzz::run(&root, &args),
        Command::Bench(args) => bench::run(&root, &args),
        Command::BenchFloor(args) => bench::floor::run(&args),
        Command::Spotcheck { file, db } => spotcheck::run(&file, &db),
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
