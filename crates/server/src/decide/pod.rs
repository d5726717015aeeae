//! What a Pod may run, and the patches that gate, pin and release it.

use super::images;
use super::marks::{add_metadata, annotation, metadata_path};
use super::pins::{ImageUse, pins};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidewaiter_crd::names::{GATE, GATED, UNREVIEWED};
use tidewaiter_crd::workload_scan::{Revision, WorkloadScanStatus};

/// Name → pinned image of a Pod that may run immediately, by the decisions about its workload: those of its template, else
/// those of its very images, which something may have injected containers into.
pub(crate) fn allowed_pins(
    record: &WorkloadScanStatus,
    template: Option<&str>,
    wanted: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    let own = images::images_hash(wanted);
    // The template first: its decision covers the Pod unless something was injected.
    let by_template = template.and_then(|hash| pins(record, hash, wanted, ImageUse::Pod));
    by_template.or_else(|| pins(record, &own, wanted, ImageUse::Pod))
}

/// Whether a Pod has images that its template does not have: something injected or changed containers.
pub(crate) fn has_injected_images(template: &Revision, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().any(|(name, image)| template.containers.get(name).is_none_or(|c| c.image != *image))
}

/// Replaces image references by pinned ones.
pub(crate) fn pin_patch(pod: &Pod, pins: &BTreeMap<String, String>) -> Vec<Value> {
    let places = pod.spec.as_ref().map(images::places).unwrap_or_default();
    let replaced = places.iter().filter_map(|place| {
        let pinned = pins.get(&place.name).filter(|pinned| **pinned != place.image)?;
        Some(json!({"op": "replace", "path": place.pointer, "value": pinned}))
    });
    replaced.collect()
}

/// Adds the gate and its label.
pub(crate) fn gate_patch(pod: &Pod) -> Vec<Value> {
    let mut patch = Vec::new();
    // A user may have set one of both: the shape policy refuses a Pod that has only one.
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

/// Removes the gate and its label, whoever set them.
pub(crate) fn ungate_patch(pod: &Pod) -> Vec<Value> {
    let mut patch = Vec::new();
    if let Some(index) = gates(pod).position(|name| name == GATE) {
        patch.push(json!({"op": "remove", "path": format!("/spec/schedulingGates/{index}")}));
    }
    if is_labelled(pod) {
        patch.push(json!({"op": "remove", "path": metadata_path("labels", GATED)}));
    }
    patch
}

/// Removes the mark of the API server's own policies: the server has reviewed this Pod.
pub(crate) fn unmark_patch(pod: &Pod) -> Option<Value> {
    annotation(&pod.metadata, UNREVIEWED)
        .then(|| json!({"op": "remove", "path": metadata_path("annotations", UNREVIEWED)}))
}

/// Pins and un-gates a Pod in one patch. It tests what was decided about: the Pod itself, its images, and its gates, since the
/// index of a gate means another one if a controller added or removed gates meanwhile. Not its version: the scheduler writes
/// a condition into each gated Pod, at the same time.
pub(crate) fn release_patch(pod: &Pod, pins: &BTreeMap<String, String>) -> Vec<Value> {
    let test = |path: &str, value: Value| json!({"op": "test", "path": path, "value": value});
    let places = pod.spec.as_ref().map(images::places).unwrap_or_default();
    let gates = pod.spec.as_ref().and_then(|s| s.scheduling_gates.clone()).unwrap_or_default();
    let mut patch = vec![test("/metadata/uid", json!(pod.metadata.uid))];
    patch.extend(places.iter().map(|place| test(&place.pointer, json!(place.image))));
    // All of them: the patch removes ours by its index.
    patch.push(test("/spec/schedulingGates", json!(gates)));
    // Volumes of an existing Pod are immutable: they name a digest already, or admission refused the Pod.
    let is_volume = |op: &Value| op["path"].as_str().is_some_and(|path| path.starts_with(images::VOLUMES));
    patch.extend(pin_patch(pod, pins).into_iter().filter(|op| !is_volume(op)));
    patch.extend(ungate_patch(pod));
    patch
}

/// The label in which StatefulSets note a Pod's revision.
const REVISION: &str = "controller-revision-hash";

/// Whether a StatefulSet wants a Pod of another revision in the place of this one. Kubernetes waits until the Pod that is
/// there is ready before it looks at revisions, so that one that waits for its images would block even their fix.
pub(crate) fn is_superseded(pod: &Pod, set: &StatefulSet) -> bool {
    let (Some(spec), Some(status)) = (&set.spec, &set.status) else { return false };
    let observed = status.observed_generation >= set.metadata.generation;
    let Some(ordinal) = ordinal(pod, set).filter(|_| observed) else { return false };
    let start = i64::from(spec.ordinals.as_ref().and_then(|o| o.start).unwrap_or_default());
    let rolling = spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
    let partition = i64::from(rolling.and_then(|r| r.partition).unwrap_or_default());
    let wanted = if ordinal < start + partition { &status.current_revision } else { &status.update_revision };
    let own = pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION));
    own.is_some()
        && wanted.as_deref().is_some_and(|wanted| !wanted.is_empty() && own.map(String::as_str) != Some(wanted))
}

