//! Updates that admission refused: what runs meanwhile, and how long they are remembered.

use super::{prune, record};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tidewaiter_crd::workload_scan::{Decision, RefusedUpdate, Revision, WorkloadScanStatus};

/// From the last attempt to apply it: longer than tools that apply from Git wait between two attempts. What nobody wants any
/// more must not be shown as the state of what runs.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How long a refused update is remembered from now on.
pub(crate) fn remaining(refused: &RefusedUpdate, now: Timestamp) -> Duration {
    let age = refused.at.timestamp().map_or(REMEMBERED, |at| now.duration_since(at).unsigned_abs());
    REMEMBERED.saturating_sub(age)
}

/// Whether it is not remembered any more.
pub(crate) fn is_over(refused: &RefusedUpdate, now: Timestamp) -> bool {
    remaining(refused, now).is_zero()
}

/// The revision that a workload runs, of which `template` is the hash of its template's images. A template may name digests of
/// another revision, and has then none of its own.
pub(crate) fn running<'a>(record: &'a WorkloadScanStatus, template: &str) -> Option<&'a str> {
    let own = record.revisions.get_key_value(template).map(|(hash, _)| hash.as_str());
    let refused = record.refused.as_ref();
    let before = refused.and_then(|refused| refused.running.as_deref());
    let current = record.current.as_deref().filter(|current| refused.is_none_or(|r| r.revision != *current));
    own.or(before).or(current).filter(|hash| record.revisions.contains_key(*hash))
}

/// Whether these images are those of a revision, as its template names them or pinned.
pub(crate) fn is_of(record: &WorkloadScanStatus, hash: &str, images: &BTreeMap<String, String>) -> bool {
    record.revisions.get(hash).is_some_and(|revision| prune::is_of(revision, images))
}

/// An update that admission reviewed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UpdateFacts<'a> {
    /// Hash of the images that it wants.
    pub(crate) hash: &'a str,
    /// Those images.
    pub(crate) wanted: &'a BTreeMap<String, String>,
    /// Hash of the images of the template that it replaces.
    pub(crate) before: &'a str,
    /// Whether it was refused.
    pub(crate) is_refused: bool,
}

/// Makes the revision of an update the current one; what runs is noted with one that was refused.
pub(crate) fn note(record: &mut WorkloadScanStatus, update: UpdateFacts<'_>, now: Timestamp) {
    let running = running(record, update.before).map(str::to_owned);
    if update.is_refused {
        record::revision(record, update.hash, update.wanted, now);
        record.current = Some(update.hash.to_owned());
        record.refused = Some(RefusedUpdate { revision: update.hash.to_owned(), running, at: now.into() });
        return;
    }
    record.refused = None;
    // What runs already has a decision, also under other names: it may be retained.
    record.current = running.filter(|running| is_of(record, running, update.wanted)).or_else(|| {
        record::revision(record, update.hash, update.wanted, now);
        Some(update.hash.to_owned())
    });
}

/// The decision to show of an update that was refused: what is retained may run where it runs, and that is elsewhere.
pub(crate) fn shown(decision: Decision) -> Decision {
    if decision == Decision::Approved { Decision::Approved } else { Decision::Held }
}

/// The revision that runs while an update is refused.
fn running_meanwhile(record: &WorkloadScanStatus) -> Option<(&str, &Revision)> {
    let hash = record.refused.as_ref()?.running.as_deref()?;
    Some((hash, record.revisions.get(hash)?))
}

/// The same, where it has lost its approval to a new finding: that must be told, whatever the record shows.
pub(crate) fn lost_meanwhile(record: &WorkloadScanStatus) -> Option<(&str, &Revision)> {
    running_meanwhile(record).filter(|(_, revision)| revision.lost)
}

