//! Installs the programs of a node from Debian's packages.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use tidewaiter_testkit::cluster::which;

/// The folder of Debian's CNI plugins.
pub(crate) const NETWORK_PLUGINS: &str = "/usr/lib/cni";

/// (required program or file, its package).
const NEEDED: [(&str, &str); 7] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("docker-registry", "docker-registry"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("busybox", "busybox-static"),
];

/// Installs missing packages.
pub(crate) fn ensure() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if which("apt-get").is_none() {
        bail!(
            "missing: {}; install them with this system's package manager, since it has no apt-get",
            missing.join(", ")
        );
    }
    println!("installing {}", missing.join(", "));
    apt(&["update", "-q"])?;
    let install = ["install", "-q", "-y", "--no-install-recommends"];
    apt(&[&install, missing.as_slice()].concat())
}

fn missing() -> Vec<&'static str> {
    NEEDED.iter().filter(|(what, _)| !there(what)).map(|(_, package)| *package).collect()
}

fn there(what: &str) -> bool {
    match what {
        "busybox" => which(what).is_some_and(|path| is_static(&path)),
        path if path.starts_with('/') => Path::new(path).exists(),
        program => which(program).is_some(),
    }
}

/// Whether a program needs no shared library, and so runs in an image without any.
fn is_static(program: &Path) -> bool {
    Command::new("ldd").arg(program).output().is_ok_and(|out| !out.status.success())
}

fn apt(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    let status =
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").status().context("apt-get cannot be run")?;
    if !status.success() {
        bail!("apt-get {} failed; see above", args.join(" "));
    }
    Ok(())
}
