//! What changes outside of the namespaces, and is undone: a folder, a control group, kernel settings.

use super::args::NodeArgs;
use super::machine;
use super::process::until;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Kernel settings that a kubelet changes for the whole machine.
const SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// All changes that would outlive the namespaces.
#[derive(Debug)]
pub(crate) struct HostChanges {
    folder: tempfile::TempDir,
    cgroup: String,
    settings: Vec<(PathBuf, String)>,
    /// Locked until the changes are undone: a second run would save the settings of the first one as the machine's.
    lock: fs::File,
}

impl HostChanges {
    /// Makes the changes; the caller must `undo` them.
    pub(crate) fn make() -> Result<Self> {
        let lock = std::env::temp_dir().join("tidewaiter-node.lock");
        let lock = fs::File::create(&lock).with_context(|| lock.display().to_string())?;
        lock.try_lock().context("another `cargo xtask node` runs on this machine; wait for its end")?;
        let folder = tempfile::Builder::new().prefix("tidewaiter-node-").tempdir()?;
        let cgroup = format!("tidewaiter-node-{}", std::process::id());
        let mut settings = Vec::new();
        for path in SETTINGS.map(|name| Path::new("/proc/sys").join(name)) {
            let value = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            settings.push((path, value));
        }
        // A kubelet requires its control group to exist.
        for hierarchy in machine::hierarchies()? {
            let path = hierarchy.join(&cgroup);
            fs::create_dir(&path).with_context(|| path.display().to_string())?;
        }
        Ok(HostChanges { folder, cgroup, settings, lock })
    }

    /// Undoes the changes. Processes were killed before, but the control group is busy until they are gone.
    pub(crate) fn undo(self) -> Result<()> {
        for hierarchy in machine::hierarchies()? {
            let group = hierarchy.join(&self.cgroup);
            let what = format!("{} is removed", group.display());
            until(&what, Duration::from_secs(30), || Ok(remove_group(&group).ok()))?;
        }
        for (path, value) in &self.settings {
            fs::write(path, value).with_context(|| format!("{}: it was {}", path.display(), value.trim()))?;
        }
        let path = self.folder.path().to_owned();
        self.folder.close().with_context(|| format!("{} was not removed; remove it", path.display()))?;
        self.lock.unlock().context("the lock cannot be released")
    }
}

/// Removes a control group and its descendants: folders only, since their files belong to the kernel.
fn remove_group(group: &Path) -> std::io::Result<()> {
    if !group.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_group(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

/// Runs the second half in namespaces of its own, which end with it.
pub(crate) fn run_apart(changes: &HostChanges, args: &NodeArgs, programs: &Path, controlplane: &Path) -> Result<bool> {
    // A copy, since a build may have replaced the file of this program.
    let own = changes.folder.path().join("xtask");
    fs::copy("/proc/self/exe", &own).context("this program cannot be copied")?;
    // Blocked before the second half starts, so that no signal is missed; it unblocks them for itself.
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect();
    signals.thread_block().context("signals cannot be blocked")?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    // Process 1 of the namespace is a shell, which reaps orphans.
    command.args(["sh", "-c", r#""$0" "$@"; exit $?"#]).arg(own).arg("node-inside");
    command.env("TMPDIR", changes.folder.path());
    command.arg("--work").arg(changes.folder.path()).arg("--cgroup").arg(&changes.cgroup);
    command.arg("--built").arg(programs).arg("--controlplane").arg(controlplane);
    let flags = [("--transcript", args.transcript), ("--release", args.release), ("--keep", args.keep)];
    command.args(flags.iter().filter(|(_, wanted)| *wanted).map(|(flag, _)| flag));
    // In a process group of its own, so that Ctrl-C reaches this half only, which ends the other in order.
    let mut child = command.process_group(0).spawn().context("unshare cannot be run")?;
    match wait(&mut child, &signals)? {
        Some(status) => Ok(status.success()),
        None => bail!("interrupted; everything was stopped"),
    }
}

/// Waits for the second half; `None` if a signal to this process ended it.
fn wait(child: &mut Child, signals: &SigSet) -> Result<Option<ExitStatus>> {
    loop {
        if signals.wait().context("signals cannot be waited for")? != Signal::SIGCHLD {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
    }
}
