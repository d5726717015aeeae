//! Wherever a Pod can name an image, by the schema of the API server that runs: nothing unapproved starts there.

use crate::{WITH_GATE, as_before_1_36, create, kubernetes, lab, rolled_out, within};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::kubernetes::KubernetesMinor;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// The first Kubernetes whose Pods have volumes of images.
const WITH_IMAGE_VOLUMES: KubernetesMinor = KubernetesMinor(31);
const POD_SPEC: &str = "io.k8s.api.core.v1.PodSpec";
/// A volume of Ceph, whose "image" is a block device.
const BLOCK_DEVICE: &str = "io.k8s.api.core.v1.RBDVolumeSource";
/// When an image is pulled, not which.
const PULL_POLICIES: [&str; 2] = ["imagePullPolicy", "pullPolicy"];

/// The texts of a Pod's spec that may name an image: called so, or part of something that is.
fn image_fields(lab: &Lab) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&lab.admin(&["get", "--raw", "/openapi/v3/api/v1"]).ok()).unwrap();
    let mut found = BTreeSet::new();
    collect(&document["components"]["schemas"], POD_SPEC, "", &mut found);
    found
}

fn collect(schemas: &Value, kind: &str, path: &str, found: &mut BTreeSet<String>) {
    let is_image = |text: &str| text.to_lowercase().contains("image");
    for (field, schema) in schemas[kind]["properties"].as_object().into_iter().flatten() {
        let (item, mark) = if schema["type"] == "array" { (&schema["items"], "[]") } else { (schema, "") };
        let path = format!("{path}/{field}{mark}");
        let kind_of_field = item["$ref"].as_str().or_else(|| item["allOf"][0]["$ref"].as_str());
        if let Some(inner) = kind_of_field.and_then(|reference| reference.rsplit('/').next()) {
            if inner != BLOCK_DEVICE {
                collect(schemas, inner, &path, found);
            }
        } else if item["type"] == "string"
            && (is_image(field) || is_image(kind))
            && !PULL_POLICIES.contains(&field.as_str())
        {
            found.insert(path);
        }
    }
}

/// Adds what names an image at a path such as `/volumes[]/image/reference`.
fn name_image(spec: &mut Value, path: &str, image: &str) {
    let mut place = spec;
    for step in path.split('/').skip(1) {
        match step.strip_suffix("[]") {
            None => place = &mut place[step],
            Some(list) => {
                if place[list].is_null() {
                    place[list] = json!([]);
                }
                let items = place[list].as_array_mut().unwrap();
                items.push(json!({"name": "added"}));
                place = items.last_mut().unwrap();
            }
        }
    }
    *place = json!(image);
}

#[test]
fn nothing_unapproved_starts_in_any_field() {
    let mut lab = lab();
    let bad_image = vulnerable().build();
    let good = lab.registry.push("good", "v1", &clean().build());
    let good = format!("{}@{}", good.trim_end_matches(":v1"), clean().build().digest());
    let bad = lab.registry.push("bad", "v1", &bad_image);
    let bad = format!("{}@{}", bad.trim_end_matches(":v1"), bad_image.digest());
    create(&lab, "good", &good);
    rolled_out(&lab, "good");

    let fields = image_fields(&lab);
    let known = ["/containers[]/image", "/ephemeralContainers[]/image", "/initContainers[]/image"];
    assert!(known.iter().all(|field| fields.contains(*field)), "{fields:?}");
    assert_eq!(fields.contains("/volumes[]/image/reference"), kubernetes() >= WITH_IMAGE_VOLUMES, "{fields:?}");
    let at_creation: Vec<&String> = fields.iter().filter(|field| !field.starts_with("/ephemeral")).collect();
    let pod_with = |name: String, field: &str| {
        let mut spec = json!({"containers": [{"name": "c", "image": good}]});
        name_image(&mut spec, field, &bad);
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}).to_string()
    };
    for (i, field) in at_creation.iter().enumerate() {
        lab.apply(&pod_with(format!("waits-{i}"), field)).ok();
        within(PATIENCE, &format!("{field} is blocked"), || {
            let said = lab.kubectl(&["scan", "status", &format!("pod/waits-{i}")]).text;
            said.contains("Blocked") && said.contains("3 critical")
        });
        let gates = lab.field(&format!("pod/waits-{i}"), ".spec.schedulingGates[*].name");
        assert_eq!(gates, "tidewaiter.dev/image-scan", "{field}");
    }

    // Ephemeral containers come to Pods that run.
    let running = lab.field("pods", ".items[?(@.status.phase==\"Running\")].metadata.name");
    let object = lab.admin(&["get", "pod", &running, "-o", "json"]).ok();
    let mut debugged: Value = serde_json::from_str(&object).unwrap();
    name_image(&mut debugged["spec"], "/ephemeralContainers[]/image", &bad);
    debug_is_refused(&lab, &running, &debugged);

    lab.kill_server();
    debug_is_refused(&lab, &running, &debugged);
    let gated: &[&String] = if kubernetes() < WITH_GATE { &[] } else { &at_creation };
    for (i, field) in gated.iter().enumerate() {
        lab.apply(&pod_with(format!("gated-{i}"), field)).ok();
        let gates = lab.field(&format!("pod/gated-{i}"), ".spec.schedulingGates[*].name");
        assert_eq!(gates, "tidewaiter.dev/image-scan", "{field}");
    }
    as_before_1_36(&lab);
    for (i, field) in at_creation.iter().enumerate() {
        let refused = lab.apply(&pod_with(format!("refused-{i}"), field)).refused();
        assert!(refused.contains(NOT_APPROVED), "{field}: {refused}");
    }
}

/// What the admission policy answers, with the server and without it.
const NOT_APPROVED: &str = "not approved in this namespace";

#[track_caller]
fn debug_is_refused(lab: &Lab, pod: &str, with_debugger: &Value) {
    let address = format!("/api/v1/namespaces/default/pods/{pod}/ephemeralcontainers");
    let said = lab.cluster.with_input(&["replace", "--raw", &address, "-f", "-"], &with_debugger.to_string());
    let refused = said.refused();
    assert!(refused.contains(NOT_APPROVED), "{refused}");
}
