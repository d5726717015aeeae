//! Whether a rollout has the approval that it needs.

use super::images;
use super::workload_ref::WorkloadRef;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::status::Approval;
use tidewaiter_crd::policy::ApprovalMode;
use tidewaiter_crd::workload_scan::{Container, Decision, GivenApproval, Revision, WorkloadScanStatus};
use tidewaiter_crd::{ObjectTime, RolloutApproval};

/// Longest time for which policy is overridden: by then its cause is solved, or somebody decides again.
const MAX_BREAK_GLASS: SignedDuration = SignedDuration::from_hours(24);

/// What people decided about a workload's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approvals {
    /// Whether an approval is needed, and given.
    pub(crate) state: Approval,
    /// The valid ones for exactly these images, by name.
    pub(crate) given: Vec<GivenApproval>,
    /// Whether a person overrides what others would have had to approve.
    pub(crate) skips_people: bool,
}

impl Approvals {
    /// The approval that overrides policy; of several the one that ends last.
    pub(crate) fn break_glass(&self) -> Option<&GivenApproval> {
        let end = |given: &&GivenApproval| given.expires.as_ref().and_then(ObjectTime::timestamp);
        self.given.iter().filter(|given| given.break_glass).max_by_key(end)
    }

    /// Whether one of them overrides policy.
    pub(crate) fn is_overridden(&self) -> bool {
        self.break_glass().is_some()
    }

    /// Whether an approval that a decision followed is no longer among the valid ones. Another one may have its name.
    pub(crate) fn lack(&self, followed: &[GivenApproval]) -> bool {
        followed.iter().any(|one| !self.given.contains(one))
    }

    /// Who approved, as long as that is not enough.
    pub(crate) fn so_far(&self) -> Option<String> {
        let people: BTreeSet<&str> = self.given.iter().map(|given| given.by.as_str()).collect();
        (self.state == Approval::Awaited && !people.is_empty())
            .then(|| people.into_iter().collect::<Vec<_>>().join(", "))
    }
}

/// Who approves what policy allows, and how many people must agree where people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApprovalRule {
    pub(crate) mode: ApprovalMode,
    pub(crate) required: usize,
}

/// The approvals of a workload for exactly these pinned images of its `containers`, each of which has one: what has no digest was
/// not approved by anybody.
pub(crate) fn approvals<'a>(
    rule: ApprovalRule,
    workload: &WorkloadRef,
    (containers, pins): (usize, &BTreeMap<String, String>),
    now: Timestamp,
    all: impl IntoIterator<Item = &'a RolloutApproval>,
) -> Approvals {
    let wanted: BTreeSet<&str> = pins.values().filter_map(|image| images::digest(image)).collect();
    let is_whole = !wanted.is_empty() && pins.len() == containers;
    let valid = all.into_iter().filter(|approval| is_whole && is_for(approval, workload, &wanted, now));
    let mut given: Vec<GivenApproval> = valid.map(of).collect();
    given.sort_by(|a, b| a.name.cmp(&b.name));
    let agreed = people(&given, rule.required, &workload.namespace) >= rule.required;
    let overridden = given.iter().any(|given| given.break_glass);
    let state = match rule.mode {
        _ if overridden => Approval::Given,
        ApprovalMode::Automatic => Approval::Automatic,
        ApprovalMode::Manual if agreed => Approval::Given,
        ApprovalMode::Manual => Approval::Awaited,
    };
    Approvals { state, given, skips_people: overridden && rule.mode == ApprovalMode::Manual && !agreed }
}

/// How many people approve. Two approvals of one person are the consent of one. Who administers a namespace can be each of its
/// ServiceAccounts: where several must agree, those are nobody.
fn people(given: &[GivenApproval], required: usize, namespace: &str) -> usize {
    let account = format!("system:serviceaccount:{namespace}:");
    let people = given.iter().filter(|given| !given.break_glass && (required == 1 || !given.by.starts_with(&account)));
    people.map(|given| given.by.as_str()).collect::<BTreeSet<&str>>().len()
}

