//! Updates of DaemonSets and StatefulSets: refused until their images are approved. Their controllers delete a Pod before they
//! make the next one, which would wait for its images: a node would be without its agent, a set without a member (ADR 0018).

use super::AdmissionDecision;
use crate::decide::images;
use crate::decide::pod::allowed_pins;
use crate::decide::workload_ref::WorkloadRef;
use k8s_openapi::api::apps::v1::{DaemonSet, StatefulSet};
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;
use tidewaiter_core::status::DeploymentStatus;
use tidewaiter_crd::WorkloadKind;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

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
    let may_run = |images: &BTreeMap<String, String>| allowed_pins(record, None, images).is_some();
    if wanted == before {
        // A restart, or the old manifest again after a change that was refused.
        return if record.refused.is_some() { UpdateReview::Applies } else { UpdateReview::Passes };
    }
    if may_run(&wanted) {
        return UpdateReview::Applies;
    }
    // What waits itself has nothing to lose.
    if !may_run(&before) || new.keeps_old_pods() { UpdateReview::Passes } else { UpdateReview::Refused }
}

/// The answer to a request.
pub(crate) fn answer<K: UpdatedInPlace>(
    review: UpdateReview,
    new: &K,
    record: Option<&WorkloadScanStatus>,
    dry_run: bool,
) -> AdmissionDecision {
    if review != UpdateReview::Refused {
        return AdmissionDecision::allow();
    }
    let why = refusal(new, record);
    // Tools make a dry run before they apply: a refusal would keep them from ever asking for the scan.
    if dry_run {
        let warnings = vec![format!("refused outside of a dry run: {why}")];
        return AdmissionDecision { warnings, ..AdmissionDecision::allow() };
    }
    AdmissionDecision::deny(why)
}

fn refusal<K: UpdatedInPlace>(new: &K, record: Option<&WorkloadScanStatus>) -> String {
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
        _ => format!("its images are being scanned; apply it again once this returns: kubectl scan wait {name}"),
    };
    format!("{name} is unchanged, {}: {state}", K::KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{now, pinned, record, revision};
    use UpdateReview::{Applies, Passes, Refused};
    use serde_json::{Value, from_value, json};
    use tidewaiter_crd::workload_scan::{Decision, RefusedUpdate};

    fn set(image: &str, strategy: &Value) -> DaemonSet {
        from_value(json!({"metadata": {"name": "agent"}, "spec": {"selector": {}, "updateStrategy": strategy,
            "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}))
        .unwrap()
    }

    fn known(decisions: &[(&str, Decision)]) -> WorkloadScanStatus {
        let one = |(image, decision): &(&str, Decision)| {
            let pin = pinned(image, 1);
            let images = BTreeMap::from([("c".to_owned(), (*image).to_owned())]);
            (images::images_hash(&images), revision(*decision, &[("c", image, Some(&pin))]))
        };
        let all: Vec<_> = decisions.iter().map(one).collect();
        record(&all.iter().map(|(hash, revision)| (hash.as_str(), revision.clone())).collect::<Vec<_>>())
    }

    #[test]
    fn no_node_loses_its_agent() {
        use Decision::{Approved, Held, Retained};
        let check = |old: &str, new: &str, decisions: &[(&str, Decision)], expected: UpdateReview| {
            let (old, new) = (set(old, &json!({})), set(new, &json!({})));
            assert_eq!(review(&new, &old, Some(&known(decisions))), expected, "{decisions:?}");
        };
        check("a", "b", &[("a", Approved)], Refused);
        check("a", "b", &[("a", Retained)], Refused);
        check("a", "b", &[("a", Approved), ("b", Held)], Refused);
        check("a", "b", &[("a", Approved), ("b", Approved)], Applies);
        check("a", "b", &[("a", Approved), ("b", Retained)], Applies);
        check("a", &pinned("a", 1), &[("a", Approved)], Applies);
        // A first version that waits: its fix has nothing to take away.
        check("a", "b", &[("a", Held)], Passes);
        check("a", "b", &[], Passes);
        check("a", "a", &[("a", Approved)], Passes);
        check("a", "a", &[("a", Held)], Passes);
        assert_eq!(review(&set("b", &json!({})), &set("a", &json!({})), None), Passes);
    }

    #[test]
    fn the_old_manifest_ends_the_wait_for_another_one() {
        let mut record = known(&[("a", Decision::Approved)]);
        record.refused = Some(RefusedUpdate { revision: "h".to_owned(), running: None, at: now().into() });
        assert_eq!(review(&set("a", &json!({})), &set("a", &json!({})), Some(&record)), Applies);
    }

    #[test]
    fn where_the_old_pod_stays_the_new_one_waits() {
        let check = |strategy: Value, expected: UpdateReview| {
            let record = known(&[("a", Decision::Approved)]);
            assert_eq!(review(&set("b", &strategy), &set("a", &strategy), Some(&record)), expected, "{strategy}");
        };
        let rolling = |surge: Value, unavailable: Value| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
        check(rolling(json!(0), json!(1)), Refused);
        check(rolling(json!(1), json!(0)), Passes);
        check(rolling(json!("10%"), json!("0%")), Passes);
        check(rolling(json!("0%"), json!("10%")), Refused);
        // Whoever deletes a Pod to have the new one would wait for it.
        check(json!({"type": "OnDelete"}), Refused);
    }

    #[test]
    fn no_member_is_missing() {
        let set = |image: &str| -> StatefulSet {
            from_value(json!({"metadata": {"name": "db"}, "spec": {"selector": {}, "serviceName": "db",
                "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}))
            .unwrap()
        };
        let check = |decisions: &[(&str, Decision)], expected: UpdateReview| {
            let record = known(decisions);
            let review = review(&set("b"), &set("a"), Some(&record));
            assert_eq!(review, expected, "{decisions:?}");
            let denial = answer(review, &set("b"), Some(&record), false).denial;
            let text = "statefulset/db is unchanged, so that no member is missing: its images are being scanned";
            assert_eq!(denial.is_some_and(|denial| denial.starts_with(text)), expected == Refused);
        };
        check(&[("a", Decision::Approved)], Refused);
        check(&[("a", Decision::Held)], Passes);
        check(&[("a", Decision::Approved), ("b", Decision::Approved)], Applies);
    }

    #[test]
    fn the_refusal_says_what_to_do() {
        let check = |status: DeploymentStatus, image: &str, dry_run: bool, expected: &str| {
            let images = BTreeMap::from([("c".to_owned(), "b".to_owned())]);
            let refused =
                Some(RefusedUpdate { revision: images::images_hash(&images), running: None, at: now().into() });
            let record = WorkloadScanStatus { refused, deployment_status: status, ..WorkloadScanStatus::default() };
            let answer = answer(Refused, &set(image, &json!({})), Some(&record), dry_run);
            let text = answer.denial.clone().or(answer.warnings.first().cloned()).unwrap();
            assert!(text.contains(expected) && answer.denial.is_none() == dry_run, "{answer:?}");
        };
        check(
            DeploymentStatus::Created,
            "b",
            false,
            "apply it again once this returns: kubectl scan wait daemonset/agent",
        );
        check(DeploymentStatus::Blocked, "b", false, "see why: kubectl scan status daemonset/agent");
        check(DeploymentStatus::PendingApproval, "b", false, "kubectl scan approve daemonset/agent");
        // The state of another update says nothing about this one.
        check(DeploymentStatus::Blocked, "c", false, "are being scanned");
        check(DeploymentStatus::Created, "b", true, "refused outside of a dry run: daemonset/agent is unchanged");
    }
}
