//! What a scan costs, compared with the least that any scanner must do, with another build and with other scanners; how
//! large the database and the programs are. Times of single functions are benchmarks of their crates: `cargo bench`.
//!
//! ```text
//! real bytes → images → (floors, scans, other scanners) × rounds, interleaved → medians → budgets
//! ```

mod cases;
mod database;
mod feeds;
pub(crate) mod floor;
mod images;
mod measure;
mod peers;
mod report;
mod serve;

use crate::programs;
use anyhow::{Context, Result, bail};
use cases::{BenchCase, BenchSetting};
use images::BenchImages;
use measure::Sample;
use report::{BenchResult, Figure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is measured, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Rounds: each runs everything once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Database to scan with, and to measure; default: a small one made in code
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Also build a database from the feeds of this feeds.toml, and measure it
    #[arg(long, value_name = "FILE")]
    feeds: Option<PathBuf>,
    /// Build databases of feeds at real size, made in code, and measure only that; SIZE is a share of the full size
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "1", conflicts_with = "db")]
    feeds_at_size: Option<f64>,
    /// Also run another build of kubectl-scan, in the same rounds, and compare with it
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
    /// Database for the other build, if it reads another format
    #[arg(long, value_name = "FILE", requires = "against")]
    against_db: Option<PathBuf>,
    /// Use the release programs as they are
    #[arg(long)]
    no_build: bool,
}

/// The released programs, and their largest size in megabytes: what an image pull and a plugin download may cost.
const PROGRAMS: [(&str, f64); 2] = [("kubectl-scan", 16.0), ("tidewaiter", 25.0)];

/// Measures and prints. A missed budget is a result; an error is what could not be measured.
pub(crate) fn run(root: &Path, args: &BenchArgs) -> Result<bool> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let release = target.join("release");
    if !args.no_build {
        build(root)?;
    }
    let (scanner, helper) = (release.join("kubectl-scan"), release.join("xtask"));
    for needed in [&scanner, &helper].into_iter().chain(&args.against) {
        if !needed.is_file() {
            bail!("{}: no such program; run without --no-build, or build it", needed.display());
        }
    }
    let bench = target.join("bench");
    if let Some(scale) = args.feeds_at_size {
        feeds::run(&bench, &scanner, args.against.as_deref(), scale)?;
        return Ok(true);
    }
    let images = BenchImages::ready(&bench)?;
    let small = bench.join("small.db");
    database::write_small(&small)?;
    let scratch = bench.join("run");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    }
    fs::create_dir_all(&scratch)?;
    let db = args.db.as_deref().unwrap_or(&small);
    let against = args.against.as_deref().map(|program| (program, args.against_db.as_deref().unwrap_or(db)));
    let setting = BenchSetting { scanner: &scanner, against, helper: &helper, db, images: &images, scratch: &scratch };
    let measured = measure_all(&setting, args, &release);
    let _ = fs::remove_dir_all(&scratch);
    measured?.print();
    Ok(true)
}

fn build(root: &Path) -> Result<()> {
    programs::release(root)?;
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--locked", "-p", "xtask"]).current_dir(root);
    if !command.status().context("cargo cannot be run")?.success() {
        bail!("the programs do not build; see above");
    }
    Ok(())
}

fn measure_all(setting: &BenchSetting<'_>, args: &BenchArgs, release: &Path) -> Result<BenchResult> {
    let machine = report::machine();
    let scans = checked(setting, setting.with_against(setting.scans()?))?;
    let (peers, remarks) = peers::find(setting);
    let others = setting.with_against(setting.others());
    let cases = cases::grouped([setting.floors(), scans, others, peers].concat());
    let samples = interleave(&cases, args.rounds)?;
    let mut figures = match (&args.feeds, &args.db) {
        (Some(feeds), _) => built(setting, feeds)?,
        (None, Some(db)) => database::figures(db)?,
        // The size of the small database says nothing about real ones.
        (None, None) => Vec::new(),
    };
    figures.extend(weights(release)?);
    Ok(BenchResult { machine, cases, samples, figures, remarks })
}

/// Runs every scan once, unmeasured: it must find packages, and fills the page cache and the cache for warm scans.
fn checked(setting: &BenchSetting<'_>, mut scans: Vec<BenchCase>) -> Result<Vec<BenchCase>> {
    for first in scans.iter().take(setting.programs()) {
        first.fill_cache()?;
    }
    for case in &mut scans {
        let (packages, findings, code) = case.check()?;
        case.code = Some(code);
        eprintln!("{}: {packages} packages, {findings} findings, exit code {code}", case.name);
    }
    Ok(scans)
}

/// Every case once, then every case again: other work on the machine disturbs all of them alike. The order is reversed in
/// every second round, so that of two builds each is the first one half of the time.
fn interleave(cases: &[BenchCase], rounds: u16) -> Result<Vec<Vec<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let mut order: Vec<_> = cases.iter().zip(&mut samples).collect();
        if round.is_multiple_of(2) {
            order.reverse();
        }
        for (case, samples) in order {
            let sample = case.run()?;
            if case.code.is_some_and(|expected| sample.code != expected) {
                bail!("{}: exit code {}", case.name, sample.code);
            }
            samples.push(sample);
        }
    }
    Ok(samples)
}

/// Builds a database from feeds, and measures it.
fn built(setting: &BenchSetting<'_>, feeds: &Path) -> Result<Vec<Figure>> {
    let db = setting.scratch.join("feeds.db");
    let mut command = Command::new(setting.scanner);
    command.args(["db", "build", "--feeds"]).arg(feeds).arg("--db").arg(&db);
    command.env("XDG_CACHE_HOME", setting.scratch);
    let sample = measure::run(&mut command)?;
    if sample.code != 0 {
        bail!("db build --feeds {}: exit code {}", feeds.display(), sample.code);
    }
    let mut figures = vec![
        Figure::new("database: build", sample.wall_ms / 1000.0, "s").at_most(30.0),
        Figure::new("database: build, CPU", sample.cpu_ms / 1000.0, "s"),
    ];
    figures.extend(database::figures(&db)?);
    Ok(figures)
}

fn weights(release: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, budget) in PROGRAMS {
        let path = release.join(name);
        let bytes = fs::metadata(&path).with_context(|| path.display().to_string())?.len();
        let megabytes = database::ratio(usize::try_from(bytes)?, 1_000_000);
        figures.push(Figure::new(&format!("{name}: program, stripped"), megabytes, "MB").at_most(budget));
    }
    Ok(figures)
}
