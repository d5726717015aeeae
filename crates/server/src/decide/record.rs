//! Changes of a workload's record (the status of its WorkloadScan).

use super::images;
use super::pins::{ImageUse, pins};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewaiter_core::status::WorkloadStatus;
use tidewaiter_crd::workload_scan::{Container, Decision, Revision, Transition, WorkloadScanStatus};
use tidewaiter_crd::{ObjectTime, WorkloadKind};

/// Recorded transitions: enough to follow one rollout from creation to completion twice. Events tell the rest.
const MAX_TRANSITIONS: usize = 10;
/// Ids of delivered alerts: more than a workload has revisions.
const MAX_ALERTS: usize = 40;
/// Recorded revisions of single Pods that are held. Controllers that inject something different into each Pod would grow the
/// object without bound; etcd limits it to 1.5 MiB.
const MAX_HELD: usize = 20;
/// The same of those that may run: without its revision a Pod that restarts waits again. At one or two KiB each they take a
/// quarter of an object.
const MAX_DECIDED: usize = 200;

/// The revision of a template. A new one names its images and is held, unless it names nothing but digests that were
/// approved for this workload before.
pub(crate) fn revision<'a>(
    record: &'a mut WorkloadScanStatus,
    hash: &str,
    wanted: &BTreeMap<String, String>,
    now: Timestamp,
) -> &'a mut Revision {
    let approved = pins(record, hash, wanted, ImageUse::Rollout);
    record.revisions.entry(hash.to_owned()).or_insert_with(|| new_revision(wanted, approved.as_ref(), now))
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
    Revision { decision, containers, added: Some(now.into()), lost: false }
}

/// Records what already runs as retained. What audit recorded was what the tag named; what counts is what runs.
pub(crate) fn retain(
    record: &mut WorkloadScanStatus,
    kind: &WorkloadKind,
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
    // The Deployment controller makes the current template current.
    if *kind != WorkloadKind::Deployment {
        record.current.get_or_insert_with(|| hash.to_owned());
    }
}

