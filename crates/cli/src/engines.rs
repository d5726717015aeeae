//! Where the sockets of container engines are on this machine.

use std::env::{var, var_os};
use std::path::PathBuf;

/// Docker's: the one that $DOCKER_HOST names, else the system's, a user's own (rootless mode), and Docker Desktop's.
pub(crate) fn docker() -> Vec<PathBuf> {
    named("DOCKER_HOST").unwrap_or_else(default_docker)
}

fn default_docker() -> Vec<PathBuf> {
    let system = Some(PathBuf::from("/var/run/docker.sock"));
    let own = below("XDG_RUNTIME_DIR", "docker.sock");
    let desktop = below("HOME", ".docker/run/docker.sock");
    [system, own, desktop].into_iter().flatten().collect()
}

/// Podman's: the one that $CONTAINER_HOST names, else the user's own, and the system's.
pub(crate) fn podman() -> Vec<PathBuf> {
    named("CONTAINER_HOST").unwrap_or_else(|| {
        let own = below("XDG_RUNTIME_DIR", "podman/podman.sock");
        own.into_iter().chain([PathBuf::from("/run/podman/podman.sock")]).collect()
    })
}

/// The socket of an address `unix:///run/x.sock`; another address is no socket, and is named as it is.
fn named(variable: &str) -> Option<Vec<PathBuf>> {
    let address = var(variable).ok().filter(|address| !address.is_empty())?;
    Some(vec![PathBuf::from(address.strip_prefix("unix://").unwrap_or(&address))])
}

fn below(variable: &str, path: &str) -> Option<PathBuf> {
    var_os(variable).map(|folder| PathBuf::from(folder).join(path))
}
