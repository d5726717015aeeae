//! Changes of a workload's record (the status of its WorkloadScan).

use super::pins::{ImageUse, pins};
use super::workload_ref::WorkloadRef;
use super::{images, prune};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewaiter_core::status::WorkloadStatus;
use tidewaiter_crd::ObjectTime;
use tidewaiter_crd::workload_scan::{Container, Decision, GivenApproval, Revision, Transition, WorkloadScanStatus};

/// Recorded transitions: enough to follow one rollout from creation to completion twice. Events tell the rest.
const MAX_TRANSITIONS: usize = 10;

/// The current revision, if it is retained and a template has its very images: a restart, for a changed variable or
/// certificate. What runs may restart, whatever is known about it by now. A template that is known, by its hash, with other
/// digests is a rollback.
pub(crate) fn restarted<'a>(
    record: &'a WorkloadScanStatus,
    hash: &str,
    wanted: &BTreeMap<String, String>,
) -> Option<&'a Revision> {
    let current = record.current_revision().filter(|revision| revision.decision == Decision::Retained)?;
    let images = current.containers.iter().map(|(name, container)| (name, &container.image));
    let same_digests = record.revisions.get(hash).is_none_or(|known| known.pins() == current.pins());
    (!wanted.is_empty() && same_digests && images.eq(wanted.iter())).then_some(current)
}

/// The revision of a template. A new one names its images and is held, unless it names nothing but digests that were
/// approved for this workload before.
pub(crate) fn revision<'a>(
    record: &'a mut WorkloadScanStatus,
    hash: &str,
    wanted: &BTreeMap<String, String>,
    now: Timestamp,
) -> &'a mut Revision {
    let approved = pins(record, hash, wanted, ImageUse::Rollout);
    let approved_by = approved.as_ref().map(|pins| approvals_of(record, pins)).unwrap_or_default();
    let new = || Revision { approved_by, ..new_revision(wanted, approved.as_ref(), now) };
    record.revisions.entry(hash.to_owned()).or_insert_with(new)
}

/// The approvals of another template with the same digests: withdrawn there, they are withdrawn here.
fn approvals_of(record: &WorkloadScanStatus, pins: &BTreeMap<String, String>) -> Vec<GivenApproval> {
    let digests = |pins: &BTreeMap<String, String>| -> BTreeSet<String> {
        pins.values().filter_map(|image| images::digest(image).map(str::to_owned)).collect()
    };
    let approved = record.revisions.values().filter(|revision| revision.decision == Decision::Approved);
    let same = approved.filter(|revision| !revision.overrides_policy() && digests(&revision.pins()) == digests(pins));
    same.map(|revision| revision.approved_by.clone()).find(|given| !given.is_empty()).unwrap_or_default()
}

/// Adds the revision of a template that restarts what is retained.
fn restart(record: &mut WorkloadScanStatus, hash: &str, wanted: &BTreeMap<String, String>, now: Timestamp) {
    if let Some(retained) = restarted(record, hash, wanted).cloned() {
        // Its findings were told when the approval was lost.
        let new = Revision { added: Some(now.into()), lost: false, ..retained };
        record.revisions.entry(hash.to_owned()).or_insert(new);
    }
}

fn new_revision(
    wanted: &BTreeMap<String, String>,
    approved: Option<&BTreeMap<String, String>>,
    now: Timestamp,
) -> Revision {
    let mut containers = BTreeMap::new();
    for (name, image) in wanted {
        let pinned = approved.and_then(|pins| pins.get(name).cloned());
        containers.insert(name.clone(), Container { image: image.clone(), pinned, scan: None });
    }
    let decision = if approved.is_some() { Decision::Approved } else { Decision::Held };
    Revision { decision, containers, added: Some(now.into()), lost: false, approved_by: Vec::new() }
}

/// Records what already runs as retained. What audit recorded was what the tag named; what counts is what runs.
pub(crate) fn retain(
    record: &mut WorkloadScanStatus,
    workload: &WorkloadRef,
    hash: &str,
    running: &BTreeMap<String, Container>,
    now: Timestamp,
) {
    let revision = record.revisions.entry(hash.to_owned()).or_insert_with(|| Revision {
        decision: Decision::Retained,
        added: Some(now.into()),
        ..Revision::default()
    });
    if revision.decision == Decision::Retained {
        revision.containers.clone_from(running);
    }
    // The controllers of these make the current template current.
    if !workload.is_shown_by_template() {
        record.current.get_or_insert_with(|| hash.to_owned());
    }
}

