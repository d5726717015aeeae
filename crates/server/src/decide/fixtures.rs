//! Objects that the tables of this module's tests are made of.

use super::workload_ref::WorkloadRef;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, from_value, json};
use std::sync::Arc;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::workload_scan::{Container, Decision, Revision, WorkloadScanStatus};

/// The time of every test.
pub(crate) const NOW: &str = "2026-01-02T00:00:00Z";

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The Deployment `n/d` with the UID `u`.
pub(crate) fn workload() -> WorkloadRef {
    WorkloadRef {
        namespace: "n".to_owned(),
        name: "d".to_owned(),
        uid: "u".to_owned(),
        ..WorkloadRef::of_kind("apps/v1", "Deployment")
    }
}

/// A digest of one repeated figure.
pub(crate) fn digest(figure: u8) -> String {
    format!("sha256:{}", figure.to_string().repeat(64))
}

/// `NAME@sha256:111…`.
pub(crate) fn pinned(name: &str, figure: u8) -> String {
    format!("{name}@{}", digest(figure))
}

/// A revision of containers: name, image, pinned image.
pub(crate) fn revision(decision: Decision, containers: &[(&str, &str, Option<&str>)]) -> Revision {
    let container = |(name, image, pinned): &(&str, &str, Option<&str>)| {
        let (image, pinned) = ((*image).to_owned(), pinned.map(str::to_owned));
        ((*name).to_owned(), Container { image, pinned, scan: None })
    };
    Revision { decision, containers: containers.iter().map(container).collect(), ..Revision::default() }
}

/// A record of revisions by their hashes.
pub(crate) fn record(revisions: &[(&str, Revision)]) -> WorkloadScanStatus {
    let revisions = revisions.iter().map(|(hash, revision)| ((*hash).to_owned(), revision.clone())).collect();
    WorkloadScanStatus { revisions, ..WorkloadScanStatus::default() }
}

/// An ImageScan of namespace `n`, of UID `scan` and generation 1, whose status is given as JSON; null: none yet.
pub(crate) fn image_scan(image: &str, status: Value) -> Arc<ImageScan> {
    image_scan_with(image, status, |_| {})
}

/// The same, changed.
pub(crate) fn image_scan_with(image: &str, status: Value, change: impl FnOnce(&mut ImageScan)) -> Arc<ImageScan> {
    let name = tidewaiter_crd::image_scan::name(image);
    let mut object = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ImageScan",
        "metadata": {"name": name, "namespace": "n", "uid": "scan", "generation": 1}, "spec": {"image": image}});
    if !status.is_null() {
        object["status"] = status;
    }
    let mut scan = serde_json::from_value(object).unwrap();
    change(&mut scan);
    Arc::new(scan)
}

/// A Deployment that is paused or not, with these annotations.
pub(crate) fn deployment(paused: bool, marks: &[&str]) -> Deployment {
    let annotations: serde_json::Map<String, Value> =
        marks.iter().map(|mark| ((*mark).to_owned(), json!("x"))).collect();
    let metadata = json!({"name": "d", "generation": 3, "annotations": annotations});
    from_value(json!({"metadata": metadata, "spec": {"paused": paused, "selector": {}, "template": {}}})).unwrap()
}
