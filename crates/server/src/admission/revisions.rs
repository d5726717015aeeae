//! What the recorded decisions allow a set of images to do.

use super::images;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_crd::workload_scan::{Container, Decision, Revision, WorkloadScanStatus};

/// What is wanted of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// A new rollout: approved only.
    Rollout,
    /// A Pod of a rollout that exists: retained ones too.
    Pod,
}

/// Name → pinned image string, when this workload may use all these images; `hash` names their template.
pub(crate) fn pins(
    status: &WorkloadScanStatus,
    hash: &str,
    wanted: &BTreeMap<String, String>,
    purpose: Use,
) -> Option<BTreeMap<String, String>> {
    let counts = |revision: &&Revision| match revision.decision {
        Decision::Approved => true,
        Decision::Retained => purpose == Use::Pod,
        Decision::Held => false,
    };
    if let Some(revision) = status.revisions.get(hash).filter(counts) {
        return wanted
            .iter()
            .map(|(name, image)| Some((name.clone(), pin(revision.containers.get(name)?, image)?)))
            .collect();
    }
    // A template that names nothing but digests approved for this workload needs no new decision.
    let pinned = status.revisions.values().filter(counts).flat_map(|r| r.containers.values());
    let approved: BTreeSet<&str> = pinned.filter_map(|c| images::digest(c.pinned.as_deref()?)).collect();
    let by_digest = |image: &String| images::digest(image).is_some_and(|digest| approved.contains(digest));
    (!wanted.is_empty() && wanted.values().all(by_digest)).then(|| wanted.clone())
}

fn pin(container: &Container, image: &str) -> Option<String> {
    let pinned = container.pinned.as_ref()?;
    (container.image == image || pinned == image).then(|| pinned.clone())
}