/// Makes a revision current; `restarts` says whether what is retained may restart under another template. A retained one that is neither current nor running was rolled back to, and that is a new
/// rollout: it is held and scanned again.
pub(crate) fn roll_out(
    record: &mut WorkloadScanStatus,
    hash: &str,
    wanted: &BTreeMap<String, String>,
    runs: bool,
    restarts: bool,
    now: Timestamp,
) {
    if restarts {
        restart(record, hash, wanted, now);
    }
    let is_restart = restarts && restarted(record, hash, wanted).is_some();
    let returns = record.current.as_deref() != Some(hash) && !runs && !is_restart;
    let revision = revision(record, hash, wanted, now);
    if returns && revision.decision == Decision::Retained {
        revision.decision = Decision::Held;
        revision.containers.values_mut().for_each(|container| container.scan = None);
    }
    record.current = Some(hash.to_owned());
}

/// Records both statuses; true when they changed, which is a transition.
pub(crate) fn transition(record: &mut WorkloadScanStatus, to: WorkloadStatus, now: Timestamp) -> bool {
    let first = record.transitions.is_empty();
    if !first && (record.image_status, record.deployment_status) == (to.image, to.deployment) {
        return false;
    }
    (record.image_status, record.deployment_status) = (to.image, to.deployment);
    let time = now.into();
    record.transitions.push(Transition { time, image_status: to.image, deployment_status: to.deployment });
    let old = record.transitions.len().saturating_sub(MAX_TRANSITIONS);
    record.transitions.drain(..old);
    true
}

/// Whether another template than this one may run.
pub(crate) fn has_earlier(record: &WorkloadScanStatus, current: &str) -> bool {
    let may_run = |(hash, revision): (&String, &Revision)| {
        hash != current && !images::is_images_hash(hash) && revision.decision != Decision::Held
    };
    record.revisions.iter().any(may_run)
}

/// Whether the revision of a gated Pod becomes its workload's current one. Not while another one is held and `awaited` by a
/// Pod: two Pods of one owner with different images would else take turns without end.
pub(crate) fn takes_over(record: &WorkloadScanStatus, hash: &str, awaited: &BTreeSet<String>) -> bool {
    let Some(current) = record.current.as_deref().filter(|current| *current != hash) else { return true };
    let held = record.revisions.get(current).is_some_and(|revision| revision.decision == Decision::Held);
    !(held && awaited.contains(current))
}

/// The revision that may run and has the images of the newest Pod: the very digests; else, where the Pod is older than the
/// gate and has tags, the newest that names them.
pub(crate) fn running_revision<'a>(
    record: &'a WorkloadScanStatus,
    pods: impl IntoIterator<Item = &'a Pod>,
) -> Option<&'a str> {
    let newest = pods.into_iter().max_by_key(|pod| pod.metadata.creation_timestamp.clone())?;
    let images = images::of(newest.spec.as_ref()?);
    let may_run = record.revisions.iter().filter(|(_, revision)| revision.decision != Decision::Held);
    let same = may_run.filter(|(_, revision)| prune::is_of(revision, &images));
    let added = |revision: &Revision| revision.added.as_ref().and_then(ObjectTime::timestamp);
    same.max_by_key(|(_, revision)| (revision.pins() == images, added(revision))).map(|(hash, _)| hash.as_str())
}

