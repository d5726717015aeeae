//! The gate: a Pod waits for its images, or runs the digests that were approved for its workload.

use super::{Answer, add_metadata, images, metadata_path};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidewaiter_crd::names::{GATE, GATED};

/// What is known of a new Pod.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Whether the namespace is enforced.
    pub(crate) enforced: bool,
    /// Name → pinned image, when its workload may run all of them.
    pub(crate) pins: Option<BTreeMap<String, String>>,
    /// The approval is so young that the API server's own list may not hold it yet: the Pod starts gated and is
    /// released by patch, which needs no list.
    pub(crate) fresh: bool,
    /// Whether a node mirrors one of its static Pods.
    pub(crate) mirror: bool,
}

/// Decides about a Pod that is to be created.
pub(crate) fn review(pod: &Pod, known: &Known) -> Answer {
    let Some(spec) = pod.spec.as_ref().filter(|_| known.enforced && !known.mirror) else { return Answer::pass() };
    match &known.pins {
        Some(pins) if !known.fresh => Answer { patch: [pin(pod, pins), strip(pod)].concat(), ..Answer::pass() },
        pins => {
            if spec.node_name.is_some() {
                return Answer::deny(
                    "a Pod that names its node cannot wait for its image scan: leave nodeName out (use nodeAffinity), \
                     or name only images by digests that are approved in this namespace"
                        .to_owned(),
                );
            }
            if pins.is_none() && has_floating_volume(spec) {
                return Answer::deny(
                    "an image volume cannot be pinned after the Pod is created: name its image by digest \
                     (kubectl scan image prints it)"
                        .to_owned(),
                );
            }
            let pinned = pins.as_ref().map(|pins| pin(pod, pins)).unwrap_or_default();
            Answer { patch: [pinned, gate(pod)].concat(), ..Answer::pass() }
        }
    }
}

/// An image volume whose image is not named by digest.
fn has_floating_volume(spec: &PodSpec) -> bool {
    let floats = |(_, name, image): &(String, String, String)| {
        name.starts_with(images::VOLUME) && images::digest(image).is_none()
    };
    images::places(spec).iter().any(floats)
}

/// Replaces image strings by pinned ones.
pub(crate) fn pin(pod: &Pod, pins: &BTreeMap<String, String>) -> Vec<Value> {
    let places = pod.spec.as_ref().map(images::places).unwrap_or_default();
    let replaced = places.into_iter().filter_map(|(path, name, image)| {
        let pinned = pins.get(&name).filter(|pinned| **pinned != image)?;
        Some(json!({"op": "replace", "path": path, "value": pinned}))
    });
    replaced.collect()
}

/// Takes away a gate and a label of ours that somebody set.
pub(crate) fn strip(pod: &Pod) -> Vec<Value> {
    let mut patch = Vec::new();
    if let Some(index) = gates(pod).position(|name| name == GATE) {
        patch.push(json!({"op": "remove", "path": format!("/spec/schedulingGates/{index}")}));
    }
    if is_labelled(pod) {
        patch.push(json!({"op": "remove", "path": metadata_path("labels", GATED)}));
    }
    patch
}

fn gate(pod: &Pod) -> Vec<Value> {
    let mut patch = Vec::new();
    if !is_labelled(pod) {
        patch.extend(add_metadata("labels", pod.metadata.labels.is_some(), &[(GATED, "true")]));
    }
    if pod.spec.as_ref().is_some_and(|s| s.scheduling_gates.is_none()) {
        patch.push(json!({"op": "add", "path": "/spec/schedulingGates", "value": []}));
    }
    if !is_gated(pod) {
        patch.push(json!({"op": "add", "path": "/spec/schedulingGates/-", "value": {"name": GATE}}));
    }
    patch
}

fn gates(pod: &Pod) -> impl Iterator<Item = &str> {
    pod.spec.iter().flat_map(|s| s.scheduling_gates.iter().flatten()).map(|g| g.name.as_str())
}

/// Whether it carries our gate.
pub(crate) fn is_gated(pod: &Pod) -> bool {
    gates(pod).any(|name| name == GATE)
}

fn is_labelled(pod: &Pod) -> bool {
    pod.metadata.labels.iter().flatten().any(|(key, _)| key == GATED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    fn check(spec: Value, known: &Known, expected: &str) {
        let answer = review(&pod(spec), known);
        let paths: Vec<&str> = answer.patch.iter().filter_map(|p| p["path"].as_str()).collect();
        let seen = match (&answer.denial, paths.contains(&"/spec/schedulingGates/-")) {
            (Some(_), _) => "deny",
            (None, true) => "gate",
            (None, false) if paths.contains(&"/spec/containers/0/image") => "pin",
            _ => "pass",
        };
        assert_eq!(seen, expected, "{answer:?}");
    }

    #[test]
    fn the_gate() {
        let bare = || json!({"containers": [{"name": "a", "image": "i"}]});
        let with = |key: &str, value: Value| {
            let mut spec = bare();
            spec[key] = value;
            spec
        };
        let volume = || with("volumes", json!([{"name": "v", "image": {"reference": "j"}}]));
        let unknown = Known { enforced: true, ..Known::default() };
        let pins = Some(BTreeMap::from([("a".to_owned(), "i@sha256:0".to_owned())]));
        let approved = Known { enforced: true, pins: pins.clone(), ..Known::default() };
        check(bare(), &unknown, "gate");
        check(with("schedulingGates", json!([{"name": "other"}])), &unknown, "gate");
        check(with("nodeName", json!("n")), &unknown, "deny");
        check(volume(), &unknown, "deny");
        check(bare(), &approved, "pin");
        check(with("nodeName", json!("n")), &approved, "pin");
        check(volume(), &approved, "pin");
        check(bare(), &Known { enforced: true, pins, fresh: true, ..Known::default() }, "gate");
        check(bare(), &Known::default(), "pass");
        check(bare(), &Known { enforced: true, mirror: true, ..Known::default() }, "pass");
    }

    #[test]
    fn a_gate_somebody_set_goes_with_its_label() {
        let value = json!({"metadata": {"labels": {GATED: "x"}},
            "spec": {"containers": [], "schedulingGates": [{"name": "o"}, {"name": GATE}]}});
        let paths: Vec<Value> =
            strip(&serde_json::from_value(value).unwrap()).iter().map(|p| p["path"].clone()).collect();
        assert_eq!(paths, ["/spec/schedulingGates/1", "/metadata/labels/tidewaiter.dev~1gated"]);
    }
}
