//! What the API server does to a new Pod while no process of tidewaiter runs: pure. The policies that do it are
//! `gate.yaml` and `backstop.yaml` of the server; `docs/operations.md` has the same as a table.

use crate::built_in::PartialPodSpec;
use tidewaiter_core::image::Digest;
use tidewaiter_crd::ImageAllowlist;
use tidewaiter_crd::names::GATE_POLICIES;

/// What becomes of a Pod, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PodFate {
    /// It starts.
    Starts,
    /// It waits for the server (`SchedulingGated`).
    Waits,
    /// It is not created.
    Refused,
}

/// Whether the API server gates and pins by itself: from Kubernetes 1.36 on, where the policies for it are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApiServerGate {
    Bound,
    /// It could, and a binding is missing.
    Unbound,
    Absent,
}

impl ApiServerGate {
    /// By whether the API server serves such bindings, and which of them [`BINDINGS`] there are.
    pub(super) fn of(is_served: bool, bound: &[&str]) -> Self {
        match (is_served, BINDINGS.iter().all(|name| bound.contains(name))) {
            (false, _) => ApiServerGate::Absent,
            (true, true) => ApiServerGate::Bound,
            (true, false) => ApiServerGate::Unbound,
        }
    }

    /// Why it neither gates nor pins.
    fn cause(self) -> Option<&'static str> {
        match self {
            ApiServerGate::Bound => None,
            ApiServerGate::Unbound => Some("while its policies for that are not bound"),
            ApiServerGate::Absent => Some("before Kubernetes 1.36"),
        }
    }
}

/// The bindings without which new Pods are neither pinned nor gated. The third one shows only that these are in force.
pub(super) const BINDINGS: [&str; 2] = [GATE_POLICIES[0], GATE_POLICIES[1]];

/// What becomes of a Pod of this spec in a namespace with this list, and why it does not start.
pub(super) fn fate(spec: &PartialPodSpec, list: Option<&ImageAllowlist>, gate: ApiServerGate) -> (PodFate, String) {
    let images = PodImages::of(spec);
    let unknown = images.all().find(|image| !is_approved(image, list, gate));
    let Some(unknown) = unknown else { return (PodFate::Starts, String::new()) };
    let names_digests = images.of_containers.iter().all(|image| digest(image).is_some());
    let floating = images.of_volumes.iter().find(|image| digest(image).is_none());
    let because = |why: &str| (PodFate::Refused, format!("{unknown} is not approved here, and {why}"));
    match (gate.cause(), floating) {
        (Some(cause), _) if digest(unknown).is_none() => {
            (PodFate::Refused, format!("{unknown} is named by tag, and the API server pins none {cause}"))
        }
        (Some(cause), _) => because(&format!("the API server gates no Pod {cause}")),
        (None, _) if spec.node_name.is_some() => because("a Pod that names its node cannot wait"),
        (None, Some(floating)) => (
            PodFate::Refused,
            format!("{unknown} is not approved here, and the image volume {floating} is named by tag"),
        ),
        (None, None) if list.is_none() && names_digests => {
            because("the server has not written the list of its namespace yet")
        }
        (None, None) => (PodFate::Waits, format!("{unknown} is not approved here")),
    }
}

/// Every image of a Pod, as the policies list them.
struct PodImages<'a> {
    of_containers: Vec<&'a str>,
    of_volumes: Vec<&'a str>,
}

