//! Updates of DaemonSets and StatefulSets: refused until their images are approved. Their controllers delete a Pod before they
//! make the next one, which would wait for its images: a node would be without its agent, a set without a member (ADR 0018).

use super::AdmissionDecision;
use crate::decide::images;
use crate::decide::pins::{ImageUse, pins};
use crate::decide::pod::allowed_pins;
use crate::decide::refused;
use crate::decide::workload_ref::WorkloadRef;
use k8s_openapi::api::apps::v1::{DaemonSet, StatefulSet};
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::status::DeploymentStatus;
use tidewaiter_crd::WorkloadKind;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// Annotation in which `kubectl apply` notes the manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A workload whose controller deletes a Pod before it makes the next one.
pub(crate) trait UpdatedInPlace {
    /// Its kind.
    const KIND: WorkloadKind;
    /// What a refusal keeps from happening, for people.
    const KEPT: &'static str;

    /// Its metadata.
    fn metadata(&self) -> &ObjectMeta;

    /// The spec of its Pods.
    fn pod_spec(&self) -> Option<&PodSpec>;

    /// Whether another version of it has the same spec.
    fn has_spec_of(&self, other: &Self) -> bool;

    /// Whether an update leaves the old Pods until the new ones are ready.
    fn keeps_old_pods(&self) -> bool;

    /// Name → image reference of everything that its Pods run.
    fn images(&self) -> BTreeMap<String, String> {
        self.pod_spec().map(images::of).unwrap_or_default()
    }

    /// The workload; in a request the namespace may stand outside the object.
    fn workload(&self, namespace: &str) -> WorkloadRef {
        WorkloadRef::of_apps(Self::KIND, self.metadata(), namespace)
    }
}

impl UpdatedInPlace for DaemonSet {
    const KIND: WorkloadKind = WorkloadKind::DaemonSet;
    const KEPT: &'static str = "so that no node loses its agent";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn pod_spec(&self) -> Option<&PodSpec> {
        self.spec.as_ref()?.template.spec.as_ref()
    }

    fn has_spec_of(&self, other: &Self) -> bool {
        self.spec == other.spec
    }

    /// With a surge and nothing unavailable the new Pod of a node is made first.
    fn keeps_old_pods(&self) -> bool {
        let rolling = self.spec.as_ref().and_then(|s| s.update_strategy.as_ref()?.rolling_update.as_ref());
        let is_some = |value: Option<&IntOrString>| match value {
            Some(IntOrString::Int(number)) => *number > 0,
            Some(IntOrString::String(share)) => share.trim_end_matches('%') != "0",
            None => false,
        };
        rolling.is_some_and(|r| is_some(r.max_surge.as_ref()) && !is_some(r.max_unavailable.as_ref()))
    }
}

impl UpdatedInPlace for StatefulSet {
    const KIND: WorkloadKind = WorkloadKind::StatefulSet;
    const KEPT: &'static str = "so that no member is missing";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn pod_spec(&self) -> Option<&PodSpec> {
        self.spec.as_ref()?.template.spec.as_ref()
    }

    fn has_spec_of(&self, other: &Self) -> bool {
        self.spec == other.spec
    }

    /// A set has each member once.
    fn keeps_old_pods(&self) -> bool {
        false
    }
}

/// What becomes of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpdateReview {
    /// It concerns no images, or nothing is lost by it: its Pods are gated as any others.
    Passes,
    /// Its images may run: its Pods start at once.
    Applies,
    /// Its images are to be approved first.
    Refused,
}

/// Decides about an update; `record` has the decisions about the workload.
pub(crate) fn review<K: UpdatedInPlace>(new: &K, old: &K, record: Option<&WorkloadScanStatus>) -> UpdateReview {
    let (wanted, before) = (new.images(), old.images());
    let Some(record) = record else { return UpdateReview::Passes };
    if wanted == before {
        let ends_wait = record.refused.is_some() && is_applied_again(new, old);
        return if ends_wait { UpdateReview::Applies } else { UpdateReview::Passes };
    }
    if may_be_rolled_out(record, &before, &wanted) {
        return UpdateReview::Applies;
    }
    // What waits itself has nothing to lose.
    let before_may_run = allowed_pins(record, None, &before).is_some();
    if !before_may_run || new.keeps_old_pods() { UpdateReview::Passes } else { UpdateReview::Refused }
}

