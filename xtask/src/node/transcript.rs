//! Writes the session as a page of the documentation: a record of one run, which no check compares.

use super::args::InsideArgs;
use super::process::output;
use super::session::Session;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes docs/real-node.md.
pub(crate) fn write(root: &Path, inside: &InsideArgs, session: &Session) -> Result<()> {
    let said = |program: &str, arg: &str| output(Command::new(program).arg(arg));
    let first = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
    let kubernetes = session.quietly("kubectl version 2> /dev/null | grep ^Server")?;
    let (command, programs) = match inside.args.release {
        true => ("cargo xtask node --release --transcript", "release"),
        false => ("cargo xtask node --transcript", "debug"),
    };
    let head = format!(
        "# tidewaiter on a real node\n\n\
         A record of `{command}` on {}: a real kubelet and containerd, images\n\
         that are pulled, Pods that run. tidewaiter (its {programs} programs) is installed and uninstalled by the README's\n\
         commands, which are read from there. The command checks every exit code, and each output that it waits for. Names,\n\
         times and digests differ with every run.\n\n\
         | Kubernetes | containerd | runc | kernel |\n|---|---|---|---|\n| {} | {} | {} | {} |\n",
        first(said("date", "-I")?),
        kubernetes.trim().trim_start_matches("Server Version: "),
        version(&first(said("containerd", "--version")?)),
        version(&first(said("runc", "--version")?)),
        first(said("uname", "-r")?),
    );
    let path = root.join("docs/real-node.md");
    fs::write(&path, head + &sections(session.text())).with_context(|| path.display().to_string())?;
    println!("\nwritten: docs/real-node.md");
    Ok(())
}

/// The first word of a line that looks like a version.
fn version(line: &str) -> String {
    let numbers = |word: &&str| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    line.split_whitespace().find(numbers).unwrap_or(line).to_owned()
}

/// A heading for each title, with a block of the text below it.
fn sections(text: &str) -> String {
    let mut page = String::new();
    for section in text.split("\n== ").filter(|section| !section.trim().is_empty()) {
        let (title, body) = section.split_once('\n').unwrap_or((section, ""));
        page += &format!("\n## {}\n\n```text\n{}\n```\n", title.trim_start_matches("== "), body.trim_matches('\n'));
    }
    page
}
