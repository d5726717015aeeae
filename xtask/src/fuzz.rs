//! Runs every target of `fuzz` under libFuzzer, guided by coverage.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tidewaiter_io::in_order;

/// The instrumentation that libFuzzer reads coverage from: what `cargo fuzz` sets on a nightly compiler. Flags of LLVM, whose
/// meaning may change with the compiler, so they are used for fuzzing only.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing -Cdebug-assertions -Coverflow-checks";
/// Longest input in bytes: the parsers' headers and tables are shorter, and longer inputs are slow.
const MAX_INPUT: u64 = 4096;
/// Longest input in bytes that is stored in the project.
const MAX_KEPT_INPUT: u64 = 1024;
/// Inputs stored in the project for each target: they are run in every `cargo test`.
const MAX_KEPT: usize = 12;
/// Limits of one input: an input of 4 KiB that takes longer, or more memory, is a denial of service.
const MAX_SECONDS: u64 = 5;
const MAX_MIB: u64 = 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// Executions of each target
    #[arg(long, default_value_t = 5_000_000, value_name = "N")]
    executions: u64,
    /// Maximum concurrent targets
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    /// Store a few inputs that together cover what was reached, in fuzz/corpus
    #[arg(long)]
    keep: bool,
    /// Targets; default: all
    targets: Vec<String>,
}

/// The fuzzer and its folders.
struct FuzzPlaces {
    program: PathBuf,
    /// The project's inputs.
    kept: PathBuf,
    /// All inputs found on this machine.
    corpus: PathBuf,
    /// Inputs that broke something.
    broken: PathBuf,
}

/// Runs the targets; true if no input broke one.
pub(crate) fn run(root: &Path, args: &FuzzArgs) -> Result<bool> {
    let places = FuzzPlaces {
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
    let sound = in_order(args.jobs, &chosen, |name| one(&places, args, name).with_context(|| name.clone()))?;
    Ok(sound.into_iter().all(|sound| sound))
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

/// The names of all targets, from the program's message about an unknown one.
fn targets(places: &FuzzPlaces) -> Result<Vec<String>> {
    let output = Command::new(&places.program).env("FUZZ_TARGET", "?").output()?;
    let text = String::from_utf8(output.stderr)?;
    let (_, names) = text.trim().split_once("none of: ").with_context(|| format!("unexpected answer: {text}"))?;
    Ok(names.split(' ').map(str::to_owned).collect())
}

fn one(places: &FuzzPlaces, args: &FuzzArgs, name: &str) -> Result<bool> {
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
fn fuzzer(places: &FuzzPlaces, name: &str) -> Command {
    let mut command = Command::new(&places.program);
    command.env("FUZZ_TARGET", name).stdin(Stdio::null());
    // Some targets write their input to a file first, thousands of times a second.
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

/// Replaces the project's inputs of a target by some that cover everything found. Inputs with a name of their own stay.
fn keep(places: &FuzzPlaces, name: &str) -> Result<()> {
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
    // Spread over all sizes: the smallest inputs end in the first check.
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
