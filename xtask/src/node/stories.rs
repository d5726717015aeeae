//! The stories, in order; each stands on what those before it left.

mod debug;
mod kinds;
mod restart;
mod server_away;
mod six_steps;
mod uninstall;

use super::inside::Stage;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;

/// Plays all of them.
pub(crate) fn all(root: &Path, stage: &mut Stage) -> Result<()> {
    six_steps::play(stage)?;
    kinds::play(stage)?;
    debug::play(stage)?;
    server_away::killed(stage)?;
    server_away::scaled_down(stage)?;
    restart::play(stage)?;
    uninstall::play(root, stage)
}

impl Stage {
    /// Pushes an image without vulnerabilities; gives its reference.
    fn clean(&self, name: &str) -> Result<String> {
        self.registry.push(name, &self.images.clean(name))
    }

    /// Pushes an image with critical ones; gives its reference.
    fn vulnerable(&self, name: &str) -> Result<String> {
        self.registry.push(name, &self.images.vulnerable(name))
    }

    /// The Pods of the namespace, with what their containers really run.
    fn pods(&self) -> Result<Vec<Value>> {
        let text = self.play.quietly("kubectl get pods -o json")?;
        let list: Value = serde_json::from_str(&text).with_context(|| format!("kubectl get pods: {text:.300}"))?;
        Ok(list.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Whatever containerd runs has the digest that its Pod is pinned to, which is the one that was judged.
    fn runs_what_was_judged(&mut self) -> Result<()> {
        let mut seen = 0;
        for pod in self.pods()? {
            for (of, state) in [("containers", "containerStatuses"), ("initContainers", "initContainerStatuses")] {
                seen += compare(&pod, &format!("/spec/{of}"), &format!("/status/{state}"))?;
            }
        }
        self.play.note(&format!("{seen} containers: the imageID of each has the digest that its Pod names"));
        Ok(())
    }
}

fn compare(pod: &Value, wanted: &str, real: &str) -> Result<usize> {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |pointer: &str| pod.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut seen = 0;
    for status in list(real).iter().filter(|status| !text(status, "imageID").is_empty()) {
        let name = text(status, "name");
        let container = list(wanted).into_iter().find(|container| text(container, "name") == name).unwrap_or_default();
        let (spec, runs) = (text(&container, "image"), text(status, "imageID"));
        let digest = spec.split_once('@').map_or("", |(_, digest)| digest);
        if digest.is_empty() || !runs.ends_with(digest) {
            bail!("container {name} of {} runs {runs}, its Pod names {spec}", text(&pod["metadata"], "name"));
        }
        seen += 1;
    }
    Ok(seen)
}
