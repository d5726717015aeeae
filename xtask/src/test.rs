//! Runs every test, and says which ones this machine skipped.

use crate::{demo, gitops, monitoring, report_definitions};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::{confined, skip};

/// The user stories.
pub(crate) const STORIES: &str = "tidewaiter-e2e";
/// Maximum concurrent clusters: each takes some 700 MiB.
const MAX_THREADS: usize = 4;

/// Builds what the stories need and runs the workspace's tests, documentation tests included; true if all pass. The last
/// line says how many were skipped.
pub(crate) fn run(root: &Path) -> Result<bool> {
    demo::places(root)?;
    let record = record(root)?;
    // Without a target like `--all-targets`, cargo runs the libraries' documentation tests too.
    let mut command = test(root, &["--workspace", "--no-fail-fast"], &record);
    let confined = confined::is_possible();
    if confined {
        gitops::ensure(root)?;
        monitoring::ensure(root)?;
        report_definitions::ensure_fetched(root)?;
    } else {
        command.args(["--exclude", STORIES]);
        for story in stories(root)? {
            fs::write(
                &record,
                fs::read_to_string(&record)? + &format!("{story}\tneeds root, to confine the server\n"),
            )?;
        }
    }
    let status = command.status().context("cargo test cannot be run")?;
    let good = fuzz(root, &record)? && status.success();
    print_skipped(&record)?;
    Ok(good)
}

/// Prints the skipped tests of a finished run.
pub(crate) fn print_skipped(record: &Path) -> Result<()> {
    let recorded = fs::read_to_string(record).with_context(|| record.display().to_string())?;
    println!("{}", summary(&recorded));
    Ok(())
}

/// An empty file for the skipped tests of this run.
pub(crate) fn record(root: &Path) -> Result<PathBuf> {
    let path = root.join("target/skipped-tests");
    fs::write(&path, "").with_context(|| path.display().to_string())?;
    Ok(path)
}

/// `cargo test` with these arguments, which records what it skips.
pub(crate) fn test(root: &Path, args: &[&str], record: &Path) -> Command {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--locked"]).args(args).current_dir(root);
    // A changed snapshot fails and leaves no file: an output is changed and accepted on purpose.
    command.env(skip::RECORD, record).env("INSTA_UPDATE", "no");
    command.env("RUST_TEST_THREADS", threads.to_string());
    command
}

/// The names of the stories.
fn stories(root: &Path) -> Result<Vec<String>> {
    let args = ["test", "--quiet", "--locked", "-p", STORIES, "--", "--list"];
    let listed =
        Command::new(env!("CARGO")).args(args).current_dir(root).output().context("cargo test cannot be run")?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Runs every parser of hostile bytes over some thousand mutations, on the stable compiler.
fn fuzz(root: &Path, record: &Path) -> Result<bool> {
    let mut command = test(root, &["--manifest-path", "fuzz/Cargo.toml"], record);
    // A workspace of its own, with other features: in the same folder it would rebuild the dependencies each time.
    command.env("CARGO_TARGET_DIR", root.join("target/fuzz"));
    Ok(command.status().context("cargo test cannot be run")?.success())
}

/// The skipped tests by reason, and their number in the last line.
fn summary(recorded: &str) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (test, reason) in recorded.lines().filter_map(|line| line.split_once('\t')) {
        by_reason.entry(reason).or_default().push(test);
    }
    let mut out = String::new();
    let (mut count, mut reasons) = (0, Vec::new());
    for (reason, mut tests) in by_reason {
        tests.sort_unstable();
        out.push_str(&format!("skipped, {reason}: {}\n", tests.join(", ")));
        count += tests.len();
        reasons.push(format!("{} {reason}", tests.len()));
    }
    match count {
        0 => "no test was skipped".to_owned(),
        _ => format!("{out}skipped tests: {count} ({})", reasons.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn skipped_tests_are_counted_and_named() {
        let check = |recorded: &str, expected: &str| assert_eq!(summary(recorded), expected);
        check("", "no test was skipped");
        check(
            "b\tneeds root\na\tneeds root\nc\tneeds ../shared/x\n",
            "skipped, needs ../shared/x: c\nskipped, needs root: a, b\nskipped tests: 3 (1 needs ../shared/x; 2 needs root)",
        );
    }
}
