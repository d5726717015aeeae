//! A shell session: typed commands, what they print, and the expected results. Everything printed is recorded for
//! docs/real-node.md.

use super::process::{PATIENCE, until};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who types the commands: where, and with which programs and cluster.
#[derive(Debug)]
pub(crate) struct Shell {
    /// The folder the commands are typed in.
    pub folder: PathBuf,
    /// PATH.
    pub path: OsString,
    /// KUBECONFIG.
    pub kubeconfig: PathBuf,
}

impl Shell {
    /// A command line, with its errors among what it prints, and a time after which it is ended.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("timeout");
        command.arg("300").args(["sh", "-c"]).arg(format!("exec 2>&1; {line}"));
        command.current_dir(&self.folder).env("PATH", &self.path).env("KUBECONFIG", &self.kubeconfig);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).env_remove("TIDEWAITER_SERVER");
        command
    }
}

/// The commands so far.
#[derive(Debug)]
pub(crate) struct Session {
    shell: Shell,
    /// Paths of this machine, and what stands for them.
    stand_ins: Vec<(String, &'static str)>,
    text: String,
}

impl Session {
    /// Nothing yet.
    pub(crate) fn new(shell: Shell, stand_ins: &[(&Path, &'static str)]) -> Self {
        let stand_ins = stand_ins.iter().map(|(path, name)| (path.display().to_string(), *name)).collect();
        Session { shell, stand_ins, text: String::new() }
    }

    /// Everything printed so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where the commands are typed.
    pub(crate) fn folder(&self) -> &Path {
        &self.shell.folder
    }

    /// The title of what follows.
    pub(crate) fn title(&mut self, text: &str) {
        self.print(&format!("\n== {text}"));
    }

    /// What the reader must know.
    pub(crate) fn note(&mut self, text: &str) {
        self.print(&format!("\n# {text}"));
    }

    /// Types a command that must succeed.
    pub(crate) fn run(&mut self, line: &str) -> Result<String> {
        self.ends(line, 0)
    }

    /// Types a command that must end with this code.
    pub(crate) fn ends(&mut self, line: &str, code: i32) -> Result<String> {
        self.types(line, line, code)
    }

    /// Types a command, does another one that is the same here, and wants this exit code.
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

    /// Types a command that must fail and say this.
    pub(crate) fn refused(&mut self, line: &str, why: &str) -> Result<()> {
        let said = self.ends(line, 1)?;
        if !said.contains(why) {
            bail!("`{line}` does not say `{why}`");
        }
        Ok(())
    }

    /// Types a command once its output holds all these words.
    pub(crate) fn becomes(&mut self, line: &str, words: &[&str]) -> Result<String> {
        let mut last = String::new();
        let what = format!("`{line}` shows {words:?}");
        let seen = until(&what, PATIENCE, || self.shows(line, words, &mut last));
        self.print(&format!("\n$ {line}\n{}", last.trim_end()));
        seen.map(|()| last)
    }

    fn shows(&self, line: &str, words: &[&str], last: &mut String) -> Result<Option<()>> {
        *last = self.quietly(line)?;
        Ok(words.iter().all(|word| last.contains(word)).then_some(()))
    }

    /// What a command says, whatever comes of it; nothing is printed.
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
