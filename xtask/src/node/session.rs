//! A shell session: typed commands, what they print, and the expected results. Everything printed is recorded for
//! docs/real-node.md.

use super::process::{LONGEST_WAIT, until};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where commands are run, with which programs and cluster.
#[derive(Debug)]
pub(crate) struct Shell {
    /// The working directory.
    pub folder: PathBuf,
    /// PATH.
    pub path: OsString,
    /// KUBECONFIG.
    pub kubeconfig: PathBuf,
}

impl Shell {
    /// A command line with stderr merged into stdout, and a time limit: a command that hangs must not block the run.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("timeout");
        command.arg("300").args(["sh", "-c"]).arg(format!("exec 2>&1; {line}"));
        command.current_dir(&self.folder).env("PATH", &self.path).env("KUBECONFIG", &self.kubeconfig);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }
}

/// The commands and their output so far.
#[derive(Debug)]
pub(crate) struct Session {
    shell: Shell,
    /// Paths of this machine, and what replaces them in the record.
    stand_ins: Vec<(String, &'static str)>,
    text: String,
}

impl Session {
    /// An empty session.
    pub(crate) fn new(shell: Shell, stand_ins: &[(&Path, &'static str)]) -> Self {
        let stand_ins = stand_ins.iter().map(|(path, name)| (path.display().to_string(), *name)).collect();
        Session { shell, stand_ins, text: String::new() }
    }

    /// Everything printed so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The working directory.
    pub(crate) fn folder(&self) -> &Path {
        &self.shell.folder
    }

    /// Prints a title.
    pub(crate) fn title(&mut self, text: &str) {
        self.print(&format!("\n== {text}"));
    }

    /// Prints a remark for the reader.
    pub(crate) fn note(&mut self, text: &str) {
        self.print(&format!("\n# {text}"));
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&mut self, line: &str) -> Result<String> {
        self.ends(line, 0)
    }

    /// Runs a command that must end with this exit code.
    pub(crate) fn ends(&mut self, line: &str, code: i32) -> Result<String> {
        self.types(line, line, code)
    }

    /// Prints one command and runs another, its equivalent here, that must end with this exit code.
    pub(crate) fn types(&mut self, shown: &str, done: &str, code: i32) -> Result<String> {
        self.print(&format!("\n$ {shown}"));
        let mut child = self.shell.command(done).spawn().with_context(|| shown.to_owned())?;
        let mut said = String::new();
        for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
            let line = line?;
            self.print(&line);
            said.push_str(&line);
            said.push('\n');
        }
        let ended = child.wait()?.code().unwrap_or(-1);
        if ended != code {
            bail!("`{shown}` ended with {ended}, not {code}");
        }
        Ok(said)
    }

    /// Runs a command that must fail with this message.
    pub(crate) fn refused(&mut self, line: &str, why: &str) -> Result<()> {
        let said = self.ends(line, 1)?;
        if !said.contains(why) {
            bail!("`{line}` does not say `{why}`");
        }
        Ok(())
    }

    /// Runs a command until its output has all these words; prints the last run.
    pub(crate) fn becomes(&mut self, line: &str, words: &[&str]) -> Result<String> {
        let mut last = String::new();
        let what = format!("`{line}` shows {words:?}");
        let seen = until(&what, LONGEST_WAIT, || self.shows(line, words, &mut last));
        self.print(&format!("\n$ {line}\n{}", last.trim_end()));
        seen.map(|()| last)
    }

    fn shows(&self, line: &str, words: &[&str], last: &mut String) -> Result<Option<()>> {
        *last = self.quietly(line)?;
        Ok(words.iter().all(|word| last.contains(word)).then_some(()))
    }

    /// The output of a command, whatever its exit code; nothing is printed.
    pub(crate) fn quietly(&self, line: &str) -> Result<String> {
        let out = self.shell.command(line).output().with_context(|| line.to_owned())?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    fn print(&mut self, text: &str) {
        let text = self.stand_ins.iter().fold(text.to_owned(), |text, (path, name)| text.replace(path, name));
        println!("{text}");
        self.text.push_str(&text);
        self.text.push('\n');
    }
}
