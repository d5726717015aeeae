//! The ImageAllowlist that follows from the decisions of a namespace.

use super::images;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::policy::Outcome;
use tidewaiter_crd::allowlist::ImageAllowlistSpec;
use tidewaiter_crd::workload_scan::{Decision, Revision, WorkloadScanStatus};
use tidewaiter_crd::{ImageScan, ObjectTime};

/// Entries of each list: 2,000 take about 400 KiB of the 1.5 MiB that etcd accepts for an object, and admission policies
/// read the list for every Pod.
pub(crate) const MAX_ENTRIES: usize = 2000;

/// Digests of images that passed a scan: more than a namespace has debuggers.
const MAX_SCANNED: usize = 500;

/// The list of a namespace.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct NamespaceList {
    /// What is written.
    pub(crate) spec: ImageAllowlistSpec,
    /// Digests for which the list has no room. Their Pods wait for the server, which pins and releases them.
    pub(crate) left_out: usize,
}

/// Digests of all decisions that let something run, and image strings of approved ones where all decisions agree on the
/// digest. Where there is no room for all digests, what was approved goes before what is retained.
pub(crate) fn allowlist<'a>(records: impl IntoIterator<Item = &'a WorkloadScanStatus>) -> NamespaceList {
    let mut digests: BTreeMap<String, String> = BTreeMap::new();
    let mut images: BTreeMap<String, ImagePins> = BTreeMap::new();
    for record in records {
        // What overrides policy does so for its workload alone, whose Pods start through the gate.
        for revision in record.revisions.values().filter(|revision| !revision.overrides_policy()) {
            for (_, _, digest) in pinned(revision) {
                list(&mut digests, digest, revision.decision);
            }
        }
        for revision in revisions_that_pin(record) {
            for (image, pin, _) in pinned(revision) {
                let pins = images.entry(image.to_owned()).or_default();
                pins.is_approved |= revision.decision == Decision::Approved;
                pins.pinned.insert(pin.to_owned());
            }
        }
    }
    let left_out = digests.len().saturating_sub(MAX_ENTRIES);
    let digests = bounded(digests);
    // A Pod that is pinned to what is not listed would be refused; one that is not pinned waits.
    let is_listed = |pin: &str| images::digest(pin).is_some_and(|digest| digests.contains_key(digest));
    let images = images.into_iter().filter_map(agreed).filter(|(_, pin)| is_listed(pin)).take(MAX_ENTRIES).collect();
    let spec = ImageAllowlistSpec { digests, images, ..ImageAllowlistSpec::default() };
    NamespaceList { spec, left_out }
}

/// What an image string was pinned to.
#[derive(Debug, Default)]
struct ImagePins {
    pinned: BTreeSet<String>,
    /// Whether one of the decisions is an approval: what is retained restarts by the server alone, which knows where it ran.
    is_approved: bool,
}

/// Image string, pinned image and its digest of the containers that a decision lets run.
fn pinned(revision: &Revision) -> impl Iterator<Item = (&str, &str, &str)> {
    let runs = revision.decision != Decision::Held;
    let containers = revision.containers.values().filter(move |_| runs);
    containers.filter_map(|c| c.pinned.as_deref().and_then(|p| Some((c.image.as_str(), p, images::digest(p)?))))
}

/// The revisions of a workload by which a tag is pinned: once the current one is approved, that alone. A tag that moved since
/// names what was approved last, also for a Pod of an earlier revision.
fn revisions_that_pin(record: &WorkloadScanStatus) -> Vec<&Revision> {
    match record.current_revision().filter(|revision| revision.decision == Decision::Approved) {
        Some(current) => vec![current],
        None => record.revisions.values().collect(),
    }
}

/// Adds a digest with the reason why it is listed.
fn list(digests: &mut BTreeMap<String, String>, digest: &str, decision: Decision) {
    // What is approved for one workload may run for it, whatever is decided about the others.
    if decision == Decision::Approved {
        digests.insert(digest.to_owned(), APPROVED.to_owned());
    } else {
        digests.entry(digest.to_owned()).or_insert_with(|| RETAINED.to_owned());
    }
}

/// Digests of the images that passed a scan by the policy of their namespace, with the image; of many the newest.
pub(crate) fn scanned<'a>(scans: impl IntoIterator<Item = &'a ImageScan>) -> BTreeMap<String, String> {
    let passed = scans.into_iter().filter_map(|scan| {
        let status = scan.status.as_ref().filter(|status| status.verdict == Some(Outcome::Pass))?;
        Some((status.finished.as_ref().and_then(ObjectTime::timestamp), &scan.spec.image, status))
    });
    let mut passed: Vec<_> = passed.collect();
    passed.sort_by_key(|(finished, image, _)| (Reverse(*finished), *image));
    let mut all = BTreeMap::new();
    for (_, image, status) in passed {
        let digests = status.digest.iter().chain(status.platforms.iter().map(|platform| &platform.digest));
        for digest in digests {
            if all.len() < MAX_SCANNED {
                all.entry(digest.clone()).or_insert_with(|| image.clone());
            }
        }
    }
    all
}