/// The number in the name of a StatefulSet's Pod.
fn ordinal(pod: &Pod, set: &StatefulSet) -> Option<i64> {
    let rest = pod.metadata.name.as_deref()?.strip_prefix(set.metadata.name.as_deref()?)?;
    rest.strip_prefix('-')?.parse().ok()
}

/// Whether an image volume's image is not named by digest.
pub(crate) fn has_floating_volume(spec: &PodSpec) -> bool {
    let volumes = images::places(spec).into_iter().filter(|place| place.name.starts_with(images::VOLUME));
    volumes.into_iter().any(|place| images::digest(&place.image).is_none())
}

fn gates(pod: &Pod) -> impl Iterator<Item = &str> {
    pod.spec.iter().flat_map(|s| s.scheduling_gates.iter().flatten()).map(|g| g.name.as_str())
}

/// Whether a Pod has the gate.
pub(crate) fn is_gated(pod: &Pod) -> bool {
    gates(pod).any(|name| name == GATE)
}

fn is_labelled(pod: &Pod) -> bool {
    pod.metadata.labels.iter().flatten().any(|(key, _)| key == GATED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{pinned, record, revision};
    use serde_json::from_value;
    use tidewaiter_crd::workload_scan::Decision;

    #[test]
    fn what_a_pod_may_run_at_once() {
        let wanted = BTreeMap::from([("c".to_owned(), "i".to_owned())]);
        let own = images::images_hash(&wanted);
        let pin = pinned("i", 1);
        let check = |hash: &str, template: Option<&str>, decision, expected: bool| {
            let record = record(&[(hash, revision(decision, &[("c", "i", Some(&pin))]))]);
            assert_eq!(
                allowed_pins(&record, template, &wanted).is_some(),
                expected,
                "{hash} {template:?} {decision:?}"
            );
        };
        check("t", Some("t"), Decision::Approved, true);
        check("t", Some("t"), Decision::Retained, true);
        check("t", Some("t"), Decision::Held, false);
        check("t", Some("other"), Decision::Approved, false);
        check("t", None, Decision::Approved, false);
        check(&own, None, Decision::Approved, true);
        check(&own, Some("t"), Decision::Approved, true);
        check(&own, None, Decision::Held, false);
    }

    #[test]
    fn injected_images_are_noticed() {
        let check = |wanted: &[(&str, &str)], expected: bool| {
            let wanted = wanted.iter().map(|(name, image)| ((*name).to_owned(), (*image).to_owned())).collect();
            let template = revision(Decision::Held, &[("c", "i", None), ("d", "j", None)]);
            assert_eq!(has_injected_images(&template, &wanted), expected, "{wanted:?}");
        };
        check(&[("c", "i"), ("d", "j")], false);
        check(&[("c", "i")], false);
        check(&[("c", "i"), ("proxy", "k")], true);
        check(&[("c", "other")], true);
    }

    #[test]
    fn a_stateful_set_wants_one_revision_in_each_place() {
        let check = |name: &str, revision: Option<&str>, partition: i32, start: i32, observed: i64, expected: bool| {
            let labels = revision.map(|revision| json!({REVISION: revision}));
            let pod = from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
            let set = json!({"metadata": {"name": "db", "generation": 2}, "spec": {"selector": {}, "template": {},
                "serviceName": "db", "ordinals": {"start": start},
                "updateStrategy": {"rollingUpdate": {"partition": partition}}},
                "status": {"replicas": 3, "observedGeneration": observed, "currentRevision": "db-1", "updateRevision": "db-3"}});
            assert_eq!(is_superseded(&pod, &from_value(set).unwrap()), expected, "{name} {revision:?} {partition}");
        };
        check("db-2", Some("db-2"), 0, 0, 2, true);
        check("db-2", Some("db-3"), 0, 0, 2, false);
        // Nothing has run yet: the first revision is the current one all the same.
        check("db-0", Some("db-1"), 0, 0, 2, true);
        // Below the partition the current revision stays.
        check("db-0", Some("db-1"), 1, 0, 2, false);
        check("db-0", Some("db-3"), 1, 0, 2, true);
        check("db-1", Some("db-1"), 1, 0, 2, true);
        check("db-5", Some("db-1"), 1, 5, 2, false);
        check("db-6", Some("db-1"), 1, 5, 2, true);
        check("db-5", Some("db-1"), i32::MAX, 1, 2, false);
        // The status describes the set as it was; the Pod is not of its making.
        check("db-2", Some("db-2"), 0, 0, 1, false);
        check("db-2", None, 0, 0, 2, false);
        check("other-2", Some("db-2"), 0, 0, 2, false);
        check("db-x", Some("db-2"), 0, 0, 2, false);
    }

    #[test]
    fn a_gate_is_removed_with_its_label() {
        let check = |labels: Value, gates: &[&str], expected: &[&str]| {
            let gates: Vec<Value> = gates.iter().map(|name| json!({"name": name})).collect();
            let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [], "schedulingGates": gates}});
            let patch = ungate_patch(&from_value(pod).unwrap());
            assert_eq!(patch.iter().filter_map(|op| op["path"].as_str()).collect::<Vec<_>>(), expected);
        };
        let label = "/metadata/labels/tidewaiter.dev~1gated";
        check(json!({GATED: "x"}), &["o", GATE], &["/spec/schedulingGates/1", label]);
        check(json!({"a": "b"}), &[GATE, "o"], &["/spec/schedulingGates/0"]);
        check(json!({GATED: "true"}), &["o"], &[label]);
        check(json!(null), &[], &[]);
    }

    #[test]
    fn a_release_tests_what_it_changes() {
        let pod = json!({"metadata": {"uid": "u", "labels": {GATED: "true"}},
            "spec": {"schedulingGates": [{"name": GATE}], "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}],
                "volumes": [{"name": "v", "image": {"reference": "k"}}]}});
        let pin = |name: &str, image: &str| (name.to_owned(), pinned(image, 1));
        let pins = BTreeMap::from([pin("a", "i"), pin("volume/v", "k")]);
        let patch = release_patch(&from_value(pod).unwrap(), &pins);
        let ops: Vec<String> =
            patch.iter().map(|op| format!("{} {}", op["op"].as_str().unwrap(), op["path"].as_str().unwrap())).collect();
        let expected = [
            "test /metadata/uid",
            "test /spec/containers/0/image",
            "test /spec/containers/1/image",
            "test /spec/volumes/0/image/reference",
            "test /spec/schedulingGates",
            "replace /spec/containers/0/image",
            "remove /spec/schedulingGates/0",
            "remove /metadata/labels/tidewaiter.dev~1gated",
        ];
        assert_eq!(ops, expected);
    }
}
