//! The network of the node, and folders for what its programs write. Both end with the namespaces.

use super::process::output;
use anyhow::Result;
use std::process::Command;

/// The node's address, where the registry and the kubelet listen.
pub(crate) const NODE: &str = "10.99.0.1";
/// The network of `NODE`.
pub(crate) const NODES: &str = "10.99.0.0/24";
/// The address of the Service `kubernetes`: the API server listens on it itself, since there is no kube-proxy.
pub(crate) const API_SERVER: &str = "10.96.0.1";
/// The network of the Pods.
pub(crate) const PODS: &str = "10.244.0.0/24";

const BRIDGE: &str = "node0";
/// Where containerd and the kubelet write whatever their configuration says: shims, network namespaces, results of network
/// plugins, links to logs.
const WRITTEN: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// Sets up the empty namespaces as a node. There is no route to the outside.
pub(crate) fn set_up() -> Result<()> {
    for folder in WRITTEN {
        output(Command::new("mount").args(["-t", "tmpfs", "tmpfs", folder]))?;
    }
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["address", "add", &format!("{NODE}/24"), "dev", BRIDGE])?;
    ip(&["address", "add", &format!("{API_SERVER}/32"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

fn ip(args: &[&str]) -> Result<()> {
    output(Command::new("ip").args(args)).map(drop)
}
