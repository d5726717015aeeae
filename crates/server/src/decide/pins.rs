//! The digests that the recorded decisions of a workload allow.

use super::images;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_crd::workload_scan::{Container, Decision, Revision, WorkloadScanStatus};

/// What a set of images is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageUse {
    /// A new rollout: approved images only.
    Rollout,
    /// A Pod of an existing rollout: retained images too.
    Pod,
}

/// Whether a decision permits a use: retained images restart, and start no new rollout.
fn permits(decision: Decision, purpose: ImageUse) -> bool {
    match decision {
        Decision::Approved => true,
        Decision::Retained => purpose == ImageUse::Pod,
        Decision::Held => false,
    }
}

/// Name → pinned image, when this workload may use all of these images; `hash` names their template.
pub(crate) fn pins(
    status: &WorkloadScanStatus,
    hash: &str,
    wanted: &BTreeMap<String, String>,
    purpose: ImageUse,
) -> Option<BTreeMap<String, String>> {
    let counts = |revision: &&Revision| permits(revision.decision, purpose);
    if let Some(revision) = status.revisions.get(hash).filter(counts) {
        return wanted
            .iter()
            .map(|(name, image)| Some((name.clone(), pin(revision.containers.get(name)?, image)?)))
            .collect();
    }
    // A template of nothing but digests that were approved for this workload needs no new decision: pinning an approved
    // tag by digest in a manifest must not hold the next rollout.
    // Whoever overrides policy did so for that template.
    let counts = |revision: &&Revision| counts(revision) && (purpose == ImageUse::Pod || !revision.overrides_policy());
    let pinned = status.revisions.values().filter(counts).flat_map(|r| r.containers.values());
    let approved: BTreeSet<&str> = pinned.filter_map(|c| images::digest(c.pinned.as_deref()?)).collect();
    let by_digest = |image: &String| images::digest(image).is_some_and(|digest| approved.contains(digest));
    (!wanted.is_empty() && wanted.values().all(by_digest)).then(|| wanted.clone())
}

fn pin(container: &Container, image: &str) -> Option<String> {
    let pinned = container.pinned.as_ref()?;
    (container.image == image || pinned == image).then(|| pinned.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{pinned, record, revision};
    use Decision::{Approved, Held, Retained};

    #[test]
    fn a_workload_may_use_what_was_decided_for_it() {
        let (a1, a2) = (pinned("r.example/a:1", 1), pinned("r.example/a:1", 2));
        let elsewhere = pinned("mirror.example/a", 1);
        let check = |decision, hash: &str, wanted: &[(&str, &str)], purpose, expected: Option<&[&str]>| {
            let record = record(&[("h", revision(decision, &[("c", "a:1", Some(&a1)), ("d", "b:1", None)]))]);
            let wanted = wanted.iter().map(|(name, image)| ((*name).to_owned(), (*image).to_owned())).collect();
            let found = pins(&record, hash, &wanted, purpose);
            let found = found.as_ref().map(|pins| pins.values().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{decision:?} {hash} {wanted:?} {purpose:?}");
        };
        // By the template.
        check(Approved, "h", &[("c", "a:1")], ImageUse::Rollout, Some(&[&a1]));
        check(Approved, "h", &[("c", &a1)], ImageUse::Pod, Some(&[&a1]));
        check(Retained, "h", &[("c", "a:1")], ImageUse::Pod, Some(&[&a1]));
        check(Retained, "h", &[("c", "a:1")], ImageUse::Rollout, None);
        check(Held, "h", &[("c", "a:1")], ImageUse::Pod, None);
        // Containers that the revision does not have, or has without a pin.
        check(Approved, "h", &[("c", "a:1"), ("injected", "x:1")], ImageUse::Pod, None);
        check(Approved, "h", &[("c", "a:2")], ImageUse::Pod, None);
        check(Approved, "h", &[("d", "b:1")], ImageUse::Pod, None);
        // By digest, under any name and in any template.
        check(Approved, "new", &[("x", &elsewhere)], ImageUse::Rollout, Some(&[&elsewhere]));
        check(Retained, "new", &[("x", &elsewhere)], ImageUse::Pod, Some(&[&elsewhere]));
        check(Retained, "new", &[("x", &elsewhere)], ImageUse::Rollout, None);
        check(Held, "new", &[("x", &elsewhere)], ImageUse::Pod, None);
        check(Approved, "new", &[("x", &a2)], ImageUse::Pod, None);
        check(Approved, "new", &[("x", "a:1")], ImageUse::Pod, None);
        check(Approved, "new", &[("x", &elsewhere), ("y", "a:1")], ImageUse::Pod, None);
        check(Approved, "new", &[], ImageUse::Pod, None);
    }
}
