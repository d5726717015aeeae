//! The images that a Pod runs, and the hashes that name templates.

use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tidewaiter_core::hex;

/// JSON pointer of the volumes, some of which mount an image.
pub(crate) const VOLUMES: &str = "/spec/volumes/";
/// Prefix of the names under which image volumes are listed; no container's name holds a slash.
pub(crate) const VOLUME: &str = "volume/";

/// Where a Pod's spec names an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImagePlace {
    /// JSON pointer of the reference.
    pub(crate) pointer: String,
    /// Name of the container; of a volume with the prefix [`VOLUME`].
    pub(crate) name: String,
    /// The image reference.
    pub(crate) image: String,
}

/// Every place where a Pod of this spec names an image that it runs or mounts. Ephemeral containers are left out: they are
/// added to Pods that run, where an admission policy checks them.
pub(crate) fn places(spec: &PodSpec) -> Vec<ImagePlace> {
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let mut places = container_places("containers", &spec.containers);
    places.extend(container_places("initContainers", init));
    for (i, volume) in spec.volumes.iter().flatten().enumerate() {
        if let Some(image) = &volume.image {
            places.push(ImagePlace {
                pointer: format!("{VOLUMES}{i}/image/reference"),
                name: format!("{VOLUME}{}", volume.name),
                image: image.reference.clone().unwrap_or_default(),
            });
        }
    }
    places
}

fn container_places(field: &str, containers: &[Container]) -> Vec<ImagePlace> {
    let mut places = Vec::with_capacity(containers.len());
    for (i, container) in containers.iter().enumerate() {
        let (name, image) = (container.name.clone(), container.image.clone().unwrap_or_default());
        places.push(ImagePlace { pointer: format!("/spec/{field}/{i}/image"), name, image });
    }
    places
}

/// Name → image reference of everything that a Pod of this spec runs or mounts.
pub(crate) fn of(spec: &PodSpec) -> BTreeMap<String, String> {
    places(spec).into_iter().map(|place| (place.name, place.image)).collect()
}

/// The digest that an image reference ends with.
pub(crate) fn digest(image: &str) -> Option<&str> {
    // 71: `sha256:` and 64 hexadecimal figures; a shorter text is not a digest and must not count as a pin.
    image.rsplit_once('@').map(|(_, digest)| digest).filter(|d| d.starts_with("sha256:") && d.len() == 71)
}

/// Labels that Kubernetes adds to the templates of ReplicaSets and Jobs.
const ADDED_LABELS: [&str; 5] = [
    "pod-template-hash",
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
];

/// Hash of a Pod template, the same for a Deployment and its ReplicaSets, and for a CronJob and its Jobs, which differ only in
/// labels. The value of `pod-template-hash` itself cannot be used: a held Deployment has no ReplicaSet yet.
pub(crate) fn template_hash(template: &PodTemplateSpec) -> String {
    let mut value = serde_json::to_value(template).unwrap_or_default();
    if let Some(labels) = value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        ADDED_LABELS.iter().for_each(|label| drop(labels.remove(*label)));
    }
    hash(&canonical(&value))
}

/// Prefix of the hashes of Pods without a template.
const POD_PREFIX: &str = "pods-";

/// Prefix of the hashes of Jobs.
const JOB_PREFIX: &str = "job-";

/// Hash of what a Pod runs, for Pods without a template.
pub(crate) fn images_hash(images: &BTreeMap<String, String>) -> String {
    format!("{POD_PREFIX}{}", hash(&listed(images)))
}

/// Hash of what a Job's template names; what is injected into its Pods has hashes of [`images_hash`].
pub(crate) fn job_hash(images: &BTreeMap<String, String>) -> String {
    format!("{JOB_PREFIX}{}", hash(&listed(images)))
}

fn listed(images: &BTreeMap<String, String>) -> String {
    images.iter().fold(String::new(), |mut text, (name, image)| {
        let _ = writeln!(text, "{name}={image}");
        text
    })
}

/// Whether a hash is one of [`images_hash`].
pub(crate) fn is_images_hash(hash: &str) -> bool {
    hash.starts_with(POD_PREFIX)
}

/// Eight bytes: a workload has a few dozen revisions, and who makes two collide has approved both themselves.
fn hash(text: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    hex(&hash[..8])
}

/// JSON with sorted keys and without null and empty values, which the API server adds and drops at will.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, String> = map
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .filter(|(_, text)| !matches!(text.as_str(), "null" | "{}" | "[]"))
                .collect();
            let fields: Vec<String> = sorted.iter().map(|(key, text)| format!("{key:?}:{text}")).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(value: Value) -> PodTemplateSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_replica_set_has_its_deployments_hash() {
        let bare = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}});
        let labelled = json!({"metadata": {"labels": {"app": "x", "pod-template-hash": "1"}, "creationTimestamp": null},
            "spec": {"containers": [{"name": "a", "image": "i"}]}});
        assert_eq!(template_hash(&template(bare.clone())), template_hash(&template(labelled)));
        let mut other = bare.clone();
        other["spec"]["containers"][0]["image"] = json!("j");
        assert_ne!(template_hash(&template(bare)), template_hash(&template(other)));
    }

    /// Decisions are found by it after an upgrade: this is what 351cd24 called the template that the API server made of
    /// `kubectl create deployment fine --image=127.0.0.1:46389/good:v1`.
    #[test]
    fn a_template_is_named_as_in_the_oldest_version() {
        let container = json!({"image": "127.0.0.1:46389/good:v1", "imagePullPolicy": "IfNotPresent", "name": "good",
            "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"});
        let spec = json!({"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
            "schedulerName": "default-scheduler", "securityContext": {}, "terminationGracePeriodSeconds": 30});
        let whole = json!({"metadata": {"labels": {"app": "fine"}}, "spec": spec});
        assert_eq!(template_hash(&template(whole)), "b3be22fbeaadd90b");
    }

    #[test]
    fn every_image_is_found() {
        let spec = json!({"containers": [{"name": "a", "image": "1"}], "initContainers": [{"name": "b", "image": "2"}],
            "volumes": [{"name": "v", "image": {"reference": "3"}}, {"name": "w", "emptyDir": {}}]});
        let images = of(&serde_json::from_value(spec).unwrap());
        let seen: Vec<(&str, &str)> = images.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(seen, [("a", "1"), ("b", "2"), ("volume/v", "3")]);
    }

    #[test]
    fn only_a_whole_digest_is_a_digest() {
        let hex = "0".repeat(64);
        let check = |image: &str, expected: bool| assert_eq!(digest(image).is_some(), expected, "{image}");
        check(&format!("r/x@sha256:{hex}"), true);
        check(&format!("r:5000/x:v1@sha256:{hex}"), true);
        check("r/x:v1", false);
        check("r/x@sha256:00", false);
    }
}
