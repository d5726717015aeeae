//! What an evaluation makes of a revision's decision.

use super::approval::Approvals;
use super::evaluation::Evaluation;
use tidewaiter_core::status::{Approval, DeploymentStatus, ImageStatus, RolloutProgress, WorkloadStatus, derive};
use tidewaiter_crd::workload_scan::{Decision, Revision};

/// Applies an evaluation to a revision; true when its decision changed.
pub(crate) fn re_evaluate(
    revision: &mut Revision,
    evaluation: &Evaluation,
    approvals: &Approvals,
    enforced: bool,
) -> bool {
    let before = revision.decision;
    let from = if is_withdrawn(revision, approvals) { Decision::Retained } else { before };
    revision.decision = decide(from, evaluation, approvals.state, enforced);
    match (from, revision.decision) {
        // Of earlier versions, which recorded no approvals.
        (Decision::Approved, Decision::Approved) if revision.approved_by.is_empty() && !approvals.is_overridden() => {
            revision.approved_by.clone_from(&approvals.given);
        }
        (Decision::Approved, Decision::Approved) => {}
        (_, Decision::Approved) => revision.approved_by.clone_from(&approvals.given),
        // Whose approvals it had, for people, and for what else it may not do.
        (_, Decision::Retained) => {}
        (_, Decision::Held) => revision.approved_by.clear(),
    }
    if revision.decision != Decision::Held {
        for (name, container) in &mut revision.containers {
            container.pinned = evaluation.pins.get(name).cloned().or(container.pinned.take());
        }
    }
    revision.lost = match (before, revision.decision) {
        (Decision::Approved, Decision::Retained) => true,
        (_, Decision::Retained) => revision.lost,
        _ => false,
    };
    before != revision.decision
}

/// Whether an approval that a revision runs by has ended. Only where one was needed: what policy approves by itself loses
/// nothing with it.
fn is_withdrawn(revision: &Revision, approvals: &Approvals) -> bool {
    let needed = approvals.state == Approval::Awaited || revision.overrides_policy();
    revision.decision == Decision::Approved && needed && approvals.lack(&revision.approved_by)
}

/// What the Pods of a revision may do from now on. Nothing that runs is ever stopped: an approval that is lost becomes
/// retained, never held. Audit retains everything that a user rolled out.
fn decide(before: Decision, evaluation: &Evaluation, approval: Approval, enforced: bool) -> Decision {
    let scanned = evaluation.facts.iter().all(|f| f.scan != ImageStatus::NotScanned);
    let approved = derive(&evaluation.facts, approval, RolloutProgress::Running).image == ImageStatus::Approved;
    match before {
        // Before audit: an approved revision may be rolled out anew when enforcement begins, a retained one not.
        Decision::Held if approved => Decision::Approved,
        Decision::Held if !enforced => Decision::Retained,
        Decision::Retained if scanned && approved => Decision::Approved,
        Decision::Approved if evaluation.facts.iter().any(|f| !f.allowed) => Decision::Retained,
        other => other,
    }
}

