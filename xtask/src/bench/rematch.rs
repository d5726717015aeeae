//! What a new database costs a store of 100,000 inventories, as the server's process re-matches them.

use super::measure::{self, medians};
use super::report::{Figure, mib};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const INVENTORIES: u32 = 100_000;
const PACKAGES: &str = "300";
/// Rises with what the store or the fleet is made of.
const FLEET: &str = "rematch-v1";

/// What the program says it did.
#[derive(Debug, Deserialize)]
struct Said {
    advisories: f64,
    inventories: f64,
    visited: f64,
    changed: f64,
}

/// The program in the folder of the benchmarks.
pub(crate) fn program(bench: &Path) -> PathBuf {
    bench.join("rematch")
}

/// Builds the program, a benchmark of the server's crate, and copies it to the folder: cargo puts benchmarks under names
/// with a hash.
pub(crate) fn build(root: &Path, bench: &Path) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["bench", "--no-run", "--locked", "-p", "tidewaiter", "--bench", "rematch"]).current_dir(root);
    let messages = output(command.args(["--message-format", "json-render-diagnostics"]))?;
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message.pointer("/target/kind/0")? == "bench";
        message.get("executable")?.as_str().filter(|_| is_it).map(PathBuf::from)
    };
    let built = String::from_utf8_lossy(&messages).lines().find_map(executable);
    fs::create_dir_all(bench)?;
    fs::copy(built.context("cargo built no benchmark")?, program(bench)).context("copying the benchmark")?;
    Ok(())
}

/// Fills the store once, re-matches it so many times, and gives the medians.
pub(crate) fn figures(bench: &Path, rounds: usize) -> Result<Vec<Figure>> {
    let program = &program(bench);
    let dir = filled(program, bench)?;
    let said = output(Command::new(program).arg("run").arg(&dir))?;
    let said: Said = serde_json::from_slice(&said)?;
    if said.inventories != f64::from(INVENTORIES) {
        bail!("{}: the re-match saw {} inventories, not {INVENTORIES}; remove it", dir.display(), said.inventories);
    }
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let sample = measure::run(Command::new(program).arg("run").arg(&dir))?;
        if sample.code != 0 {
            bail!("the re-match ended with exit code {}", sample.code);
        }
        samples.push(sample);
    }
    let median = medians(&samples);
    Ok(vec![
        Figure::new("re-match: wall", median.wall_ms / 1000.0, "s").at_most(2.0),
        Figure::new("re-match: CPU", median.cpu_ms / 1000.0, "s").at_most(2.0),
        Figure::new("re-match: RssAnon", mib(median.rss_anon), "MiB").at_most(512.0),
        Figure::new("re-match: changed advisories", said.advisories, ""),
        Figure::new("re-match: inventories", said.inventories, ""),
        Figure::new("re-match: judged again", said.visited, ""),
        Figure::new("re-match: with another report", said.changed, ""),
    ])
}

fn filled(program: &Path, bench: &Path) -> Result<PathBuf> {
    // Inventories of other analyzers are not looked at.
    let fleet = format!("{FLEET}-{}", tidewaiter_scan::analyze::VERSION);
    let dir = bench.join(&fleet);
    if !dir.exists() {
        eprintln!("filling a store with {INVENTORIES} inventories, once: some minutes, and about 1 GB");
        let part = bench.join(format!("{fleet}.part"));
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| part.display().to_string())?;
        }
        output(Command::new(program).arg("build").arg(&part).args([&INVENTORIES.to_string(), PACKAGES]))?;
        fs::rename(&part, &dir).with_context(|| dir.display().to_string())?;
    }
    Ok(dir)
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let out = command.output().context("the re-match cannot be run")?;
    if !out.status.success() {
        bail!("the re-match: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(out.stdout)
}