/// Makes a revision current. A retained one that is neither current nor running was rolled back to, and that is a new
/// rollout: it is held and scanned again.
pub(crate) fn roll_out(
    record: &mut WorkloadScanStatus,
    hash: &str,
    wanted: &BTreeMap<String, String>,
    runs: bool,
    now: Timestamp,
) {
    let returns = record.current.as_deref() != Some(hash) && !runs;
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

/// Notes a delivered alert.
pub(crate) fn note_alert(record: &mut WorkloadScanStatus, id: String) {
    record.alerted.push(id);
    let old = record.alerted.len().saturating_sub(MAX_ALERTS);
    record.alerted.drain(..old);
}

/// Whether the revision of a gated Pod becomes its workload's current one. Not while another one is held and `awaited` by a
/// Pod: two Pods of one owner with different images would else take turns without end.
pub(crate) fn takes_over(record: &WorkloadScanStatus, hash: &str, awaited: &BTreeSet<String>) -> bool {
    let Some(current) = record.current.as_deref().filter(|current| *current != hash) else { return true };
    let held = record.revisions.get(current).is_some_and(|revision| revision.decision == Decision::Held);
    !(held && awaited.contains(current))
}

/// Hashes of the images of some Pods.
pub(crate) fn awaited(pods: &[Arc<Pod>]) -> BTreeSet<String> {
    pods.iter().filter_map(|pod| Some(images::images_hash(&images::of(pod.spec.as_ref()?)))).collect()
}

/// Whether a record has so many decided revisions of single Pods that some of them are deleted, unless a Pod runs them.
pub(crate) fn is_crowded(record: &WorkloadScanStatus) -> bool {
    of_single_pods(record, false).len() > MAX_DECIDED
}

/// The revisions that these Pods run: by the images that they were created with, or the pinned ones.
pub(crate) fn running(record: &WorkloadScanStatus, pods: &[Pod]) -> BTreeSet<String> {
    let running: Vec<BTreeMap<String, String>> = pods.iter().filter_map(|p| p.spec.as_ref().map(images::of)).collect();
    let runs = |revision: &Revision| running.iter().any(|images| is_of(revision, images));
    record.revisions.iter().filter(|(_, revision)| runs(revision)).map(|(hash, _)| hash.clone()).collect()
}

fn is_of(revision: &Revision, images: &BTreeMap<String, String>) -> bool {
    let same = |(name, image): (&String, &String)| revision.containers.get(name).is_some_and(|c| c.names(image));
    images.len() == revision.containers.len() && images.iter().all(same)
}

/// The revisions of single Pods, the newest first: those that are held, or those that may run.
fn of_single_pods(record: &WorkloadScanStatus, held: bool) -> Vec<String> {
    let added = |revision: &Revision| revision.added.as_ref().and_then(ObjectTime::timestamp);
    let of_pods = record.revisions.iter().filter(|(hash, _)| images::is_images_hash(hash));
    let wanted = of_pods.filter(|(_, revision)| (revision.decision == Decision::Held) == held);
    let mut all: Vec<(Option<Timestamp>, &String)> = wanted.map(|(hash, revision)| (added(revision), hash)).collect();
    // Times of one form and zone: the order of the texts is theirs, to the second.
    all.sort();
    all.into_iter().rev().map(|(_, hash)| hash.clone()).collect()
}

/// Deletes revisions that nothing uses. In use are the current one, those of `used` (templates that the workload can be rolled
/// back to, Pods that run), those that a gated Pod waits for, and the newest of single Pods. However many are held, they
/// displace none that may run.
pub(crate) fn prune(record: &mut WorkloadScanStatus, used: &BTreeSet<String>, gated: &[Arc<Pod>]) {
    let awaited = awaited(gated);
    let held = of_single_pods(record, true).into_iter().take(MAX_HELD);
    let newest: BTreeSet<String> = of_single_pods(record, false).into_iter().take(MAX_DECIDED).chain(held).collect();
    let current = record.current.clone();
    record.revisions.retain(|hash, _| {
        let used = used.contains(hash) || awaited.contains(hash) || newest.contains(hash);
        used || current.as_ref() == Some(hash)
    });
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
            let known = known.map(|decision| ("h", fixture(decision, &[("c", "x:1", Some("audited"))])));
            let mut record = record(known.as_slice());
            retain(&mut record, &kind.into(), "h", &running, now());
            let revision = &record.revisions["h"];
            let pinned = revision.containers["c"].pinned.as_deref().unwrap();
            assert_eq!((revision.decision, pinned), expected, "{known:?} {kind}");
            assert_eq!(record.current.as_deref(), current, "{kind}");
        };
        check(None, "Deployment", (Retained, "running"), None);
        check(None, "StatefulSet", (Retained, "running"), Some("h"));
        check(Some(Retained), "Deployment", (Retained, "running"), None);
        // Decisions that were made are not unmade.
        check(Some(Approved), "Deployment", (Approved, "audited"), None);
        check(Some(Held), "Pod", (Held, "audited"), Some("h"));
    }

    #[test]
    fn rolling_back_to_what_was_retained_is_a_new_rollout() {
        let check = |decision: Decision, current: Option<&str>, runs: bool, expected: Decision| {
            let mut record = record(&[("h", fixture(decision, &[("c", "x:1", None)]))]);
            record.current = current.map(str::to_owned);
            roll_out(&mut record, "h", &wanted("x:1"), runs, now());
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
    fn delivered_alerts_are_noted_within_bounds() {
        let mut record = WorkloadScanStatus::default();
        (0..MAX_ALERTS + 2).for_each(|i| note_alert(&mut record, i.to_string()));
        assert_eq!(record.alerted.len(), MAX_ALERTS);
        assert_eq!(record.alerted.first().map(String::as_str), Some("2"));
        // As it was written before.
        let old: WorkloadScanStatus =
            serde_json::from_value(json!({"imageStatus": "Scanning", "deploymentStatus": "Created", "alerted": "x"}))
                .unwrap();
        assert_eq!(old.alerted, ["x"]);
    }

    #[test]
    fn revisions_without_a_use_are_deleted() {
        let awaited = images::images_hash(&wanted("waits:1"));
        let plain = || fixture(Approved, &[("c", "x:1", None)]);
        let check = |hash: &str, current: Option<&str>, templates: &[&str], kept: bool| {
            let mut record = record(&[(hash, plain())]);
            record.current = current.map(str::to_owned);
            let spec = json!({"spec": {"containers": [{"name": "c", "image": "waits:1"}]}});
            let gated = [Arc::new(serde_json::from_value(spec).unwrap())];
            prune(&mut record, &templates.iter().map(|t| (*t).to_owned()).collect(), &gated);
            assert_eq!(record.revisions.contains_key(hash), kept, "{hash}");
        };
        check("a", None, &[], false);
        check("a", Some("b"), &["b"], false);
        check("a", Some("a"), &[], true);
        check("a", None, &["a", "b"], true);
        check("pods-1", None, &[], true);
        check(&awaited, None, &[], true);
    }

    #[test]
    fn the_newest_revisions_of_single_pods_remain() {
        let one = |decision: Decision, number: usize| {
            let added = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
            let revision = Revision { added: Some(added.into()), ..fixture(decision, &[]) };
            // The order of their names is not that of their times.
            (format!("pods-{decision:?}-{:05}", 99_999 - number), revision)
        };
        let check = |held: usize, approved: usize, used: &[usize], expected: (usize, usize)| {
            let held = (0..held).map(|i| one(Held, 1000 + i));
            let all: BTreeMap<String, Revision> = held.chain((0..approved).map(|i| one(Approved, i))).collect();
            let mut record = WorkloadScanStatus { revisions: all, ..WorkloadScanStatus::default() };
            let used: BTreeSet<String> = used.iter().map(|number| one(Approved, *number).0).collect();
            prune(&mut record, &used, &[]);
            let count = |decision: Decision| record.revisions.values().filter(|r| r.decision == decision).count();
            assert_eq!((count(Held), count(Approved)), expected, "{approved} {used:?}");
            assert!(used.iter().all(|hash| record.revisions.contains_key(hash)));
            if approved > 0 {
                assert!(record.revisions.contains_key(&one(Approved, approved - 1).0), "the newest");
            }
        };
        check(0, 30, &[], (0, 30));
        check(MAX_HELD + 3, 0, &[], (MAX_HELD, 0));
        // Later ones that are held displace none that may run.
        check(500, 150, &[], (MAX_HELD, 150));
        check(0, MAX_DECIDED + 9, &[], (0, MAX_DECIDED));
        // What runs remains, however old.
        check(0, MAX_DECIDED + 9, &[0, 1], (0, MAX_DECIDED + 2));
    }

    #[test]
    fn a_running_pod_is_of_the_revision_that_it_was_created_with() {
        let x = pinned("r.example/x:1", 1);
        let check = |containers: &[(&str, &str)], expected: bool| {
            let containers: Vec<_> = containers.iter().map(|(n, image)| json!({"name": n, "image": image})).collect();
            let pod: Pod = serde_json::from_value(json!({"spec": {"containers": containers}})).unwrap();
            let record = record(&[("h", fixture(Approved, &[("c", "x:1", Some(&x)), ("d", "y:1", None)]))]);
            assert_eq!(running(&record, &[pod]).contains("h"), expected, "{containers:?}");
        };
        check(&[("c", "x:1"), ("d", "y:1")], true);
        check(&[("c", &x), ("d", "y:1")], true);
        check(&[("c", "x:2"), ("d", "y:1")], false);
        check(&[("c", "x:1")], false);
        check(&[("c", "x:1"), ("d", "y:1"), ("e", "z:1")], false);
    }
}
