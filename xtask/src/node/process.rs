//! Runs programs in the background, and waits with a condition and a deadline.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait: much longer than any step takes, since other work may slow the machine down.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// A running program; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; its output is appended to the log.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = fs::File::options().create(true).append(true).open(log).context(log.display().to_string())?;
        let both = file.try_clone()?;
        let command = command.stdin(Stdio::null()).stdout(both).stderr(file);
        let child = command.spawn().with_context(|| format!("{} cannot be run", command.get_program().display()))?;
        Ok(Process { child, log: log.to_owned() })
    }

    /// Fails, with the end of its log, if it has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("ended ({status}); the end of its log:\n{}", self.last_words());
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until `ask` returns a value, for at most `limit`.
pub(crate) fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().with_context(|| format!("waiting until {what}"))? {
            return Ok(answer);
        }
        if began.elapsed() > limit {
            bail!("after {} s still waiting until {what}", limit.as_secs());
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Runs a command that must succeed; returns its output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be run"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if !out.status.success() {
        bail!("{command:?} failed ({}): {text}{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    Ok(text)
}
