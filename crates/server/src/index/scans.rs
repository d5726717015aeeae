//! What is known of images: their scans, who uses them, and what a namespace approved.

use super::Index;
use crate::decide::allowlist::allowlist;
use crate::decide::evaluation::KnownScans;
use crate::decide::images;
use kube::runtime::reflector::ObjectRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewaiter_crd::workload_scan::{Revision, WorkloadScanStatus};
use tidewaiter_crd::{ImageScan, WorkloadScan, image_scan};

impl Index {
    /// The ImageScan of an image. Users may create ImageScans too: its name alone proves nothing.
    pub(crate) fn image_scan(&self, namespace: &str, image: &str) -> Option<Arc<ImageScan>> {
        let named = self.images.get(&ObjectRef::new(&image_scan::name(image)).within(namespace));
        named.filter(|scan| scan.spec.image == image)
    }

    /// The ImageScans that concern a revision: of its images, as its template names them and pinned.
    pub(crate) fn known_scans(&self, namespace: &str, revision: &Revision) -> KnownScans {
        let images = revision.containers.values().flat_map(|c| [Some(&c.image), c.pinned.as_ref()]).flatten();
        let known = KnownScans::new(images.filter_map(|image| self.image_scan(namespace, image)), self.platforms());
        if known.lacks_registry() { known.with_approved(self.approved_images(namespace, revision)) } else { known }
    }

    /// Image string → pinned image of what is approved in a namespace of a revision's images; the API server pins new Pods by the
    /// same.
    fn approved_images(&self, namespace: &str, revision: &Revision) -> BTreeMap<String, String> {
        let is_used = |w: &WorkloadScan| revision.containers.values().any(|container| uses(w, &container.image));
        let records = self.workloads.state_filter(|w| w.metadata.namespace.as_deref() == Some(namespace) && is_used(w));
        allowlist(records.iter().filter_map(|record| record.status.as_ref())).spec.images
    }

    /// Whether a tag of a workload's current revision is known to name another digest than the one that runs.
    pub(crate) fn tags_moved(&self, namespace: &str, record: &WorkloadScanStatus) -> bool {
        let current = record.current_revision().into_iter();
        current.flat_map(|revision| revision.containers.values()).any(|container| {
            let scan = self.image_scan(namespace, &container.image);
            let digest = scan.as_ref().and_then(|scan| scan.status.as_ref()?.digest.as_deref());
            digest.is_some() && digest != container.pinned.as_deref().and_then(images::digest)
        })
    }

    /// The workloads that use an image of their namespace.
    pub(crate) fn users(&self, scan: &ImageScan) -> Vec<Arc<WorkloadScan>> {
        self.workloads.state_filter(|workload| is_user(workload, scan))
    }

    /// Whether a workload of its namespace uses an image.
    pub(crate) fn is_used(&self, scan: &ImageScan) -> bool {
        self.workloads.find(|workload| is_user(workload, scan)).is_some()
    }
}

fn is_user(workload: &WorkloadScan, scan: &ImageScan) -> bool {
    workload.metadata.namespace == scan.metadata.namespace && uses(workload, &scan.spec.image)
}

fn uses(workload: &WorkloadScan, image: &str) -> bool {
    let revisions = workload.status.iter().flat_map(|s| s.revisions.values());
    revisions.flat_map(|r| r.containers.values()).any(|c| c.names(image))
}
