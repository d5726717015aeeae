//! tidewaiter on a real node: a kubelet, containerd and Pods that run, installed by the README's own commands.
//!
//! ```text
//! outside: packages → programs → changes of the host (folder, cgroup, kernel settings) → namespaces → … → changes undone
//! inside:  network → registry → control plane → containerd, kubelet → README's commands → stories → transcript
//! ```
//!
//! The second half runs in namespaces of its own for processes, mounts and network. However it ends, the kernel ends
//! everything it started, and nothing there reaches the outside. For developers, not for CI: it needs root.

mod args;
mod images;
mod inside;
mod install;
mod leftovers;
mod machine;
mod network;
mod outside;
mod packages;
mod process;
mod registry;
mod session;
mod stage;
mod stories;
mod transcript;

use crate::{controlplane, demo, programs};
use anyhow::{Result, bail};
use std::path::Path;

pub(crate) use args::{InsideArgs, NodeArgs};
pub(crate) use inside::run as run_inside;

/// Builds what is missing, plays the stories in namespaces of their own, and undoes every change of the host.
pub(crate) fn run(root: &Path, args: &NodeArgs) -> Result<bool> {
    if !nix::unistd::Uid::effective().is_root() {
        bail!("a real node needs root (namespaces, mounts, control groups); run this as root on a machine of your own");
    }
    packages::ensure()?;
    let programs = match &args.programs {
        Some(folder) => folder.clone(),
        None if args.release => programs::release(root)?,
        None => demo::programs(root)?,
    };
    let controlplane = controlplane::ensure_with_kubelet(root)?;
    let changes = outside::HostChanges::make()?;
    let outcome = outside::run_apart(&changes, args, &programs, &controlplane);
    changes.undo()?;
    outcome
}
