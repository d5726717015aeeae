//! Which scans a workload's report follows from.

use crate::decide::evaluation::{KnownScans, scanned_image};
use crate::decide::images;
use std::collections::BTreeMap;
use tidewaiter_core::status::ImageStatus;
use tidewaiter_crd::image_scan::ImageScanStatus;
use tidewaiter_crd::workload_scan::{Container, Decision, Revision};

/// An image of a revision, and what its scan says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RevisionImage {
    /// As the template names it.
    pub(crate) image: String,
    /// The containers that have it.
    pub(crate) containers: Vec<String>,
    /// The result, or the failure.
    pub(crate) status: ImageScanStatus,
}

/// The images of a revision, each once. `None` while one of them has neither a result nor failed: what was reported before stays
/// until the whole of the new one is known, so that a rollout writes one report, not one for each step.
pub(crate) fn scanned_images(revision: &Revision, known: &KnownScans) -> Option<Vec<RevisionImage>> {
    let mut all: BTreeMap<&str, RevisionImage> = BTreeMap::new();
    for (name, container) in &revision.containers {
        let Some(scan) = known.get(&scanned_image(container, revision.decision, known)) else {
            // What is approved without a scan of its own was scanned where its template is: an injected container.
            if revision.decision == Decision::Approved {
                continue;
            }
            return None;
        };
        let status = scan.status.as_ref().filter(|status| says_of(status, container, revision.decision))?;
        let new = || RevisionImage { image: container.image.clone(), containers: vec![], status: status.clone() };
        all.entry(&container.image).or_insert_with(new).containers.push(name.clone());
    }
    (!all.is_empty()).then(|| all.into_values().collect())
}

/// Whether a status is about the bytes of a container: of the run that was requested, for what is held; of the digest that runs.
fn says_of(status: &ImageScanStatus, container: &Container, decision: Decision) -> bool {
    let requested = container.scan.as_ref().map_or(0, |scan| scan.generation);
    if decision == Decision::Held && status.observed_generation < requested {
        return false;
    }
    let running = container.pinned.as_deref().and_then(images::digest).filter(|_| decision != Decision::Held);
    let has_result = status.verdict.is_some() && (running.is_none() || status.digest.as_deref() == running);
    has_result || status.image_status == ImageStatus::ScanFailed
}
