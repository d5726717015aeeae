//! Whether a rollout has the approval that it needs.

use super::images;
use super::workload_ref::WorkloadRef;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::status::Approval;
use tidewaiter_crd::RolloutApproval;
use tidewaiter_crd::policy::ApprovalMode;
use tidewaiter_crd::workload_scan::{Container, Decision, Revision, WorkloadScanStatus};

/// The approval of a workload for exactly these pinned images; `given` is asked whether any approval satisfies a test.
pub(crate) fn approval(
    mode: ApprovalMode,
    workload: &WorkloadRef,
    pins: &BTreeMap<String, String>,
    now: Timestamp,
    given: impl FnOnce(&dyn Fn(&RolloutApproval) -> bool) -> bool,
) -> Approval {
    if mode == ApprovalMode::Automatic {
        return Approval::Automatic;
    }
    let wanted: BTreeSet<&str> = pins.values().filter_map(|image| images::digest(image)).collect();
    match given(&|approval| is_for(approval, workload, &wanted, now)) {
        true => Approval::Given,
        false => Approval::Awaited,
    }
}

/// Whether an approval is for this workload and exactly these pinned images.
pub(crate) fn is_of(
    given: &RolloutApproval,
    workload: &WorkloadRef,
    pins: &BTreeMap<String, String>,
    now: Timestamp,
) -> bool {
    let wanted = pins.values().filter_map(|image| images::digest(image)).collect();
    is_for(given, workload, &wanted, now)
}

/// The approved template that a Pod has, where something injected more containers into it. The template's digests are what was
/// approved: the Pod runs those, whatever its tags name by now, and policy decides about the rest, which nobody chose.
pub(crate) fn injected_template<'a>(record: &'a WorkloadScanStatus, revision: &Revision) -> Option<&'a Revision> {
    let mut templates = record.revisions.iter().filter(|(hash, _)| !images::is_images_hash(hash)).map(|(_, t)| t);
    templates.find(|template| {
        let pinned = template.containers.values().all(|container| container.pinned.is_some());
        template.decision == Decision::Approved && pinned && is_within(template, revision)
    })
}

/// Whether a revision has every container of a template, with its image, and more.
fn is_within(template: &Revision, revision: &Revision) -> bool {
    let has = |(name, container): (&String, &Container)| {
        revision.containers.get(name).is_some_and(|own| own.image == container.image)
    };
    template.containers.len() < revision.containers.len() && template.containers.iter().all(has)
}

/// All digests or none: an approval of two containers does not cover one that was added later.
fn is_for(approval: &RolloutApproval, workload: &WorkloadRef, wanted: &BTreeSet<&str>, now: Timestamp) -> bool {
    let spec = &approval.spec;
    let given: BTreeSet<&str> = spec.digests.iter().map(String::as_str).collect();
    // An unreadable expiry must not make an approval permanent.
    let valid = spec.expires.as_ref().is_none_or(|expires| expires.timestamp().is_some_and(|time| time > now));
    approval.metadata.namespace.as_ref() == Some(&workload.namespace)
        && spec.uid == workload.uid
        && spec.kind == workload.kind
        && valid
        && *wanted == given
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{digest, now, pinned, record, revision};
    use serde_json::{Value, json};

    fn ask(mode: ApprovalMode, change: Value) -> Approval {
        let workload = WorkloadRef {
            namespace: "n".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".into(),
            name: "d".to_owned(),
            uid: "u".to_owned(),
        };
        let mut spec = json!({"kind": "Deployment", "name": "d", "uid": "u", "digests": [digest(1), digest(2)],
            "approvedBy": "p"});
        let mut namespace = json!("n");
        for (key, value) in change.as_object().unwrap() {
            match key.as_str() {
                "namespace" => namespace = value.clone(),
                key => spec[key] = value.clone(),
            }
        }
        let object = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "RolloutApproval",
            "metadata": {"name": "a", "namespace": namespace}, "spec": spec});
        let all: Vec<RolloutApproval> = vec![serde_json::from_value(object).unwrap()];
        let pins = BTreeMap::from([("c".to_owned(), pinned("a:1", 1)), ("d".to_owned(), pinned("b:1", 2))]);
        approval(mode, &workload, &pins, now(), |test| all.iter().any(test))
    }

    #[test]
    fn an_approval_is_for_one_workload_and_exactly_its_images() {
        let check = |change: Value, expected: Approval| {
            assert_eq!(ask(ApprovalMode::Manual, change.clone()), expected, "{change}")
        };
        check(json!({}), Approval::Given);
        check(json!({"digests": [digest(2), digest(1), digest(1)]}), Approval::Given);
        check(json!({"digests": [digest(1)]}), Approval::Awaited);
        check(json!({"digests": [digest(1), digest(2), digest(3)]}), Approval::Awaited);
        check(json!({"digests": []}), Approval::Awaited);
        check(json!({"uid": "other"}), Approval::Awaited);
        check(json!({"kind": "StatefulSet"}), Approval::Awaited);
        check(json!({"namespace": "other"}), Approval::Awaited);
        // Names are for people; the UID decides.
        check(json!({"name": "other"}), Approval::Given);
        check(json!({"expires": "2026-01-02T00:00:01Z"}), Approval::Given);
        check(json!({"expires": "2026-01-02T00:00:00Z"}), Approval::Awaited);
        check(json!({"expires": "tomorrow"}), Approval::Awaited);
    }

    #[test]
    fn what_is_injected_has_an_approved_template() {
        let check = |hash: &str, decision: Decision, containers: &[(&str, &str)], expected: bool| {
            let record = record(&[(hash, revision(decision, &[("c", "a:1", Some(&pinned("a:1", 1)))]))]);
            let containers: Vec<_> = containers.iter().map(|(name, image)| (*name, *image, None)).collect();
            let found = injected_template(&record, &revision(Decision::Held, &containers));
            assert_eq!(found.is_some(), expected, "{hash} {decision:?} {containers:?}");
        };
        check("t", Decision::Approved, &[("c", "a:1"), ("proxy", "p:1")], true);
        check("t", Decision::Approved, &[("c", "a:2"), ("proxy", "p:1")], false);
        check("t", Decision::Approved, &[("proxy", "p:1"), ("other", "p:2")], false);
        // The template itself.
        check("t", Decision::Approved, &[("c", "a:1")], false);
        check("t", Decision::Retained, &[("c", "a:1"), ("proxy", "p:1")], false);
        check("t", Decision::Held, &[("c", "a:1"), ("proxy", "p:1")], false);
        // Of another Pod with injected containers, which nobody approved as such.
        check("pods-1", Decision::Approved, &[("c", "a:1"), ("proxy", "p:1")], false);
    }

    #[test]
    fn policy_approves_where_no_person_needs_to() {
        assert_eq!(ask(ApprovalMode::Automatic, json!({"uid": "other"})), Approval::Automatic);
    }
}
