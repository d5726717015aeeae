//! The machine of the node: containerd and the kubelet, their configuration, and how the machine crashes.

use super::args::InsideArgs;
use super::network::{NODE, PODS};
use super::packages::NETWORK_PLUGINS;
use super::process::{LONGEST_WAIT, Process, output, until};
use super::registry;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The node's name.
pub(crate) const NAME: &str = "node-0";
/// The image of the container that keeps a Pod's namespaces, in the node's own registry.
pub(crate) const PAUSE: &str = "pause:1";

/// containerd and the kubelet.
#[derive(Debug)]
pub(crate) struct NodeMachine {
    work: PathBuf,
    controlplane: PathBuf,
    cgroup: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    // Dropped, and so killed, in this order.
    kubelet: Process,
    containerd: Process,
}

impl NodeMachine {
    /// Writes their configuration. `state`: the control plane's folder, with the kubelet's credentials.
    pub(crate) fn new(inside: &InsideArgs, state: &Path) -> Result<Self> {
        let work = inside.work.clone();
        for (name, text) in [
            ("containerd.toml", include_str!("machine/containerd.toml")),
            ("cni/10-node.conflist", include_str!("machine/cni.json")),
            ("kubelet.yaml", include_str!("machine/kubelet.yaml")),
            // No name server is reachable, and the kubelet needs the file.
            ("resolv.conf", ""),
            (&format!("registries/{}/hosts.toml", registry::host()), include_str!("machine/hosts.toml")),
        ] {
            let text = text
                .replace("WORK", &work.display().to_string())
                .replace("STATE", &state.display().to_string())
                .replace("CGROUP", &inside.cgroup)
                .replace("PLUGINS", NETWORK_PLUGINS)
                .replace("REGISTRY", &registry::host())
                .replace("PAUSE", PAUSE)
                .replace("PODS", PODS)
                .replace("NODE", NODE);
            let path = work.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&work))?;
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        fs::copy(state.join("node.kubeconfig"), work.join("node.kubeconfig"))?;
        let controlplane = inside.controlplane.clone();
        Ok(NodeMachine { work, controlplane, cgroup: inside.cgroup.clone(), running: None })
    }

    /// Starts both, as when a machine is switched on.
    pub(crate) fn start(&mut self) -> Result<()> {
        let mut containerd = Command::new("containerd");
        containerd.arg("--config").arg(self.work.join("containerd.toml"));
        let mut containerd = Process::start(&mut containerd, &self.work.join("containerd.log"))?;
        let socket = self.work.join("containerd/containerd.sock");
        until("containerd answers", LONGEST_WAIT, || answers(&mut containerd, &socket))?;
        let mut kubelet = Command::new(&self.controlplane);
        kubelet.arg("kubelet").arg("--config").arg(self.work.join("kubelet.yaml"));
        kubelet.arg("--kubeconfig").arg(self.work.join("node.kubeconfig"));
        kubelet.arg("--root-dir").arg(self.work.join("kubelet")).arg("--cert-dir").arg(self.work.join("kubelet/pki"));
        kubelet.args(["--hostname-override", NAME, "--node-ip", NODE]);
        let kubelet = Process::start(&mut kubelet, &self.work.join("kubelet.log"))?;
        self.running = Some(Running { kubelet, containerd });
        Ok(())
    }

    /// Fails, with the end of its log, if one of them has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        running.containerd.still_runs().context("containerd")?;
        running.kubelet.still_runs().context("the kubelet")
    }

    /// Kills both, every shim and every container at the same time, as a power failure does.
    pub(crate) fn crash(&mut self) -> Result<()> {
        self.running = None;
        until("no container and no shim runs", LONGEST_WAIT, || self.kill_containers())
    }

    fn kill_containers(&self) -> Result<Option<()>> {
        let mut all = shims()?;
        // Every container is in all hierarchies, so one is enough.
        if let Some(hierarchy) = hierarchies()?.first() {
            members(&hierarchy.join(&self.cgroup), &mut all)?;
        }
        for process in &all {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(*process), Signal::SIGKILL);
        }
        Ok(all.is_empty().then_some(()))
    }
}

fn answers(containerd: &mut Process, socket: &Path) -> Result<Option<()>> {
    containerd.still_runs()?;
    let said = output(Command::new("ctr").arg("--address").arg(socket).arg("version"));
    Ok(said.ok().map(drop))
}

/// The hierarchies of control groups: one (cgroup v2), or one for each controller (v1).
pub(crate) fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = PathBuf::from("/sys/fs/cgroup");
    if root.join("cgroup.controllers").is_file() {
        return Ok(vec![root]);
    }
    let listed = fs::read_dir(&root).with_context(|| root.display().to_string())?;
    let all = listed.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().filter(|path| !path.is_symlink() && path.join("cgroup.procs").is_file()).collect())
}

/// Collects the processes of a control group and its descendants.
fn members(group: &Path, into: &mut Vec<i32>) -> Result<()> {
    let listed = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    into.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()));
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type()?.is_dir() {
            members(&entry.path(), into)?;
        }
    }
    Ok(())
}

/// containerd's shims, which are outside of the containers' control groups; /proc is that of these namespaces.
fn shims() -> Result<Vec<i32>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<i32>().ok());
        let command = fs::read_to_string(path.join("comm")).unwrap_or_default();
        all.extend(number.filter(|_| command.starts_with("containerd-shim")));
    }
    Ok(all)
}