/// Hashes of the images of some Pods.
pub(crate) fn awaited(pods: &[Arc<Pod>]) -> BTreeSet<String> {
    pods.iter().filter_map(|pod| Some(images::images_hash(&images::of(pod.spec.as_ref()?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{now, pinned, record, revision as fixture};
    use Decision::{Approved, Held, Retained};
    use serde_json::json;
    use tidewaiter_core::status::{DeploymentStatus, ImageStatus};

    fn wanted(image: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("c".to_owned(), image.to_owned())])
    }

    #[test]
    fn a_new_revision_is_held_unless_its_digests_are_approved() {
        let digest = pinned("r.example/other", 1);
        let check = |known: Decision, image: &str, expected: Decision, pinned: Option<&str>| {
            let before = crate::decide::fixtures::pinned("r.example/x:1", 1);
            let mut record = record(&[("old", fixture(known, &[("c", "x:1", Some(&before))]))]);
            let new = revision(&mut record, "new", &wanted(image), now());
            assert_eq!((new.decision, new.containers["c"].pinned.as_deref()), (expected, pinned), "{image}");
            assert_eq!((new.containers["c"].image.as_str(), new.added.clone()), (image, Some(now().into())));
        };
        check(Approved, "x:1", Held, None);
        check(Approved, &digest, Approved, Some(&digest));
        check(Retained, &digest, Held, None);
        check(Held, &digest, Held, None);
    }

    #[test]
    fn a_template_of_the_same_digests_has_the_same_approvals() {
        let check = |break_glass: bool, image: &str, expected: Option<usize>| {
            let given: GivenApproval =
                serde_json::from_value(json!({"name": "a", "by": "p", "breakGlass": break_glass})).unwrap();
            let before = pinned("r.example/x:1", 1);
            let old = Revision { approved_by: vec![given], ..fixture(Approved, &[("c", "x:1", Some(&before))]) };
            let mut record = record(&[("old", old)]);
            let new = revision(&mut record, "new", &wanted(image), now());
            assert_eq!((new.decision == Approved).then_some(new.approved_by.len()), expected, "{image}");
        };
        check(false, &pinned("r.example/x", 1), Some(1));
        check(false, &pinned("r.example/x", 2), None);
        // What overrides policy does so for one template.
        check(true, &pinned("r.example/x", 1), None);
    }

    #[test]
    fn a_known_revision_keeps_its_decision() {
        for decision in [Held, Approved, Retained] {
            let mut record = record(&[("h", fixture(decision, &[("c", "x:1", None)]))]);
            assert_eq!(revision(&mut record, "h", &wanted("x:1"), now()).decision, decision);
        }
    }

    #[test]
    fn what_runs_is_retained() {
        let running = fixture(Retained, &[("c", "x:1", Some("running"))]).containers;
        let check = |known: Option<Decision>, kind: &str, expected: (Decision, &str), current: Option<&str>| {
            let (api_version, name) = kind.rsplit_once('/').unwrap();
            let workload = WorkloadRef::of_kind(api_version, name);
            let known = known.map(|decision| ("h", fixture(decision, &[("c", "x:1", Some("audited"))])));
            let mut record = record(known.as_slice());
            retain(&mut record, &workload, "h", &running, now());
            let revision = &record.revisions["h"];
            let pinned = revision.containers["c"].pinned.as_deref().unwrap();
            assert_eq!((revision.decision, pinned), expected, "{known:?} {kind}");
            assert_eq!(record.current.as_deref(), current, "{kind}");
        };
        check(None, "apps/v1/Deployment", (Retained, "running"), None);
        check(None, "apps/v1/StatefulSet", (Retained, "running"), Some("h"));
        check(None, "batch/v1/CronJob", (Retained, "running"), None);
        // One of another API group, which no controller of templates follows.
        check(None, "example.com/v1/CronJob", (Retained, "running"), Some("h"));
        check(Some(Retained), "apps/v1/Deployment", (Retained, "running"), None);
        // Decisions that were made are not unmade.
        check(Some(Approved), "apps/v1/Deployment", (Approved, "audited"), None);
        check(Some(Held), "v1/Pod", (Held, "audited"), Some("h"));
    }

    #[test]
    fn rolling_back_to_what_was_retained_is_a_new_rollout() {
        let check = |decision: Decision, current: Option<&str>, runs: bool, expected: Decision| {
            let mut record = record(&[("h", fixture(decision, &[("c", "x:1", None)]))]);
            record.current = current.map(str::to_owned);
            roll_out(&mut record, "h", &wanted("x:1"), runs, true, now());
            assert_eq!(record.revisions["h"].decision, expected, "{decision:?} {current:?} {runs}");
            assert_eq!(record.current.as_deref(), Some("h"));
        };
        check(Retained, Some("other"), false, Held);
        check(Retained, None, false, Held);
        check(Retained, Some("other"), true, Retained);
        check(Retained, Some("h"), false, Retained);
        check(Approved, Some("other"), false, Approved);
        check(Held, Some("other"), false, Held);
    }

    #[test]
    fn what_is_retained_restarts() {
        let check =
            |current: Decision, is_current: bool, restarts: bool, images: &[(&str, &str)], expected: Decision| {
                let pin = pinned("x:1", 1);
                let retained = Revision { lost: true, ..fixture(current, &[("c", "x:1", Some(&pin))]) };
                let mut record = record(&[("h", retained)]);
                record.current = is_current.then(|| "h".to_owned());
                let wanted = images.iter().map(|(name, image)| ((*name).to_owned(), (*image).to_owned())).collect();
                roll_out(&mut record, "new", &wanted, false, restarts, now());
                let new = &record.revisions["new"];
                assert_eq!((new.decision, new.lost), (expected, false), "{current:?} {restarts} {images:?}");
                assert_eq!(new.containers["c"].pinned.is_some(), expected != Held);
            };
        check(Retained, true, true, &[("c", "x:1")], Retained);
        check(Retained, true, false, &[("c", "x:1")], Held);
        check(Retained, true, true, &[("c", "x:2")], Held);
        check(Retained, true, true, &[("c", "x:1"), ("d", "y:1")], Held);
        check(Retained, false, true, &[("c", "x:1")], Held);
        // Approved images are scanned anew: a restart takes what the tag names now.
        check(Approved, true, true, &[("c", "x:1")], Held);
        check(Held, true, true, &[("c", "x:1")], Held);
    }

    #[test]
    fn a_rollback_to_other_digests_is_no_restart() {
        let check = |figure: u8, expected: Decision| {
            let (now_runs, before) = (pinned("x:1", 2), pinned("x:1", figure));
            let of = |pin: &str| fixture(Retained, &[("c", "x:1", Some(pin))]);
            let mut record = record(&[("now", of(&now_runs)), ("before", of(&before))]);
            record.current = Some("now".to_owned());
            roll_out(&mut record, "before", &wanted("x:1"), false, true, now());
            assert_eq!(record.revisions["before"].decision, expected);
        };
        check(1, Held);
        check(2, Retained);
    }

    #[test]
    fn only_a_change_is_a_transition() {
        let mut record = WorkloadScanStatus::default();
        let mut check = |image: ImageStatus, deployment: DeploymentStatus, changed: bool, recorded: usize| {
            assert_eq!(transition(&mut record, WorkloadStatus { image, deployment }, now()), changed);
            assert_eq!(record.transitions.len(), recorded);
            assert_eq!((record.image_status, record.deployment_status), (image, deployment));
        };
        // The first one is recorded although it equals the default.
        check(ImageStatus::NotScanned, DeploymentStatus::NotCreated, true, 1);
        check(ImageStatus::NotScanned, DeploymentStatus::NotCreated, false, 1);
        check(ImageStatus::NotScanned, DeploymentStatus::Created, true, 2);
        check(ImageStatus::Scanning, DeploymentStatus::Created, true, 3);
        check(ImageStatus::Scanning, DeploymentStatus::Created, false, 3);
        for _ in 0..MAX_TRANSITIONS {
            transition(&mut record, WorkloadStatus { image: ImageStatus::Approved, ..Default::default() }, now());
            transition(&mut record, WorkloadStatus::default(), now());
        }
        assert_eq!(record.transitions.len(), MAX_TRANSITIONS);
        assert_eq!(record.transitions.last().map(|t| t.image_status), Some(ImageStatus::NotScanned));
    }

    #[test]
    fn an_earlier_template_is_one_that_may_run() {
        let check = |hash: &str, decision: Decision, expected: bool| {
            assert_eq!(has_earlier(&record(&[(hash, fixture(decision, &[]))]), "now"), expected, "{hash} {decision:?}");
        };
        check("before", Approved, true);
        check("before", Retained, true);
        check("before", Held, false);
        check("now", Approved, false);
        check("pods-1", Approved, false);
    }

    #[test]
    fn two_pods_of_one_owner_do_not_take_turns() {
        let check = |current: Option<&str>, decision: Decision, awaited: &[&str], expected: bool| {
            let mut record = record(&[("a", fixture(decision, &[]))]);
            record.current = current.map(str::to_owned);
            let awaited = awaited.iter().map(|hash| (*hash).to_owned()).collect();
            assert_eq!(takes_over(&record, "b", &awaited), expected, "{current:?} {decision:?} {awaited:?}");
        };
        check(None, Held, &["a", "b"], true);
        check(Some("b"), Held, &["a", "b"], true);
        check(Some("a"), Held, &["a", "b"], false);
        check(Some("a"), Held, &["b"], true);
        check(Some("a"), Approved, &["a", "b"], true);
        check(Some("a"), Retained, &["b"], true);
        check(Some("unknown"), Held, &["unknown", "b"], true);
    }

    #[test]
    fn what_runs_names_its_revision() {
        let (one, two) = (pinned("x:1", 1), pinned("x:2", 2));
        let record = record(&[
            ("a", fixture(Approved, &[("c", "x:1", Some(&one))])),
            ("b", fixture(Held, &[("c", "x:2", Some(&two))])),
        ]);
        let pod = |image: &str, second: u32| -> Pod {
            let spec = json!({"containers": [{"name": "c", "image": image}]});
            let created = format!("2026-01-01T00:00:{second:02}Z");
            serde_json::from_value(json!({"metadata": {"creationTimestamp": created}, "spec": spec})).unwrap()
        };
        let check = |pods: &[Pod], expected: Option<&str>| assert_eq!(running_revision(&record, pods), expected);
        check(&[], None);
        check(&[pod(&one, 0)], Some("a"));
        check(&[pod(&two, 0)], None);
        // From before enforcement.
        check(&[pod("x:1", 0)], Some("a"));
        check(&[pod("x:2", 0)], None);
        check(&[pod("x:3", 0)], None);
        check(&[pod(&two, 0), pod(&one, 1)], Some("a"));
        check(&[pod(&one, 0), pod(&two, 1)], None);
    }
}
