//! The ImageAllowlist that follows from the decisions of a namespace.

use super::images;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_crd::allowlist::ImageAllowlistSpec;
use tidewaiter_crd::workload_scan::{Decision, WorkloadScanStatus};

/// Entries of each list: 2,000 take about 400 KiB of the 1.5 MiB that etcd accepts for an object, and admission policies
/// read the list for every Pod.
pub(crate) const MAX_ENTRIES: usize = 2000;

/// Digests of all decisions that let something run, and image references where all decisions agree on the digest.
pub(crate) fn allowlist<'a>(records: impl IntoIterator<Item = &'a WorkloadScanStatus>) -> ImageAllowlistSpec {
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
    ImageAllowlistSpec {
        digests: digests.into_iter().take(MAX_ENTRIES).collect(),
        images: images.into_iter().filter_map(agreed).take(MAX_ENTRIES).collect(),
    }
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
    use crate::decide::fixtures::{digest, pinned, record, revision};
    use Decision::{Approved, Held, Retained};

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
        allowlist(&records)
    }

    #[test]
    fn the_list_follows_from_the_decisions() {
        let check = |workloads: &[&[Row<'_>]], digests: &[(u8, &str)], images: &[(&str, u8)]| {
            let expected = ImageAllowlistSpec {
                digests: digests.iter().map(|(figure, why)| (digest(*figure), (*why).to_owned())).collect(),
                images: images.iter().map(|(image, f)| ((*image).to_owned(), pinned(image, *f))).collect(),
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
    fn the_list_is_bounded() {
        let pinned = |i: usize| format!("i{i}@sha256:{i:064}");
        let containers: Vec<(String, String)> = (0..MAX_ENTRIES + 1).map(|i| (format!("i{i}"), pinned(i))).collect();
        let containers: Vec<(&str, &str, Option<&str>)> =
            containers.iter().map(|(image, pinned)| (image.as_str(), image.as_str(), Some(pinned.as_str()))).collect();
        let list = allowlist([&record(&[("h", revision(Approved, &containers))])]);
        assert_eq!((list.digests.len(), list.images.len()), (MAX_ENTRIES, MAX_ENTRIES));
    }
}