/// Makes the revision that runs the current one, as its Pods show it; else the one that was so before an update was refused.
pub(crate) fn go_back(record: &mut WorkloadScanStatus, by_pods: Option<String>) {
    let before = running_meanwhile(record).filter(|(_, revision)| revision.decision != Decision::Held);
    let running = by_pods.or(before.map(|(hash, _)| hash.to_owned()));
    record.refused = None;
    record.current = running.or(record.current.take());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{now, pinned, record as fixture, revision};
    use crate::decide::images;
    use Decision::{Approved, Held, Retained};

    fn images(image: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("c".to_owned(), image.to_owned())])
    }

    fn hash(image: &str) -> String {
        images::images_hash(&images(image))
    }

    /// A record of revisions named by their only image.
    fn known(
        decisions: &[(&str, Decision)],
        current: &str,
        refused: Option<(&str, Option<&str>)>,
    ) -> WorkloadScanStatus {
        let of = |(image, decision): &(&str, Decision)| {
            (hash(image), revision(*decision, &[("c", image, Some(&pinned(image, 1)))]))
        };
        let all: Vec<_> = decisions.iter().map(of).collect();
        let refused = refused.map(|(image, running)| RefusedUpdate {
            revision: hash(image),
            running: running.map(hash),
            at: now().into(),
        });
        WorkloadScanStatus {
            current: Some(hash(current)),
            refused,
            ..fixture(&all.iter().map(|(hash, revision)| (hash.as_str(), revision.clone())).collect::<Vec<_>>())
        }
    }

    #[test]
    fn what_runs_is_not_what_was_refused() {
        let check = |record: &WorkloadScanStatus, template: &str, expected: Option<&str>| {
            assert_eq!(running(record, &hash(template)), expected.map(hash).as_deref(), "{template}");
        };
        let plain = known(&[("a", Approved), ("b", Approved)], "b", None);
        check(&plain, "a", Some("a"));
        check(&plain, "a@digest", Some("b"));
        let refused = known(&[("a", Approved), ("b", Held)], "b", Some(("b", Some("a"))));
        check(&refused, "a", Some("a"));
        check(&refused, "a@digest", Some("a"));
        // As an earlier version wrote it.
        check(&known(&[("a", Approved), ("b", Held)], "b", Some(("b", None))), "x", None);
        check(&known(&[("a", Approved)], "unknown", None), "x", None);
    }

    #[test]
    fn an_update_is_noted() {
        let check = |record: &WorkloadScanStatus,
                     (before, wanted): (&str, &str),
                     refused: bool,
                     expected: (&str, Option<&str>)| {
            let mut record = record.clone();
            let facts = UpdateFacts {
                hash: &hash(wanted),
                wanted: &images(wanted),
                before: &hash(before),
                is_refused: refused,
            };
            note(&mut record, facts, now());
            let running = record.refused.as_ref().and_then(|refused| refused.running.as_deref());
            let expected = (hash(expected.0), expected.1.map(hash));
            assert_eq!((record.current.clone().unwrap(), running.map(str::to_owned)), expected, "{before} {wanted}");
            assert!(record.current_revision().is_some() && record.refused.is_some() == refused);
        };
        let first = known(&[("a", Approved)], "a", None);
        check(&first, ("a", "b"), true, ("b", Some("a")));
        let second = known(&[("a", Approved), ("b", Held)], "b", Some(("b", Some("a"))));
        check(&second, ("a", "b"), true, ("b", Some("a")));
        check(&second, ("a", "c"), true, ("c", Some("a")));
        check(&second, ("a", "a"), false, ("a", None));
        check(&second, ("a", &pinned("a", 1)), false, ("a", None));
        check(&known(&[("a", Retained)], "a", None), ("a", &pinned("a", 1)), false, ("a", None));
        check(&known(&[("a", Approved), ("b", Approved)], "a", None), ("a", "b"), false, ("b", None));
    }

    #[test]
    fn what_ran_before_is_current_again() {
        let check = |refused: Option<(&str, Option<&str>)>, a: Decision, by_pods: Option<&str>, expected: &str| {
            let mut record = known(&[("a", a), ("b", Held), ("c", Approved)], "b", refused);
            go_back(&mut record, by_pods.map(hash));
            assert_eq!(record.current, Some(hash(expected)), "{refused:?} {a:?} {by_pods:?}");
            assert!(record.refused.is_none());
        };
        // No Pod, or none that names its revision.
        check(Some(("b", Some("a"))), Approved, None, "a");
        check(Some(("b", Some("a"))), Retained, None, "a");
        check(Some(("b", Some("a"))), Held, None, "b");
        check(Some(("b", Some("gone"))), Approved, None, "b");
        check(Some(("b", Some("a"))), Approved, Some("c"), "c");
        check(None, Approved, None, "b");
        check(None, Approved, Some("c"), "c");
    }

    #[test]
    fn what_runs_loses_its_approval_while_an_update_is_refused() {
        let check = |refused: Option<(&str, Option<&str>)>, lost: &str, expected: Option<&str>| {
            let mut record = known(&[("a", Retained), ("b", Held), ("c", Retained)], "b", refused);
            record.revisions.get_mut(&hash(lost)).unwrap().lost = true;
            let found = lost_meanwhile(&record).map(|(hash, _)| hash.to_owned());
            assert_eq!(found, expected.map(hash), "{refused:?} {lost}");
        };
        check(Some(("b", Some("a"))), "a", Some("a"));
        // What does not run, and what is the current one, shown by itself.
        check(Some(("b", Some("a"))), "c", None);
        check(Some(("b", None)), "a", None);
        check(None, "a", None);
    }

    #[test]
    fn what_is_retained_is_no_approved_update() {
        let check = |decision: Decision, expected: Decision| assert_eq!(shown(decision), expected);
        check(Approved, Approved);
        check(Retained, Held);
        check(Held, Held);
    }

    #[test]
    fn an_update_is_remembered_for_an_hour() {
        let check = |at: &str, expected: u64| {
            let refused = RefusedUpdate { revision: "h".to_owned(), running: None, at: at.to_owned().into() };
            assert_eq!(remaining(&refused, now()), Duration::from_secs(expected), "{at}");
            assert_eq!(is_over(&refused, now()), expected == 0, "{at}");
        };
        check("2026-01-02T00:00:00Z", 3600);
        check("2026-01-01T23:30:00Z", 1800);
        check("2026-01-01T23:00:00Z", 0);
        check("2026-01-01T00:00:00Z", 0);
        check("no time", 0);
    }
}
