//! The ImageAllowlist that follows from the decisions of a namespace.

use super::images;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::policy::Outcome;
use tidewaiter_crd::allowlist::ImageAllowlistSpec;
use tidewaiter_crd::workload_scan::{Decision, WorkloadScanStatus};
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

/// Digests of all decisions that let something run, and image references where all decisions agree on the digest. Where
/// there is no room for all, what was approved goes before what is retained.
pub(crate) fn allowlist<'a>(records: impl IntoIterator<Item = &'a WorkloadScanStatus>) -> NamespaceList {
    let mut digests: BTreeMap<String, String> = BTreeMap::new();
    let mut images: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for revision in records.into_iter().flat_map(|record| record.revisions.values()) {
        let why = match revision.decision {
            Decision::Held => continue,
            Decision::Approved => APPROVED,
            Decision::Retained => "retained",
        };
        for container in revision.containers.values() {
            let Some((pinned, digest)) = container.pinned.as_ref().and_then(|p| Some((p, images::digest(p)?))) else {
                continue;
            };
            let entry = digests.entry(digest.to_owned()).or_insert_with(|| why.to_owned());
            // What is approved for one workload may run for it, whatever is decided about the others.
            if why == APPROVED {
                why.clone_into(entry);
            }
            images.entry(container.image.clone()).or_default().insert(pinned.clone());
        }
    }
    let left_out = digests.len().saturating_sub(MAX_ENTRIES);
    let images = images.into_iter().filter_map(agreed).take(MAX_ENTRIES).collect();
    let spec = ImageAllowlistSpec { digests: bounded(digests), images, ..ImageAllowlistSpec::default() };
    NamespaceList { spec, left_out }
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

/// The one pinned image of a reference. Two mean that the tag moved between two rollouts: then the server alone can tell
/// which of them a Pod may run.
fn agreed((image, pins): (String, BTreeSet<String>)) -> Option<(String, String)> {
    if pins.len() > 1 {
        return None;
    }
    pins.into_iter().next().map(|pinned| (image, pinned))
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
        check(&[&[(Retained, "a", Some(1))]], &[(1, "retained")], &[("a", 1)]);
        // Two revisions, and two workloads, that agree and that differ.
        check(&[&[(Approved, "a", Some(1)), (Retained, "a", Some(1))]], &[(1, "approved")], &[("a", 1)]);
        check(&[&[(Retained, "a", Some(1))], &[(Approved, "a", Some(1))]], &[(1, "approved")], &[("a", 1)]);
        check(&[&[(Approved, "a", Some(1)), (Retained, "a", Some(2))]], &[(1, "approved"), (2, "retained")], &[]);
        check(&[&[(Approved, "a", Some(1))], &[(Approved, "a", Some(2))]], &[(1, "approved"), (2, "approved")], &[]);
        check(&[&[(Approved, "a", Some(1)), (Held, "a", Some(2))]], &[(1, "approved")], &[("a", 1)]);
        check(&[&[(Approved, "a", Some(1)), (Approved, "b", Some(1))]], &[(1, "approved")], &[("a", 1), ("b", 1)]);
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
            assert_eq!(list.spec.images.len(), (approved + retained).min(MAX_ENTRIES));
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
