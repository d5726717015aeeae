//! Pods whose manifest is applied again: Git names a tag, and the Pod runs the digest that was scanned. Changing the image back
//! would be refused by the shape policy, which lets nobody change the images of a Pod.

use super::AdmissionDecision;
use crate::decide::images::{ImagePlace, places};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tidewaiter_core::image::Reference;

/// What a reference without tag and digest means.
const IMPLIED_TAG: &str = "latest";

/// Decides about a change of a Pod's images: what names the same image without its digest keeps the digest.
pub(crate) fn review(new: &Pod, old: &Pod) -> AdmissionDecision {
    let of = |pod: &Pod| pod.spec.as_ref().map(places).unwrap_or_default();
    let old = of(old);
    let pinned = |place: &ImagePlace| {
        let before = old.iter().find(|before| before.name == place.name)?;
        is_pinned(&before.image, &place.image)
            .then(|| json!({"op": "replace", "path": place.pointer, "value": before.image}))
    };
    AdmissionDecision { patch: of(new).iter().filter_map(pinned).collect(), ..AdmissionDecision::allow() }
}

/// Whether an image reference is another one with a digest.
fn is_pinned(pinned: &str, image: &str) -> bool {
    let (Ok(pinned), Ok(image)) = (pinned.parse::<Reference>(), image.parse::<Reference>()) else { return false };
    let tag = |reference: &Reference| reference.tag().unwrap_or(IMPLIED_TAG).to_owned();
    let same = image.name() == pinned.name() && tag(&image) == tag(&pinned);
    same && image.digest().is_none() && pinned.digest().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::pinned;

    #[test]
    fn the_same_image_keeps_its_digest() {
        let pod = |image: &str| -> Pod {
            serde_json::from_value(json!({"spec": {"containers": [{"name": "c", "image": image}],
                "initContainers": [{"name": "i", "image": "other"}]}}))
            .unwrap()
        };
        let check = |old: &str, new: &str, kept: bool| {
            let patch = review(&pod(new), &pod(old)).patch;
            let expected = json!([{"op": "replace", "path": "/spec/containers/0/image", "value": old}]);
            assert_eq!(json!(patch), if kept { expected } else { json!([]) }, "{old} {new}");
        };
        check(&pinned("r.example/x:1", 1), "r.example/x:1", true);
        check(&pinned("x:1", 1), "docker.io/library/x:1", true);
        check(&pinned("x", 1), "x:latest", true);
        check(&pinned("r.example/x:1", 1), "r.example/x:2", false);
        check(&pinned("r.example/x:1", 1), &pinned("r.example/x:1", 2), false);
        check(&pinned("r.example/x:1", 1), &pinned("r.example/x:1", 1), false);
        // It waits for its scan.
        check("r.example/x:1", "r.example/x:1", false);
    }
}
