//! What the stories use: the node, its registry, images, and a session with the cluster.

use super::images::RunnableImages;
use super::machine::NodeMachine;
use super::registry::NodeRegistry;
use super::session::Session;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use tidewaiter_testkit::cluster::ClusterFixture;

/// A node with an installed cluster.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Types commands and records what they print.
    pub(crate) session: Session,
    /// containerd and the kubelet.
    pub(crate) machine: NodeMachine,
    /// Where images are pushed to.
    pub(crate) registry: NodeRegistry,
    /// Makes images.
    pub(crate) images: RunnableImages,
    /// The control plane, which runs as long as this does.
    pub(crate) _cluster: ClusterFixture,
}

impl Stage {
    /// Pushes an image without vulnerabilities; returns its reference.
    pub(super) fn clean(&self, name: &str) -> Result<String> {
        self.registry.push(name, &self.images.clean(name))
    }

    /// Pushes an image with critical ones; returns its reference.
    pub(super) fn vulnerable(&self, name: &str) -> Result<String> {
        self.registry.push(name, &self.images.vulnerable(name))
    }

    /// The Pods of the namespace, with what their containers really run.
    pub(super) fn pods(&self) -> Result<Vec<Value>> {
        let text = self.session.quietly("kubectl get pods -o json")?;
        let list: Value = serde_json::from_str(&text).with_context(|| format!("kubectl get pods: {text:.300}"))?;
        Ok(list.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Checks that each container that containerd runs has the digest that its Pod is pinned to, which is the one that was
    /// scanned.
    pub(super) fn check_digests(&mut self) -> Result<()> {
        let mut checked = 0;
        for pod in self.pods()? {
            for (of, state) in [("containers", "containerStatuses"), ("initContainers", "initContainerStatuses")] {
                checked += compare(&pod, &format!("/spec/{of}"), &format!("/status/{state}"))?;
            }
        }
        self.session.note(&format!("{checked} containers: the imageID of each has the digest that its Pod names"));
        Ok(())
    }
}

/// Compares the containers at one path of a Pod with their statuses at another; returns how many run.
fn compare(pod: &Value, wanted: &str, real: &str) -> Result<usize> {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |pointer: &str| pod.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut checked = 0;
    for status in list(real).iter().filter(|status| !text(status, "imageID").is_empty()) {
        let name = text(status, "name");
        let container = list(wanted).into_iter().find(|container| text(container, "name") == name).unwrap_or_default();
        let (spec, runs) = (text(&container, "image"), text(status, "imageID"));
        let digest = spec.split_once('@').map_or("", |(_, digest)| digest);
        if digest.is_empty() || !runs.ends_with(digest) {
            bail!("container {name} of {} runs {runs}, its Pod names {spec}", text(&pod["metadata"], "name"));
        }
        checked += 1;
    }
    Ok(checked)
}