fn of(approval: &RolloutApproval) -> GivenApproval {
    let spec = &approval.spec;
    GivenApproval {
        name: approval.metadata.name.clone().unwrap_or_default(),
        by: spec.approved_by.clone(),
        reason: spec.reason.clone(),
        break_glass: spec.break_glass,
        expires: end(approval),
    }
}

/// When an approval ends: as it says, but what overrides policy a day after it was created at the latest.
pub(crate) fn end(approval: &RolloutApproval) -> Option<ObjectTime> {
    let said = approval.spec.expires.clone();
    if !approval.spec.break_glass {
        return said;
    }
    let created = approval.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let last = created.and_then(|created| created.checked_add(MAX_BREAK_GLASS).ok());
    // What is no time, or lacks one, ends nothing and so never began.
    let time = said.as_ref().and_then(ObjectTime::timestamp).zip(last).map(|(said, last)| said.min(last));
    Some(time.map_or(ObjectTime::Unreadable(String::new()), ObjectTime::At))
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
    let valid = end(approval).is_none_or(|expires| expires.timestamp().is_some_and(|time| time > now));
    approval.metadata.namespace.as_ref() == Some(&workload.namespace)
        && spec.uid == workload.uid
        && spec.kind == workload.kind
        && valid
        && *wanted == given
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{digest, now, pinned, record, revision, workload};
    use serde_json::{Value, json};

    /// The approvals of two images of a workload, where people made these changes to one that fits.
    fn ask(mode: ApprovalMode, required: usize, changes: &[Value]) -> Approvals {
        let workload = workload();
        let one = |(number, change): (usize, &Value)| -> RolloutApproval {
            let mut object = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "RolloutApproval",
                "metadata": {"name": format!("a{number}"), "namespace": "n", "creationTimestamp": "2026-01-01T12:00:00Z"},
                "spec": {"kind": "Deployment", "name": "d", "uid": "u", "digests": [digest(1), digest(2)], "approvedBy": "p"}});
            for (key, value) in change.as_object().unwrap() {
                let part = if key == "namespace" || key == "creationTimestamp" { "metadata" } else { "spec" };
                object[part][key] = value.clone();
            }
            serde_json::from_value(object).unwrap()
        };
        let all: Vec<RolloutApproval> = changes.iter().enumerate().map(one).collect();
        let pins = BTreeMap::from([("c".to_owned(), pinned("a:1", 1)), ("d".to_owned(), pinned("b:1", 2))]);
        approvals(ApprovalRule { mode, required }, &workload, (2, &pins), now(), &all)
    }

    #[test]
    fn an_approval_is_for_one_workload_and_exactly_its_images() {
        let check = |change: Value, expected: Approval| {
            assert_eq!(ask(ApprovalMode::Manual, 1, std::slice::from_ref(&change)).state, expected, "{change}");
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
    fn several_people_approve() {
        let by = |names: &[&str]| names.iter().map(|name| json!({"approvedBy": name})).collect::<Vec<_>>();
        let check = |people: &[&str], required: usize, expected: Approval, so_far: Option<&str>| {
            let found = ask(ApprovalMode::Manual, required, &by(people));
            assert_eq!((found.state, found.so_far().as_deref()), (expected, so_far), "{people:?} of {required}");
        };
        check(&[], 2, Approval::Awaited, None);
        check(&["alice"], 2, Approval::Awaited, Some("alice"));
        check(&["alice", "alice"], 2, Approval::Awaited, Some("alice"));
        check(&["alice", "bob"], 2, Approval::Given, None);
        check(&["alice", "bob"], 3, Approval::Awaited, Some("alice, bob"));
        let robots = ["alice", "system:serviceaccount:n:robot"];
        check(&robots, 2, Approval::Awaited, Some("alice, system:serviceaccount:n:robot"));
        check(&robots[1..], 1, Approval::Given, None);
        check(&["alice", "system:serviceaccount:people:bob"], 2, Approval::Given, None);
        let other_digest = [json!({"approvedBy": "alice"}), json!({"approvedBy": "bob", "digests": [digest(3)]})];
        assert_eq!(ask(ApprovalMode::Manual, 2, &other_digest).state, Approval::Awaited);
    }

    #[test]
    fn glass_is_broken_for_a_day_at_most() {
        let check = |change: Value, expected: Option<&str>| {
            let mut change = change;
            change["breakGlass"] = json!(true);
            let found = ask(ApprovalMode::Automatic, 1, std::slice::from_ref(&change));
            let end = found.break_glass().and_then(|given| given.expires.clone()).map(|time| time.to_string());
            assert_eq!(end.as_deref(), expected, "{change}");
            assert_eq!(found.state == Approval::Given, expected.is_some(), "{change}");
        };
        // It is 2026-01-02T00:00:00Z; the approval was created twelve hours ago.
        check(json!({"expires": "2026-01-02T01:00:00Z"}), Some("2026-01-02T01:00:00Z"));
        check(json!({"expires": "2027-01-01T00:00:00Z"}), Some("2026-01-02T12:00:00Z"));
        check(json!({"expires": "2027-01-01T00:00:00Z", "creationTimestamp": "2026-01-01T00:00:00Z"}), None);
        check(json!({"expires": "2026-01-01T23:00:00Z"}), None);
        check(json!({"expires": "2026-01-02T01:00:00Z", "digests": [digest(1)]}), None);
        check(json!({"expires": "soon"}), None);
        check(json!({}), None);
    }

    #[test]
    fn what_was_followed_may_be_withdrawn() {
        let given = ask(ApprovalMode::Manual, 2, &[json!({"approvedBy": "a"}), json!({"approvedBy": "b"})]).given;
        let check = |changes: &[Value], expected: bool| {
            assert_eq!(ask(ApprovalMode::Manual, 1, changes).lack(&given), expected, "{changes:?}");
        };
        let (a, b) = (json!({"approvedBy": "a"}), json!({"approvedBy": "b"}));
        check(&[a.clone(), b.clone()], false);
        check(&[a.clone(), b.clone(), json!({})], false);
        check(std::slice::from_ref(&a), true);
        let ended = json!({"approvedBy": "b", "expires": "2026-01-01T00:00:00Z"});
        check(&[a.clone(), ended], true);
        // One of the same name by somebody else is another one.
        check(&[a, json!({"approvedBy": "c"})], true);
    }

    #[test]
    fn an_image_without_a_digest_has_no_approval() {
        let all = ask(ApprovalMode::Manual, 1, &[json!({})]).given;
        assert_eq!(all.len(), 1);
        let object = json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "RolloutApproval",
            "metadata": {"name": "a", "namespace": "n", "creationTimestamp": "2026-01-01T12:00:00Z"},
            "spec": {"kind": "Deployment", "name": "d", "uid": "u", "digests": [digest(1)], "approvedBy": "p",
                "breakGlass": true, "reason": "r", "expires": "2026-01-02T01:00:00Z"}});
        let object: RolloutApproval = serde_json::from_value(object).unwrap();
        let workload = workload();
        let rule = ApprovalRule { mode: ApprovalMode::Automatic, required: 1 };
        let check = |containers: usize, pins: &[(&str, u8)], expected: bool| {
            let pins = pins.iter().map(|(name, figure)| ((*name).to_owned(), pinned("a:1", *figure))).collect();
            let found = approvals(rule, &workload, (containers, &pins), now(), [&object]);
            assert_eq!(found.break_glass().is_some(), expected, "{containers} {pins:?}");
        };
        check(1, &[("c", 1)], true);
        check(2, &[("c", 1)], false);
        check(2, &[("c", 1), ("d", 1)], true);
        let nothing = json!({"digests": []});
        assert!(ask(ApprovalMode::Manual, 1, &[nothing]).given.is_empty());
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
        assert_eq!(ask(ApprovalMode::Automatic, 1, &[json!({"uid": "other"})]).state, Approval::Automatic);
    }
}
