//! Every target of `fuzz` under libFuzzer, led by coverage.

use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What makes the compiler tell libFuzzer where an input leads. Stable flags of an unstable meaning: only used here.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing -Cdebug-assertions -Coverflow-checks";
/// Bytes of an input, at most, and of one that is kept in the project.
const MAX_INPUT: u64 = 4096;
const MAX_KEPT_INPUT: u64 = 1024;
/// Inputs kept in the project for each target.
const MAX_KEPT: usize = 12;
/// Seconds that one input may take, and MiB.
const MAX_SECONDS: u64 = 5;
const MAX_MIB: u64 = 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Executions of each target
    #[arg(long, default_value_t = 5_000_000, value_name = "N")]
    executions: u64,
    /// Targets at once
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    /// Keep the smallest inputs that together reach the most, under fuzz/corpus
    #[arg(long)]
    keep: bool,
    /// Targets (default: all)
    targets: Vec<String>,
}

/// Where things are.
struct Places {
    program: PathBuf,
    /// The project's inputs.
    kept: PathBuf,
    /// All inputs found on this machine.
    corpus: PathBuf,
    /// Inputs that broke something.
    broken: PathBuf,
}

/// Runs the targets; true when nothing broke.
pub(crate) fn run(root: &Path, args: &Args) -> Result<bool> {
    let places = Places {
        program: build(root)?,
        kept: root.join("fuzz/corpus"),
        corpus: root.join("target/fuzz/corpus"),
        broken: root.join("target/fuzz/broken"),
    };
    let known = targets(&places)?;
    if let Some(unknown) = args.targets.iter().find(|t| !known.contains(t)) {
        bail!("there is no target {unknown}; there are: {}", known.join(" "));
    }
    let chosen = if args.targets.is_empty() { known } else { args.targets.clone() };
    println!("{:20} {:>12} {:>9} {:>9} {:>8}  RESULT", "TARGET", "EXECUTIONS", "SECONDS", "FEATURES", "CORPUS");
    let queue: Mutex<VecDeque<String>> = Mutex::new(chosen.into());
    let results = std::thread::scope(|scope| {
        let worker = || -> Result<bool> {
            let mut sound = true;
            while let Some(name) = { queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() } {
                sound &= one(&places, args, &name).with_context(|| name.clone())?;
            }
            Ok(sound)
        };
        let workers: Vec<_> = (0..args.jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|w| w.join().unwrap_or_else(|_| bail!("a worker panicked"))).collect::<Vec<_>>()
    });
    results.into_iter().try_fold(true, |all, sound| Ok(all & sound?))
}

fn build(root: &Path) -> Result<PathBuf> {
    let host = Command::new("rustc").args(["--print", "host-tuple"]).current_dir(root).output()?;
    let host = String::from_utf8(host.stdout)?.trim().to_owned();
    let target = root.join("target/fuzz");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--locked", "--release", "--features", "libfuzzer", "--target", &host]);
    command.args(["--manifest-path", "fuzz/Cargo.toml"]).current_dir(root);
    command.env("RUSTFLAGS", INSTRUMENTED).env("CARGO_TARGET_DIR", &target);
    if !command.status().context("cargo cannot be run")?.success() {
        bail!("the targets cannot be built (libFuzzer needs a C++ compiler)");
    }
    Ok(target.join(host).join("release/targets"))
}

/// The names of all targets, as the program tells them.
fn targets(places: &Places) -> Result<Vec<String>> {
    let output = Command::new(&places.program).env("FUZZ_TARGET", "?").output()?;
    let text = String::from_utf8(output.stderr)?;
    let (_, names) = text.trim().split_once("none of: ").with_context(|| format!("unexpected answer: {text}"))?;
    Ok(names.split(' ').map(str::to_owned).collect())
}

fn one(places: &Places, args: &Args, name: &str) -> Result<bool> {
    let (corpus, broken) = (places.corpus.join(name), places.broken.join(name));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&broken)?;
    let began = Instant::now();
    let mut command = fuzzer(places, name);
    command.env("FUZZ_SEED", corpus.join("seed")).arg(&corpus);
    command.args(Some(places.kept.join(name)).filter(|kept| kept.is_dir()));
    command.arg(format!("-runs={}", args.executions)).arg(format!("-artifact_prefix={}/", broken.display()));
    command.args(["-print_final_stats=1", "-reload=0"]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let log = places.broken.join(format!("{name}.log"));
    let result = if output.status.success() { "ok".to_owned() } else { format!("BROKEN, see {}", log.display()) };
    if !output.status.success() {
        fs::write(&log, text.as_bytes())?;
    }
    println!("{}", line(name, &text, began.elapsed(), &result));
    if args.keep && output.status.success() {
        keep(places, name)?;
    }
    Ok(output.status.success())
}

/// One target of the program, with the limits of one input.
fn fuzzer(places: &Places, name: &str) -> Command {
    let mut command = Command::new(&places.program);
    command.env("FUZZ_TARGET", name).stdin(Stdio::null());
    // Some targets write their input to a file first.
    let memory = Path::new("/dev/shm");
    command.envs(memory.is_dir().then_some(("TMPDIR", memory)));
    command.arg(format!("-max_len={MAX_INPUT}"));
    command.arg(format!("-timeout={MAX_SECONDS}")).arg(format!("-rss_limit_mb={MAX_MIB}"));
    command
}

fn line(name: &str, text: &str, took: Duration, result: &str) -> String {
    let executions =
        text.lines().find_map(|l| l.strip_prefix("stat::number_of_executed_units:")).map_or("?", str::trim);
    let last = text.lines().rev().find(|l| l.starts_with('#') && l.contains(" ft: ")).unwrap_or_default();
    let after = |key: &str| last.split_once(key).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("?");
    let seconds = took.as_secs();
    format!("{name:20} {executions:>12} {seconds:>9} {:>9} {:>8}  {result}", after(" ft: "), after(" corp: "))
}

/// Replaces the project's inputs of a target by some of those that cover everything found; those with names stay.
fn keep(places: &Places, name: &str) -> Result<()> {
    let (from, into) = (places.corpus.join(name), places.kept.join(name));
    let covering = places.corpus.join(format!("{name}.covering"));
    let _ = fs::remove_dir_all(&covering);
    fs::create_dir_all(&covering)?;
    let mut command = fuzzer(places, name);
    command.arg("-set_cover_merge=1").arg(&covering).arg(&from).args(Some(&into).filter(|kept| kept.is_dir()));
    if !command.stderr(Stdio::null()).status()?.success() {
        bail!("the corpus cannot be merged");
    }
    fs::create_dir_all(&into)?;
    for entry in fs::read_dir(&into)? {
        let entry = entry?;
        if is_found(&entry.file_name()) {
            fs::remove_file(entry.path())?;
        }
    }
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&covering)? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        if size <= MAX_KEPT_INPUT && is_found(&entry.file_name()) {
            inputs.push((size, entry.path()));
        }
    }
    inputs.sort();
    // Spread over all sizes: the smallest alone lead nowhere.
    let step = inputs.len().div_ceil(MAX_KEPT).max(1);
    for (_, input) in inputs.iter().step_by(step) {
        let name = input.file_name().context("an input has a name")?;
        fs::copy(input, into.join(name))?;
    }
    fs::remove_dir_all(&covering)?;
    Ok(())
}

/// Whether libFuzzer named it: by its SHA-1.
fn is_found(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|n| n.len() == 40 && n.bytes().all(|b| b.is_ascii_hexdigit()))
}