/// Whether images may replace those of `before`: approved ones, or what runs under other names. What lost its approval and
/// does not run any more is a new rollout (ADR 0004).
fn may_be_rolled_out(
    record: &WorkloadScanStatus,
    before: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> bool {
    let running = refused::running(record, &images::images_hash(before));
    let is_running = running.is_some_and(|running| refused::is_of(record, running, wanted));
    let purpose = if is_running { ImageUse::Pod } else { ImageUse::Rollout };
    pins(record, &images::images_hash(wanted), wanted, purpose).is_some()
}

/// Whether the old manifest is applied again, as who wanted a refused update no more does: it changes nothing at all. A
/// restart, an annotation or a variable says nothing about the update that waits.
fn is_applied_again<K: UpdatedInPlace>(new: &K, old: &K) -> bool {
    written(new.metadata()) == written(old.metadata()) && new.has_spec_of(old)
}

/// The metadata that users write. What `kubectl apply` notes about itself differs with the way of applying.
fn written(metadata: &ObjectMeta) -> ObjectMeta {
    let mut annotations = metadata.annotations.clone().unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    ObjectMeta {
        labels: metadata.labels.clone(),
        annotations: Some(annotations),
        owner_references: metadata.owner_references.clone(),
        finalizers: metadata.finalizers.clone(),
        ..ObjectMeta::default()
    }
}

/// The answer to a request.
pub(crate) fn answer<K: UpdatedInPlace>(
    review: UpdateReview,
    (new, old): (&K, &K),
    record: Option<&WorkloadScanStatus>,
    dry_run: bool,
) -> AdmissionDecision {
    if review != UpdateReview::Refused {
        return AdmissionDecision::allow();
    }
    let why = refusal(new, old, record);
    // Tools make a dry run before they apply: a refusal would keep them from ever asking for the scan.
    if dry_run {
        let warnings = vec![format!("refused outside of a dry run: {why}")];
        return AdmissionDecision { warnings, ..AdmissionDecision::allow() };
    }
    AdmissionDecision::deny(why)
}

fn refusal<K: UpdatedInPlace>(new: &K, old: &K, record: Option<&WorkloadScanStatus>) -> String {
    let name = format!("{}/{}", K::KIND.lowercase(), new.metadata().name.as_deref().unwrap_or_default());
    let hash = images::images_hash(&new.images());
    let known = record.filter(|record| record.refused.as_ref().is_some_and(|refused| refused.revision == hash));
    let state = match known.map(|record| record.deployment_status) {
        Some(DeploymentStatus::Blocked) => {
            format!("its images are held or blocked; see why: kubectl scan status {name}")
        }
        Some(DeploymentStatus::PendingApproval) => {
            format!("a person must approve its images: kubectl scan approve {name}; then apply it again")
        }
        _ => {
            let options = new_images(&new.images(), &old.images());
            format!("its images are being scanned; apply it again once this returns: kubectl scan wait {name}{options}")
        }
    };
    format!("{name} is unchanged, {}: {state}", K::KEPT)
}

/// The options of `kubectl scan wait` that name the images that an update brings: without them it may return before the update
/// is recorded.
fn new_images(wanted: &BTreeMap<String, String>, before: &BTreeMap<String, String>) -> String {
    let is_new = |image: &&String| !before.values().any(|known| known == *image);
    let images: BTreeSet<&String> = wanted.values().filter(is_new).collect();
    images.into_iter().map(|image| format!(" --image {image}")).collect()
}

#[cfg(test)]
#[path = "in_place_tests.rs"]
mod tests;