/// The digests that there is room for.
fn bounded(digests: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut ranked: Vec<(String, String)> = digests.into_iter().collect();
    ranked.sort_by_key(|(_, why)| why != APPROVED);
    ranked.into_iter().take(MAX_ENTRIES).collect()
}

const APPROVED: &str = "approved";
const RETAINED: &str = "retained";

/// The one pinned image of an approved image string. Two mean that workloads run different images by one tag: then the server
/// alone can tell which of them a Pod may run.
fn agreed((image, pins): (String, ImagePins)) -> Option<(String, String)> {
    if pins.pinned.len() > 1 || !pins.is_approved {
        return None;
    }
    pins.pinned.into_iter().next().map(|pinned| (image, pinned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{digest, image_scan, pinned, record, revision};
    use Decision::{Approved, Held, Retained};
    use serde_json::{Value, json};
    use std::sync::Arc;

    type Row<'a> = (Decision, &'a str, Option<u8>);

    fn list(workloads: &[&[Row<'_>]]) -> ImageAllowlistSpec {
        let one = |rows: &&[Row<'_>]| {
            let mut record = WorkloadScanStatus::default();
            for (hash, (decision, image, figure)) in rows.iter().enumerate() {
                let pinned = figure.map(|figure| pinned(image, figure));
                let revision = revision(*decision, &[("c", image, pinned.as_deref())]);
                record.revisions.insert(hash.to_string(), revision);
            }
            record
        };
        let records: Vec<WorkloadScanStatus> = workloads.iter().map(one).collect();
        allowlist(&records).spec
    }

    #[test]
    fn the_list_follows_from_the_decisions() {
        let check = |workloads: &[&[Row<'_>]], digests: &[(u8, &str)], images: &[(&str, u8)]| {
            let expected = ImageAllowlistSpec {
                digests: digests.iter().map(|(figure, why)| (digest(*figure), (*why).to_owned())).collect(),
                images: images.iter().map(|(image, f)| ((*image).to_owned(), pinned(image, *f))).collect(),
                scanned: BTreeMap::new(),
            };
            assert_eq!(list(workloads), expected, "{workloads:?}");
        };
        check(&[], &[], &[]);
        check(&[&[(Held, "a", Some(1))]], &[], &[]);
        check(&[&[(Approved, "a", None)]], &[], &[]);
        check(&[&[(Approved, "a", Some(1))]], &[(1, "approved")], &[("a", 1)]);
        // What is only retained starts nothing new.
        check(&[&[(Retained, "a", Some(1))]], &[(1, "retained")], &[]);
        // Two revisions, and two workloads, that agree and that differ.
        check(&[&[(Approved, "a", Some(1)), (Retained, "a", Some(1))]], &[(1, "approved")], &[("a", 1)]);
        check(&[&[(Retained, "a", Some(1))], &[(Approved, "a", Some(1))]], &[(1, "approved")], &[("a", 1)]);
        check(&[&[(Approved, "a", Some(1)), (Retained, "a", Some(2))]], &[(1, "approved"), (2, "retained")], &[]);
        check(&[&[(Approved, "a", Some(1))], &[(Approved, "a", Some(2))]], &[(1, "approved"), (2, "approved")], &[]);
        check(&[&[(Approved, "a", Some(1)), (Held, "a", Some(2))]], &[(1, "approved")], &[("a", 1)]);
        check(&[&[(Approved, "a", Some(1)), (Approved, "b", Some(1))]], &[(1, "approved")], &[("a", 1), ("b", 1)]);
    }

    #[test]
    fn a_tag_names_what_was_approved_last() {
        let check = |current: Option<&str>, decisions: [(Decision, u8); 2], expected: Option<u8>| {
            let of = |(decision, figure): (Decision, u8)| {
                revision(decision, &[("c", "a", Some(pinned("a", figure).as_str()))])
            };
            let [old, new] = decisions;
            let record = WorkloadScanStatus {
                current: current.map(str::to_owned),
                ..record(&[("old", of(old)), ("new", of(new))])
            };
            let spec = allowlist([&record]).spec;
            assert_eq!(
                spec.images.get("a"),
                expected.map(|figure| pinned("a", figure)).as_ref(),
                "{current:?} {decisions:?}"
            );
            let runs = decisions.iter().filter(|(decision, _)| *decision != Held).count();
            assert_eq!(spec.digests.len(), runs);
        };
        let moved = [(Approved, 1), (Approved, 2)];
        check(Some("new"), moved, Some(2));
        check(Some("old"), moved, Some(1));
        check(None, moved, None);
        check(Some("new"), [(Retained, 1), (Approved, 2)], Some(2));
        // The update is held, the old one runs.
        check(Some("new"), [(Approved, 1), (Held, 2)], Some(1));
        check(Some("new"), [(Retained, 1), (Held, 2)], None);
        check(Some("new"), [(Approved, 1), (Retained, 2)], None);
    }

    #[test]
    fn approved_digests_go_before_retained_ones() {
        let check = |approved: usize, retained: usize, expected: (usize, usize, usize)| {
            // Retained ones come first in the order of digests.
            let one = |i: usize| (format!("i{i}"), format!("i{i}@sha256:{i:064}"));
            let all: Vec<(String, String)> = (0..approved + retained).map(one).collect();
            let all: Vec<(&str, &str, Option<&str>)> =
                all.iter().map(|(image, pinned)| (image.as_str(), image.as_str(), Some(pinned.as_str()))).collect();
            let (first, last) = all.split_at(retained);
            let record = record(&[("r", revision(Retained, first)), ("a", revision(Approved, last))]);
            let list = allowlist([&record]);
            let count = |why: &str| list.spec.digests.values().filter(|w| *w == why).count();
            assert_eq!((count("approved"), count("retained"), list.left_out), expected, "{approved} {retained}");
            assert_eq!(list.spec.images.len(), approved.min(MAX_ENTRIES));
            let listed = |pin: &String| images::digest(pin).is_some_and(|d| list.spec.digests.contains_key(d));
            assert!(list.spec.images.values().all(listed));
        };
        check(MAX_ENTRIES, 0, (MAX_ENTRIES, 0, 0));
        check(1, MAX_ENTRIES - 1, (1, MAX_ENTRIES - 1, 0));
        check(1, MAX_ENTRIES, (1, MAX_ENTRIES - 1, 1));
        check(MAX_ENTRIES, 5, (MAX_ENTRIES, 0, 5));
        check(MAX_ENTRIES + 3, 5, (MAX_ENTRIES, 0, 8));
    }

    #[test]
    fn what_passed_a_scan_may_debug() {
        let scan = |image: &str, verdict: Value, figures: &[u8], finished: &str| {
            let platforms: Vec<Value> = figures[1..]
                .iter()
                .map(|figure| json!({"platform": "linux/amd64", "digest": digest(*figure), "reportKey": ""}))
                .collect();
            let status = json!({"imageStatus": "NoVulnerabilities", "digest": digest(figures[0]), "verdict": verdict,
                "platforms": platforms, "finished": finished});
            image_scan(image, status)
        };
        let check = |scans: &[Arc<ImageScan>], expected: &[(u8, &str)]| {
            let expected = expected.iter().map(|(figure, image)| (digest(*figure), (*image).to_owned())).collect();
            assert_eq!(scanned(scans.iter().map(|scan| &**scan)), expected);
        };
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        check(&[], &[]);
        check(&[image_scan("a", Value::Null)], &[]);
        check(&[scan("a", json!("Pass"), &[1, 2, 3], old)], &[(1, "a"), (2, "a"), (3, "a")]);
        check(&[scan("a", json!("Violated"), &[1], old), scan("b", json!("Incomplete"), &[2], old)], &[]);
        check(&[scan("a", Value::Null, &[1], old)], &[]);
        check(&[scan("a", json!("Pass"), &[1], old), scan("b", json!("Pass"), &[1], new)], &[(1, "b")]);
    }

    #[test]
    fn of_many_scans_the_newest_remain() {
        let one = |i: usize| {
            let finished = jiff::Timestamp::from_second(i64::try_from(i).unwrap()).unwrap();
            let digest = format!("sha256:{i:064}");
            let status = json!({"imageStatus": "NoVulnerabilities", "digest": digest, "verdict": "Pass",
                "finished": finished.to_string()});
            image_scan(&format!("i{i}"), status)
        };
        let scans: Vec<Arc<ImageScan>> = (0..MAX_SCANNED + 7).map(one).collect();
        let list = scanned(scans.iter().map(|scan| &**scan));
        assert_eq!((list.len(), list.keys().next()), (MAX_SCANNED, Some(&format!("sha256:{:064}", 7))));
    }
}
