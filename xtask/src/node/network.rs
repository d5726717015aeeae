//! The network of the node, and the folders that its programs write to unasked. Both end with the namespaces.

use super::process::output;
use anyhow::Result;
use std::process::Command;

/// The node's address, where the registry and the kubelet listen.
pub(crate) const NODE: &str = "10.99.0.1";
/// Where `NODE` is.
pub(crate) const NODES: &str = "10.99.0.0/24";
/// The Service `kubernetes`: the API server listens on it, as no kube-proxy leads there.
pub(crate) const API_SERVER: &str = "10.96.0.1";
/// Where Pods are.
pub(crate) const PODS: &str = "10.244.0.0/24";

const BRIDGE: &str = "node0";
/// Shims, network namespaces, kept results of network plugins, links to logs.
const WRITTEN_UNASKED: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// Gives the empty namespaces what a node has. No route leads out.
pub(crate) fn furnish() -> Result<()> {
    for folder in WRITTEN_UNASKED {
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