impl<'a> PodImages<'a> {
    fn of(spec: &'a PartialPodSpec) -> Self {
        PodImages {
            of_containers: spec.containers().filter_map(|container| container.image.as_deref()).collect(),
            of_volumes: spec.image_volumes().filter_map(|(_, image)| image).collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.of_containers.iter().chain(&self.of_volumes).copied()
    }
}

/// Whether an image starts: by an approved digest, or where the API server pins by a name for which one is approved.
fn is_approved(image: &str, list: Option<&ImageAllowlist>, gate: ApiServerGate) -> bool {
    let Some(list) = list.map(|list| &list.spec) else { return false };
    let by_digest = digest(image).is_some_and(|digest| list.digests.contains_key(digest));
    by_digest || (gate == ApiServerGate::Bound && list.images.contains_key(image))
}

/// The digest that an image reference ends with.
fn digest(image: &str) -> Option<&str> {
    image.rsplit_once('@').map(|(_, digest)| digest).filter(|digest| digest.parse::<Digest>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ApiServerGate::{Absent, Bound, Unbound};
    use PodFate::{Refused, Starts, Waits};
    use serde_json::{Value, json};

    fn approved() -> String {
        format!("r/app@sha256:{}", "a".repeat(64))
    }

    fn unknown() -> String {
        format!("r/new@sha256:{}", "b".repeat(64))
    }

    fn list() -> ImageAllowlist {
        let digests = json!({format!("sha256:{}", "a".repeat(64)): "approved"});
        serde_json::from_value(json!({"metadata": {"name": "images"},
            "spec": {"digests": digests, "images": {"r/app:v1": approved()}}}))
        .unwrap()
    }

    /// A Pod with these images of containers, and these changes.
    fn spec(images: &[&str], changes: &Value) -> PartialPodSpec {
        let containers: Vec<Value> =
            images.iter().enumerate().map(|(i, image)| json!({"name": format!("c{i}"), "image": image})).collect();
        let mut spec = json!({"containers": containers});
        changes.as_object().unwrap().iter().for_each(|(key, value)| spec[key] = value.clone());
        serde_json::from_value(spec).unwrap()
    }

    fn volume(image: &str) -> Value {
        json!({"volumes": [{"name": "v", "image": {"reference": image}}]})
    }

    /// `docs/operations.md`, the tables of what happens while the server is away.
    #[test]
    fn what_the_api_server_does_alone() {
        let (approved, unknown) = (approved(), unknown());
        let check = |images: &[&str], changes: Value, bound: PodFate, absent: PodFate| {
            let spec = spec(images, &changes);
            let found = [Bound, Unbound, Absent].map(|gate| fate(&spec, Some(&list()), gate).0);
            assert_eq!(found, [bound, absent, absent], "{images:?} {changes}");
        };
        let node = || json!({"nodeName": "n"});
        check(&["r/app:v1"], json!({}), Starts, Refused);
        check(&[&approved], json!({}), Starts, Starts);
        check(&["r/app:v1", &approved], json!({}), Starts, Refused);
        check(&["r/app:v2"], json!({}), Waits, Refused);
        check(&[&unknown], json!({}), Waits, Refused);
        check(&[&approved, "r/app:v2"], json!({}), Waits, Refused);
        check(&[&approved], json!({"initContainers": [{"name": "i", "image": "r/new:v1"}]}), Waits, Refused);
        check(&[&approved], node(), Starts, Starts);
        check(&["r/app:v1"], node(), Starts, Refused);
        check(&["r/app:v2"], node(), Refused, Refused);
        check(&[&approved], volume(&approved), Starts, Starts);
        check(&[&approved], volume("r/app:v1"), Starts, Refused);
        check(&[&approved], volume(&unknown), Waits, Refused);
        check(&[&approved], volume("r/new:v1"), Refused, Refused);
        check(&["r/app:v2"], volume("r/app:v1"), Refused, Refused);
        // No digest, whatever it looks like.
        check(&["r/app@sha256:aaaa"], json!({}), Waits, Refused);
    }

    #[test]
    fn it_gates_where_it_can_and_both_policies_are_bound() {
        let check = |is_served: bool, bound: &[&str], expected: ApiServerGate| {
            assert_eq!(ApiServerGate::of(is_served, bound), expected, "{is_served} {bound:?}");
        };
        let [listed, unlisted, in_force] = GATE_POLICIES;
        check(false, &[], Absent);
        check(true, &[], Unbound);
        check(true, &[listed], Unbound);
        check(true, &[unlisted, in_force], Unbound);
        check(true, &[listed, unlisted], Bound);
        check(true, &GATE_POLICIES, Bound);
    }

    #[test]
    fn a_namespace_without_a_list_approves_nothing() {
        let check = |images: &[&str], changes: Value, expected: PodFate| {
            assert_eq!(fate(&spec(images, &changes), None, Bound).0, expected, "{images:?} {changes}");
            assert_eq!(fate(&spec(images, &changes), None, Absent).0, Refused, "{images:?} {changes}");
        };
        let approved = approved();
        check(&["r/app:v1"], json!({}), Waits);
        check(&["r/app:v1", &approved], json!({}), Waits);
        check(&[&approved], json!({}), Refused);
        check(&["r/app:v1"], json!({"nodeName": "n"}), Refused);
    }

    #[test]
    fn the_first_image_that_is_not_approved_is_named() {
        let check = |images: &[&str], changes: Value, gate: ApiServerGate, expected: &str| {
            assert_eq!(fate(&spec(images, &changes), Some(&list()), gate).1, expected);
        };
        let approved = approved();
        check(&["r/app:v1"], json!({}), Bound, "");
        check(&[&approved, "r/new:v1", "r/new:v2"], json!({}), Bound, "r/new:v1 is not approved here");
        let node = json!({"nodeName": "n"});
        check(&["r/new:v1"], node, Bound, "r/new:v1 is not approved here, and a Pod that names its node cannot wait");
        let by_tag = "r/app:v1 is named by tag, and the API server pins none before Kubernetes 1.36";
        check(&["r/app:v1"], json!({}), Absent, by_tag);
        let by_tag = "r/app:v1 is named by tag, and the API server pins none while its policies for that are not bound";
        check(&["r/app:v1"], json!({}), Unbound, by_tag);
    }
}
