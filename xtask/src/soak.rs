//! The gate under load: many Deployments at once, with the server killed meanwhile; then reviews at a fixed rate, with many
//! digests known, and forged ones. Compared, in one run, with the same cluster without the gate.
//!
//! ```text
//! images → calm rollouts → wave in an excluded namespace → scans alone → wave of images without the cache of layers
//!        → wave in an enforced namespace → records of thousands more → restart → reviews and a no-op → forged reviews → restart → a changed policy → table
//! ```

mod calm;
mod fleet;
mod known;
mod policy_change;
mod reviews;
mod table;
mod usage;
mod watched;
mod wave;

use crate::{demo, programs};
use anyhow::{Context, Result, bail};
use fleet::Fleet;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use table::SoakTable;
use tidewaiter_testkit::lab::{Lab, Places};
use usage::Usage;
use wave::WaveResult;

/// The excluded namespace.
const APART: &str = "apart";
/// The enforced one.
const GATED: &str = "default";
/// Another enforced one, where the scanner caches no layers.
const UNCACHED: &str = "uncached";

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct SoakArgs {
    /// Deployments of a wave
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..10_000))]
    deployments: u32,
    /// Images of the Deployments, ten of each base; every tenth has a critical vulnerability
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..10_000))]
    images: u32,
    /// MiB of each base, uncompressed
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..100))]
    base: u32,
    /// How often the server is killed during the wave (SIGKILL)
    #[arg(long, default_value_t = 0)]
    kills: u32,
    /// Seconds of each measurement of reviews
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..600))]
    seconds: u32,
    /// Reviews in a second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..10_000))]
    rate: u32,
    /// Workloads that are known when reviews are measured, in addition to those of the wave
    #[arg(long, default_value_t = 5000)]
    workloads: u32,
    /// Digests that are approved for each of them
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..100))]
    digests: u32,
    /// Forged reviews
    #[arg(long, default_value_t = 100_000)]
    forged: u32,
    /// Workloads whose decision a changed policy changes
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..100_000))]
    deciding: u32,
    /// Measure the changed policy alone
    #[arg(long, conflicts_with = "write")]
    only_policy: bool,
    /// Use the release programs as they are
    #[arg(long)]
    no_build: bool,
    /// Write the table of docs/soak.md
    #[arg(long)]
    write: bool,
}

/// Measures and prints; true if every figure is within its limit. It continues in the release build of this program: the
/// client of a measurement must not be what is slow.
pub(crate) fn run(root: &Path, args: &SoakArgs) -> Result<bool> {
    let release = release(root, args.no_build)?;
    let helper = release.join("xtask");
    if std::env::current_exe()?.canonicalize()? != helper.canonicalize()? {
        let mut own = Command::new(&helper);
        own.args(std::env::args_os().skip(1)).arg("--no-build");
        return Err(own.exec()).with_context(|| helper.display().to_string());
    }
    let places = Places { programs: release, ..demo::control_plane(root)? };
    let machine = usage::machine();
    let table = measure(places, args)?;
    println!("\n{}", table.text(&machine));
    if args.write {
        table::write(root, &machine, &table)?;
    }
    Ok(table.is_within())
}

/// The folder of the release programs, built unless they are to be used as they are.
fn release(root: &Path, no_build: bool) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("release");
    if !no_build {
        programs::release(root)?;
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--release", "--locked", "-p", "xtask"]).current_dir(root);
        if !command.status().context("cargo cannot be run")?.success() {
            bail!("xtask does not build; see above");
        }
    }
    for name in ["tidewaiter", "kubectl-scan", "xtask"] {
        if !folder.join(name).is_file() {
            bail!("{}: no such program; run without --no-build", folder.join(name).display());
        }
    }
    Ok(folder)
}

fn measure(places: Places, args: &SoakArgs) -> Result<SoakTable> {
    let programs = places.programs.clone();
    let mut lab = Lab::new(places);
    start(&mut lab);
    let mut table = SoakTable::default();
    if args.only_policy {
        table.policy_change(&policy_change::measure(&mut lab, args.deciding)?);
        return Ok(table);
    }
    lab.admin(&["create", "namespace", APART]).ok();
    let fleet = Fleet::push(&lab, "image", args.images, args.base);
    table.calm(&calm::measure(&lab));
    eprintln!("wave in an excluded namespace");
    let plain = wave::run(&mut lab, &fleet, APART, args.deployments, 0)?;
    wave::remove(&lab, APART)?;
    eprintln!("scans alone");
    let scans = fleet.scan_alone(&lab, &programs)?;
    eprintln!("wave without a cache of layers");
    let uncached = uncached(&mut lab, args)?;
    eprintln!("wave in an enforced namespace");
    let gated = wave::run(&mut lab, &fleet, GATED, args.deployments, args.kills)?;
    table.waves(&plain, &gated, scans, args);
    table.layers(&uncached, &gated, fleet.layer_bytes());
    reviews(&mut lab, args, &mut table, &gated)?;
    eprintln!("a changed policy");
    table.policy_change(&policy_change::measure(&mut lab, args.deciding)?);
    Ok(table)
}

/// Each of as many other images once, with a scanner that reads every image as a whole.
fn uncached(lab: &mut Lab, args: &SoakArgs) -> Result<WaveResult> {
    lab.admin(&["create", "namespace", UNCACHED]).ok();
    let fleet = Fleet::push(lab, "uncached", args.images, args.base);
    lab.kill_server();
    lab.cache_layers(false);
    start(lab);
    let result = wave::run(lab, &fleet, UNCACHED, args.images, 0)?;
    wave::remove(lab, UNCACHED)?;
    lab.kill_server();
    lab.cache_layers(true);
    start(lab);
    Ok(result)
}

/// The part about admission.
fn reviews(lab: &mut Lab, args: &SoakArgs, table: &mut SoakTable, gated: &WaveResult) -> Result<()> {
    lab.comes_to_rest();
    let steady = Usage::of_server(lab);
    lab.kill_server();
    start(lab);
    lab.comes_to_rest();
    table.memory("server, anonymous memory, a minute after the wave", &steady, true);
    table.memory("the same after a restart", &Usage::of_server(lab), true);
    eprintln!("{} workloads with {} digests each", args.workloads, args.digests);
    lab.kill_server();
    known::create(lab, args.workloads, args.digests)?;
    start(lab);
    lab.comes_to_rest();
    table.memory("with the workloads below known", &Usage::of_server(lab), false);
    let bodies = reviews::Bodies::of(lab, GATED)?;
    for row in reviews::compare(lab, &bodies, args.rate, args.seconds)? {
        table.reviews(&row, args);
    }
    table.known(args, gated);
    let before = Usage::of_server(lab);
    reviews::forge(lab, args.forged)?;
    table.forged(args.forged, &before, &Usage::of_server(lab));
    lab.kill_server();
    start(lab);
    lab.comes_to_rest();
    table.memory("after forged reviews and a restart", &Usage::of_server(lab), false);
    Ok(())
}

fn start(lab: &mut Lab) {
    lab.start_server_with(&["--exclude-namespace", "kube-system", "--exclude-namespace", APART]);
}
