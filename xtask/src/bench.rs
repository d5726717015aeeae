//! What a scan costs, beside the least that any scanner must do; what the database and the programs weigh.
//!
//! ```text
//! real bytes → images → (floor, scans, other scanners) × rounds, interleaved → medians → budgets
//! ```

pub(crate) mod database;
pub(crate) mod floor;
mod inputs;
mod measure;
mod peers;
mod rematch;
mod report;
mod rows;
mod serve;

use crate::image;
use anyhow::{Context, Result, bail};
use inputs::Inputs;
use measure::{Sample, medians};
use report::{Bench, Figure, Machine, Row};
use rows::{Case, Setting};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is measured, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each thing is run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Database to judge with; default: a small one made in code
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Also build a database from the feeds of this feeds.toml, and measure it
    #[arg(long, value_name = "FILE")]
    feeds: Option<PathBuf>,
    /// Also write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Take the release programs that are there
    #[arg(long)]
    no_build: bool,
}

/// The released programs, and what they may weigh in megabytes.
const PROGRAMS: [(&str, f64); 2] = [("kubectl-scan", 15.0), ("tidewaiter", 25.0)];

/// Measures and prints. A budget that is missed is a result; an error is what could not be measured.
pub(crate) fn run(root: &Path, args: &Args) -> Result<bool> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    if !args.no_build {
        build(root, &target.join("bench"))?;
    }
    let release = target.join("release");
    let (scanner, helper) = (release.join("kubectl-scan"), release.join("xtask"));
    let bench = target.join("bench");
    for needed in [&scanner, &helper, &rematch::program(&bench)] {
        if !needed.is_file() {
            bail!("{}: not built; run without --no-build", needed.display());
        }
    }
    let inputs = Inputs::ready(&bench)?;
    let small = bench.join("small.db");
    database::write_small(&small)?;
    let scratch = bench.join("run");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    }
    fs::create_dir_all(&scratch)?;
    let db = args.db.as_deref().unwrap_or(&small);
    let setting = Setting { scanner: &scanner, helper: &helper, db, inputs: &inputs, bench: &bench, scratch: &scratch };
    let measured = measure_all(&setting, args, &release);
    let _ = fs::remove_dir_all(&scratch);
    let measured = measured?;
    measured.print();
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_vec_pretty(&measured)?).with_context(|| path.display().to_string())?;
    }
    Ok(true)
}

fn build(root: &Path, bench: &Path) -> Result<()> {
    image::release(root)?;
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--locked", "-p", "xtask"]).current_dir(root);
    if !command.status().context("cargo cannot be run")?.success() {
        bail!("the programs do not build; see above");
    }
    rematch::build(root, bench)
}

fn measure_all(setting: &Setting<'_>, args: &Args, release: &Path) -> Result<Bench> {
    let (machine, rounds) = (Machine::here(), usize::from(args.rounds));
    let scans = checked(setting.scans()?)?;
    let (peers, remarks) = peers::find(setting);
    let cases = rows::grouped([setting.floors(), scans, setting.others(), peers].concat());
    let samples = interleave(&cases, rounds)?;
    let medians: Vec<Sample> = samples.iter().map(|s| medians(s)).collect();
    let best = report::floors(&cases, &medians);
    let rows = cases.iter().zip(medians).zip(samples).map(|((case, median), samples)| {
        Row::new(case, median, samples, case.floor.and_then(|name| best.get(name).copied()))
    });
    let rows = rows.collect();
    let mut figures = match &args.feeds {
        Some(feeds) => built(setting, feeds)?,
        None => database::figures(setting.helper, setting.db)?,
    };
    if args.feeds.is_none() && args.db.is_none() {
        // What the small database weighs says nothing of real ones.
        figures.retain(Figure::is_time);
    }
    figures.extend(rematch::figures(setting.bench, rounds)?);
    figures.extend(weights(release)?);
    Ok(Bench { machine, rounds, rows, figures, remarks })
}

/// Every scan once, unmeasured: it must see packages, and leaves what the warm runs find.
fn checked(mut scans: Vec<Case>) -> Result<Vec<Case>> {
    scans.first().context("no scans")?.fill_cache()?;
    for case in &mut scans {
        let (packages, findings, code) = case.check()?;
        case.code = Some(code);
        eprintln!("{}: {packages} packages, {findings} findings, exit code {code}", case.name);
    }
    Ok(scans)
}

/// Every case once, then every case again: what disturbs the machine disturbs them all.
fn interleave(cases: &[Case], rounds: usize) -> Result<Vec<Vec<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (case, samples) in cases.iter().zip(&mut samples) {
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
fn built(setting: &Setting<'_>, feeds: &Path) -> Result<Vec<Figure>> {
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
    figures.extend(database::figures(setting.helper, &db)?);
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
