//! Which revisions a workload's record keeps: etcd bounds the object, and what runs must not lose its revision.

use super::images;
use super::record::awaited;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewaiter_crd::ObjectTime;
use tidewaiter_crd::workload_scan::{Decision, Revision, WorkloadScanStatus};

/// Recorded revisions of single Pods that are held. Controllers that inject something different into each Pod would grow the
/// object without bound; etcd limits it to 1.5 MiB.
const MAX_HELD: usize = 20;
/// The same of those that may run: without its revision a Pod that restarts waits again. At one or two KiB each they take a
/// quarter of an object.
const MAX_DECIDED: usize = 200;

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

/// Whether these images are those of a revision, as its template names them or pinned.
pub(crate) fn is_of(revision: &Revision, images: &BTreeMap<String, String>) -> bool {
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

/// Deletes revisions that nothing uses. In use are the current one, the one that
/// runs while an update is refused, those of `used` (templates that the workload can be rolled
/// back to, Pods that run), those that a gated Pod waits for, and the newest of single Pods. However many are held, they
/// displace none that may run.
pub(crate) fn prune(record: &mut WorkloadScanStatus, used: &BTreeSet<String>, gated: &[Arc<Pod>]) {
    let awaited = awaited(gated);
    let held = of_single_pods(record, true).into_iter().take(MAX_HELD);
    let newest: BTreeSet<String> = of_single_pods(record, false).into_iter().take(MAX_DECIDED).chain(held).collect();
    let current = record.current.clone();
    let meanwhile = record.refused.as_ref().and_then(|refused| refused.running.clone());
    record.revisions.retain(|hash, _| {
        let used = used.contains(hash) || awaited.contains(hash) || newest.contains(hash);
        used || current.as_ref() == Some(hash) || meanwhile.as_ref() == Some(hash)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{pinned, record, revision as fixture};
    use Decision::{Approved, Held};
    use serde_json::json;
    use tidewaiter_crd::workload_scan::RefusedUpdate;

    fn wanted(image: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("c".to_owned(), image.to_owned())])
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
    fn what_runs_while_an_update_is_refused_is_in_use() {
        let mut record = record(&[("a", fixture(Approved, &[])), ("b", fixture(Held, &[])), ("c", fixture(Held, &[]))]);
        record.current = Some("b".to_owned());
        let (revision, running) = ("b".to_owned(), Some("a".to_owned()));
        record.refused = Some(RefusedUpdate { revision, running, at: crate::decide::fixtures::now().into() });
        prune(&mut record, &BTreeSet::new(), &[]);
        assert_eq!(record.revisions.keys().collect::<Vec<_>>(), ["a", "b"]);
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
