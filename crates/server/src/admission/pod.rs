//! The gate: a Pod waits for its images, or runs the digests that are approved for its workload.

use super::AdmissionDecision;
use crate::decide::pod::{gate_patch, has_floating_volume, pin_patch, ungate_patch, unmark_patch};
use k8s_openapi::api::core::v1::Pod;
use std::collections::BTreeMap;

/// What the server knows about a new Pod.
#[derive(Debug, Default)]
pub(crate) struct PodFacts {
    /// Whether the namespace is enforced.
    pub(crate) enforced: bool,
    /// Name → pinned image, when its workload may run all of them.
    pub(crate) pins: Option<BTreeMap<String, String>>,
    /// Whether the namespace's ImageAllowlist, as the API server enforces it by now, has all of the pinned digests. Where it
    /// has not (it was written just now, or has no room), the Pod would be refused: it starts gated and is released by a
    /// patch, which the list does not concern.
    pub(crate) listed: bool,
    /// Whether a node mirrors one of its static Pods.
    pub(crate) mirror: bool,
}

/// Decides about a Pod that is to be created.
pub(crate) fn review(pod: &Pod, facts: &PodFacts) -> AdmissionDecision {
    let mut decision = decide(pod, facts);
    if decision.denial.is_none() {
        // Else the API server would decide about it in its second pass.
        decision.patch.extend(unmark_patch(pod));
    }
    decision
}

fn decide(pod: &Pod, facts: &PodFacts) -> AdmissionDecision {
    let Some(spec) = pod.spec.as_ref().filter(|_| facts.enforced && !facts.mirror) else {
        return AdmissionDecision::allow();
    };
    match &facts.pins {
        Some(pins) if facts.listed => AdmissionDecision {
            patch: [pin_patch(pod, pins), ungate_patch(pod)].concat(),
            ..AdmissionDecision::allow()
        },
        pins => {
            // The API server refuses a Pod with both a node and gates; this text says what to do.
            if spec.node_name.is_some() {
                return AdmissionDecision::deny(if pins.is_some() { NOT_LISTED } else { NO_WAIT }.to_owned());
            }
            if pins.is_none() && has_floating_volume(spec) {
                return AdmissionDecision::deny(
                    "an image volume cannot be pinned after the Pod is created: name its image by digest \
                     (kubectl scan image prints it)"
                        .to_owned(),
                );
            }
            let pinned = pins.as_ref().map(|pins| pin_patch(pod, pins)).unwrap_or_default();
            AdmissionDecision { patch: [pinned, gate_patch(pod)].concat(), ..AdmissionDecision::allow() }
        }
    }
}

/// Why a Pod with a node is refused while its images are not decided.
const NO_WAIT: &str = "a Pod that names its node cannot wait for its image scan: leave nodeName out (use nodeAffinity), \
                       or name only images by digests that are approved in this namespace";
/// Why it is refused although they are approved.
const NOT_LISTED: &str = "the images of this Pod are approved, and the API server does not know it yet: create the Pod \
                          again in some seconds, or leave nodeName out (use nodeAffinity)";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tidewaiter_crd::names::{GATE, GATED, UNREVIEWED};

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    fn check(spec: Value, known: &PodFacts, expected: &str) {
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
        let unknown = PodFacts { enforced: true, ..PodFacts::default() };
        let pins = Some(BTreeMap::from([("a".to_owned(), "i@sha256:0".to_owned())]));
        let approved = PodFacts { enforced: true, listed: true, pins: pins.clone(), ..PodFacts::default() };
        let unlisted = PodFacts { enforced: true, pins, ..PodFacts::default() };
        check(bare(), &unknown, "gate");
        check(with("schedulingGates", json!([{"name": "other"}])), &unknown, "gate");
        check(with("nodeName", json!("n")), &unknown, "deny");
        check(volume(), &unknown, "deny");
        check(bare(), &approved, "pin");
        check(with("nodeName", json!("n")), &approved, "pin");
        check(volume(), &approved, "pin");
        check(bare(), &unlisted, "gate");
        check(volume(), &unlisted, "gate");
        check(with("nodeName", json!("n")), &unlisted, "deny");
        let denial = |facts: &PodFacts| review(&pod(with("nodeName", json!("n"))), facts).denial.unwrap();
        assert!(denial(&unknown).contains("cannot wait") && denial(&unlisted).contains("approved, and the API server"));
        check(bare(), &PodFacts::default(), "pass");
        check(bare(), &PodFacts { enforced: true, mirror: true, ..PodFacts::default() }, "pass");
    }
    /// The API server's own policies come first: they mark a Pod, and in their second pass gate or pin what is marked still.
    #[test]
    fn the_mark_of_the_api_server_is_taken_away() {
        let check = |metadata: Value, spec: Value, facts: &PodFacts, expected: &[&str]| {
            let pod: Pod = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
            let answer = review(&pod, facts);
            let paths: Vec<&str> = answer.patch.iter().filter_map(|op| op["path"].as_str()).collect();
            assert_eq!(paths, expected, "{metadata} {spec} {facts:?}");
        };
        let marked = || json!({"annotations": {"a": "b", UNREVIEWED: "listed"}});
        let bare = || json!({"containers": [{"name": "a", "image": "i"}]});
        let gated = || json!({"containers": [{"name": "a", "image": "i"}], "schedulingGates": [{"name": GATE}]});
        let pins = Some(BTreeMap::from([("a".to_owned(), "i@sha256:0".to_owned())]));
        let approved = PodFacts { enforced: true, listed: true, pins, ..PodFacts::default() };
        let unknown = PodFacts { enforced: true, ..PodFacts::default() };
        let (image, mark) = ("/spec/containers/0/image", "/metadata/annotations/tidewaiter.dev~1unreviewed");
        let (label, gate) = ("/metadata/labels/tidewaiter.dev~1gated", "/spec/schedulingGates/0");
        check(marked(), bare(), &approved, &[image, mark]);
        check(json!({"annotations": {"a": "b"}}), bare(), &approved, &[image]);
        check(json!({}), bare(), &approved, &[image]);
        let add = ["/metadata/labels", label, "/spec/schedulingGates", "/spec/schedulingGates/-"];
        check(marked(), bare(), &unknown, &[&add[..], &[mark]].concat());
        check(marked(), bare(), &PodFacts::default(), &[mark]);
        // The server came back between the two passes: what the API server gated is approved, or waits as it is.
        check(json!({"labels": {GATED: "true"}}), gated(), &approved, &[image, gate, label]);
        check(json!({"labels": {GATED: "true"}}), gated(), &unknown, &[]);
        // A refusal changes nothing.
        let placed = json!({"containers": [{"name": "a", "image": "i"}], "nodeName": "n"});
        check(marked(), placed, &unknown, &[]);
    }
}