/// Both statuses of a workload whose current revision is decided so, for display.
pub(crate) fn workload_status(
    decision: Decision,
    evaluation: &Evaluation,
    approval: Approval,
    rollout: RolloutProgress,
) -> WorkloadStatus {
    let deployment = match rollout {
        RolloutProgress::Running => DeploymentStatus::RollingOut,
        RolloutProgress::Complete => DeploymentStatus::Deployed,
    };
    match decision {
        Decision::Held => derive(&evaluation.facts, approval, rollout),
        Decision::Approved => WorkloadStatus { image: ImageStatus::Approved, deployment },
        // Not approved by anybody: the worst scan shows.
        Decision::Retained => {
            WorkloadStatus { image: derive(&evaluation.facts, Approval::Awaited, rollout).image, deployment }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{pinned, revision};
    use Approval::{Automatic, Awaited, Given};
    use Decision::{Approved, Held, Retained};
    use ImageStatus::{NoVulnerabilities, NotScanned, ScanFailed, Scanning, VulnerabilitiesFound};
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use tidewaiter_core::status::EvaluatedImage;
    use tidewaiter_crd::workload_scan::GivenApproval;

    fn evaluation(facts: &[(ImageStatus, bool)]) -> Evaluation {
        let facts = facts.iter().map(|(scan, allowed)| EvaluatedImage { scan: *scan, allowed: *allowed }).collect();
        Evaluation { facts, ..Evaluation::default() }
    }

    fn automatic() -> Approvals {
        Approvals { state: Automatic, given: Vec::new(), skips_people: false }
    }

    const CLEAN: (ImageStatus, bool) = (NoVulnerabilities, true);
    const MEDIUM: (ImageStatus, bool) = (VulnerabilitiesFound, true);
    const CRITICAL: (ImageStatus, bool) = (VulnerabilitiesFound, false);
    /// A running image without a result for its digest.
    const UNKNOWN: (ImageStatus, bool) = (NotScanned, true);

    #[test]
    fn the_decision() {
        let check = |before: Decision, facts: &[(ImageStatus, bool)], approval, enforced: bool, expected: Decision| {
            let decision = decide(before, &evaluation(facts), approval, enforced);
            assert_eq!(decision, expected, "{before:?} {facts:?} {approval:?} enforced: {enforced}");
        };
        // A new rollout in an enforced namespace.
        check(Held, &[CLEAN], Automatic, true, Approved);
        check(Held, &[CLEAN, MEDIUM], Automatic, true, Approved);
        check(Held, &[CLEAN], Awaited, true, Held);
        check(Held, &[CLEAN], Given, true, Approved);
        check(Held, &[CRITICAL], Given, true, Held);
        check(Held, &[CLEAN, CRITICAL], Automatic, true, Held);
        check(Held, &[(ScanFailed, false)], Automatic, true, Held);
        check(Held, &[(Scanning, false)], Automatic, true, Held);
        check(Held, &[(NotScanned, false)], Automatic, true, Held);
        check(Held, &[CLEAN, (NotScanned, false)], Automatic, true, Held);
        check(Held, &[], Automatic, true, Held);
        // In audit mode, which retains what policy would hold.
        check(Held, &[CLEAN], Automatic, false, Approved);
        check(Held, &[CRITICAL], Automatic, false, Retained);
        check(Held, &[(NotScanned, false)], Automatic, false, Retained);
        check(Held, &[CLEAN], Awaited, false, Retained);
        // An approval is lost to a finding, and to nothing else.
        check(Approved, &[CRITICAL], Automatic, true, Retained);
        check(Approved, &[CLEAN, CRITICAL], Given, true, Retained);
        check(Approved, &[(ScanFailed, false)], Automatic, true, Retained);
        check(Approved, &[CRITICAL], Automatic, false, Retained);
        check(Approved, &[UNKNOWN], Automatic, true, Approved);
        check(Approved, &[MEDIUM], Automatic, true, Approved);
        check(Approved, &[CLEAN], Awaited, true, Approved);
        check(Approved, &[], Automatic, true, Approved);
        // What runs is approved once a scan of its digest allows it.
        check(Retained, &[CLEAN], Automatic, true, Approved);
        check(Retained, &[MEDIUM], Given, true, Approved);
        check(Retained, &[CLEAN], Awaited, true, Retained);
        check(Retained, &[CRITICAL], Automatic, true, Retained);
        check(Retained, &[UNKNOWN], Automatic, true, Retained);
        check(Retained, &[CLEAN, UNKNOWN], Automatic, true, Retained);
        check(Retained, &[CRITICAL], Automatic, false, Retained);
    }

    #[test]
    fn a_lost_approval_is_marked_until_it_returns() {
        let check = |before: Decision, lost: bool, facts: &[(ImageStatus, bool)], expected: (Decision, bool, bool)| {
            let mut revision = Revision { lost, ..revision(before, &[("c", "i", None)]) };
            let changed = re_evaluate(&mut revision, &evaluation(facts), &automatic(), true);
            assert_eq!((revision.decision, revision.lost, changed), expected, "{before:?} {facts:?}");
        };
        check(Approved, false, &[CRITICAL], (Retained, true, true));
        check(Retained, true, &[CRITICAL], (Retained, true, false));
        check(Retained, true, &[UNKNOWN], (Retained, true, false));
        check(Retained, true, &[CLEAN], (Approved, false, true));
        // Retained since before enforcement: nothing was lost.
        check(Retained, false, &[CRITICAL], (Retained, false, false));
        check(Held, false, &[CRITICAL], (Held, false, false));
        check(Held, false, &[CLEAN], (Approved, false, true));
    }

    #[test]
    fn a_withdrawn_approval_lets_what_runs_run_on() {
        let given = |name: &str| GivenApproval {
            name: name.to_owned(),
            by: "p".to_owned(),
            reason: String::new(),
            break_glass: false,
            expires: None,
        };
        let check = |followed: &[&str], state, valid: &[&str], expected: (Decision, &[&str], bool)| {
            let mut revision = Revision {
                approved_by: followed.iter().map(|name| given(name)).collect(),
                ..revision(if followed.is_empty() { Held } else { Approved }, &[("c", "i", None)])
            };
            let given = valid.iter().map(|name| given(name)).collect();
            let approvals = Approvals { state, given, skips_people: false };
            re_evaluate(&mut revision, &evaluation(&[CLEAN]), &approvals, true);
            let names: Vec<&str> = revision.approved_by.iter().map(|given| given.name.as_str()).collect();
            assert_eq!(
                (revision.decision, names.as_slice(), revision.lost),
                expected,
                "{followed:?} {state:?} {valid:?}"
            );
        };
        check(&[], Given, &["a"], (Approved, &["a"], false));
        check(&[], Awaited, &[], (Held, &[], false));
        check(&["a"], Given, &["a"], (Approved, &["a"], false));
        check(&["a"], Awaited, &[], (Retained, &["a"], true));
        check(&["a", "b"], Awaited, &["a"], (Retained, &["a", "b"], true));
        // Another person's is as good; and policy may need none any more, or one more from now on.
        check(&["a"], Given, &["b"], (Approved, &["a"], false));
        check(&["a"], Automatic, &[], (Approved, &["a"], false));
        check(&["a"], Awaited, &["a"], (Approved, &["a"], false));
        // What ran by breaking glass runs on, whether it has findings or was never scanned, unless policy allows it by now.
        let ends = |fact: (ImageStatus, bool), expected: Decision| {
            let by = GivenApproval { break_glass: true, ..given("a") };
            let mut revision = Revision { approved_by: vec![by], ..revision(Approved, &[("c", "i", None)]) };
            re_evaluate(&mut revision, &evaluation(&[fact]), &automatic(), true);
            let overrides = expected == Retained;
            assert_eq!((revision.decision, revision.overrides_policy()), (expected, overrides), "{fact:?}");
        };
        ends(CRITICAL, Retained);
        ends(UNKNOWN, Retained);
        ends(CLEAN, Approved);
    }

    #[test]
    fn a_revision_is_pinned_when_it_may_run() {
        let check =
            |before: Decision, known: Option<&str>, scanned: Option<&str>, allowed, expected: Option<String>| {
                let known = known.map(|name| pinned(name, 1));
                let mut revision = revision(before, &[("c", "i", known.as_deref())]);
                let mut evaluation = evaluation(&[(NoVulnerabilities, allowed)]);
                evaluation.pins = scanned.map(|name| ("c".to_owned(), pinned(name, 2))).into_iter().collect();
                re_evaluate(&mut revision, &evaluation, &automatic(), true);
                assert_eq!(revision.containers["c"].pinned, expected);
            };
        check(Held, None, Some("i"), true, Some(pinned("i", 2)));
        check(Held, None, Some("i"), false, None);
        check(Approved, Some("i"), None, true, Some(pinned("i", 1)));
        check(Approved, Some("i"), None, false, Some(pinned("i", 1)));
        check(Retained, None, Some("i"), false, Some(pinned("i", 2)));
    }

    #[test]
    fn the_statuses_that_people_see() {
        use DeploymentStatus::{Blocked, Created, Deployed, PendingApproval, RollingOut};
        let check = |decision, facts: &[(ImageStatus, bool)], approval, rollout, image, deployment| {
            let status = workload_status(decision, &evaluation(facts), approval, rollout);
            assert_eq!(status, WorkloadStatus { image, deployment }, "{decision:?} {facts:?}");
        };
        check(Held, &[(NotScanned, false)], Automatic, RolloutProgress::Running, NotScanned, Created);
        check(Held, &[(Scanning, false)], Automatic, RolloutProgress::Complete, Scanning, Created);
        check(Held, &[CRITICAL], Automatic, RolloutProgress::Running, VulnerabilitiesFound, Blocked);
        check(Held, &[CLEAN], Awaited, RolloutProgress::Running, NoVulnerabilities, PendingApproval);
        check(Approved, &[CLEAN], Automatic, RolloutProgress::Running, ImageStatus::Approved, RollingOut);
        check(Approved, &[UNKNOWN], Automatic, RolloutProgress::Complete, ImageStatus::Approved, Deployed);
        check(Retained, &[CRITICAL, CLEAN], Automatic, RolloutProgress::Complete, VulnerabilitiesFound, Deployed);
        check(Retained, &[UNKNOWN], Automatic, RolloutProgress::Complete, NotScanned, Deployed);
        // Retained is never shown as approved, whatever the scans say.
        check(Retained, &[CLEAN], Automatic, RolloutProgress::Running, NoVulnerabilities, RollingOut);
    }

    fn facts() -> impl Strategy<Value = Vec<(ImageStatus, bool)>> {
        let status = prop_oneof![
            Just(NotScanned),
            Just(Scanning),
            Just(ScanFailed),
            Just(VulnerabilitiesFound),
            Just(NoVulnerabilities)
        ];
        prop::collection::vec((status, any::<bool>()), 0..4)
    }

    fn approvals() -> impl Strategy<Value = Approval> {
        prop_oneof![Just(Automatic), Just(Awaited), Just(Given)]
    }

    proptest! {
        #[test]
        fn what_runs_is_never_held(facts in facts(), approval in approvals(), approved: bool, enforced: bool) {
            let before = if approved { Approved } else { Retained };
            prop_assert!(decide(before, &evaluation(&facts), approval, enforced) != Held);
        }

        #[test]
        fn nothing_is_approved_that_policy_forbids(facts in facts(), approval in approvals(), before in 0..3, enforced: bool) {
            let before = [Held, Approved, Retained][usize::try_from(before).unwrap()];
            if decide(before, &evaluation(&facts), approval, enforced) == Approved {
                prop_assert!(facts.iter().all(|(_, allowed)| *allowed), "{:?} {:?}", before, facts);
            }
        }

        #[test]
        fn a_second_evaluation_changes_nothing(facts in facts(), approval in approvals(), before in 0..3, enforced: bool) {
            let before = [Held, Approved, Retained][usize::try_from(before).unwrap()];
            let once = decide(before, &evaluation(&facts), approval, enforced);
            prop_assert_eq!(decide(once, &evaluation(&facts), approval, enforced), once);
        }
    }
}
