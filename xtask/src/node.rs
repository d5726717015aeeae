//! tidewaiter on a real node: a kubelet, containerd, Pods that really run, installed by the README's own commands.
//!
//! ```text
//! outside: packages → programs → traces (folder, cgroup, kernel settings) → namespaces → … → traces removed
//! inside:  network → registry → control plane → containerd, kubelet → README's commands → stories → transcript
//! ```
//!
//! The second half runs in namespaces of its own for processes, mounts and network: whatever ends it, the kernel ends
//! everything that it started, and nothing there reaches the outside. For developers, not for CI: it needs root.

mod images;
mod inside;
mod install;
mod leftovers;
mod machine;
mod network;
mod outside;
mod packages;
mod play;
mod process;
mod registry;
mod stories;
mod transcript;

use crate::{controlplane, demo, image};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

pub(crate) use inside::run as run_inside;

/// What a developer may ask for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write what is seen to docs/real-node.md
    #[arg(long)]
    transcript: bool,
    /// Install the release programs, as a user does; without it the debug programs, which build faster
    #[arg(long)]
    release: bool,
    /// Leave everything running after the last story, or after a failure, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Folder of programs that are built, instead of building
    #[arg(long, value_name = "DIR", hide = true)]
    programs: Option<PathBuf>,
}

/// What the half in the namespaces is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Inside {
    #[command(flatten)]
    args: Args,
    /// Folder for everything that is written
    #[arg(long)]
    work: PathBuf,
    /// The node's own part of the control groups
    #[arg(long)]
    cgroup: String,
    /// Folder of `tidewaiter` and `kubectl-scan`
    #[arg(long)]
    built: PathBuf,
    /// The control plane's binary, with a kubelet in it
    #[arg(long)]
    controlplane: PathBuf,
}

/// Builds what is missing, plays the stories in namespaces of their own, and takes everything down.
pub(crate) fn run(root: &Path, args: &Args) -> Result<bool> {
    if !nix::unistd::Uid::effective().is_root() {
        bail!("a real node needs root (namespaces, mounts, control groups); run this as root on a machine of your own");
    }
    packages::ensure()?;
    let programs = match &args.programs {
        Some(folder) => folder.clone(),
        None if args.release => image::release(root)?,
        None => demo::programs(root)?,
    };
    let controlplane = controlplane::ensure_with_kubelet(root)?;
    let traces = outside::Traces::leave()?;
    let outcome = outside::run_apart(&traces, args, &programs, &controlplane);
    traces.remove()?;
    outcome
}
