//! Which alerts of records are under way, to whom, and which are to be noted. Pure: times are the caller's.

use crate::decide::alert_route::ReceiverKey;
use crate::decide::workload_ref::WorkloadRef;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long what nobody waits for is remembered: its workload is in another state by then, and nobody asks. Longer than a
/// receiver may be away: what has no room is not sent anew to the others.
const NOTED_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// The alerts of records, by their ids, until the records note them.
#[derive(Debug, Default)]
pub(super) struct AlertProgress {
    all: BTreeMap<String, TrackedAlert>,
}

#[derive(Debug)]
struct TrackedAlert {
    workload: WorkloadRef,
    receivers: BTreeMap<ReceiverKey, ReceiverProgress>,
    /// Whether a receiver is gone: whoever took its place is told at the next reconciliation.
    lacks_receiver: bool,
    changed: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReceiverProgress {
    /// It is in the receiver's queue.
    Waits,
    /// There was no room in the queue: the next reconciliation tries again.
    Crowded,
    /// The receiver has it, or will never have it.
    Done,
}

/// What is to be done to have an alert delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DeliveryStep {
    /// Every receiver has it: the record notes it.
    Note,
    /// Those that have not got it yet, and in whose queue it is not; none where it is under way.
    Enqueue(Vec<ReceiverKey>),
}

impl TrackedAlert {
    fn is_done(&self) -> bool {
        !self.lacks_receiver && self.receivers.values().all(|one| *one == ReceiverProgress::Done)
    }

    /// Those to tell now.
    fn missing(&mut self, receivers: &[ReceiverKey]) -> Vec<ReceiverKey> {
        // Its policy does not name it any more, or it is not concerned.
        self.receivers.retain(|key, one| *one != ReceiverProgress::Crowded || receivers.contains(key));
        let takes_new = std::mem::take(&mut self.lacks_receiver);
        let is_missing = |key: &&ReceiverKey| match self.receivers.get(*key) {
            Some(ReceiverProgress::Crowded) => true,
            Some(ReceiverProgress::Waits | ReceiverProgress::Done) => false,
            // One that was added since does not hear of what was told before.
            None => takes_new,
        };
        receivers.iter().filter(is_missing).cloned().collect()
    }
}

impl AlertProgress {
    /// What is to be done about an alert that these receivers are to have.
    pub(super) fn ask(
        &mut self,
        id: &str,
        workload: &WorkloadRef,
        receivers: &[ReceiverKey],
        now: Instant,
    ) -> DeliveryStep {
        // Nobody has a new one, and so nobody was added since.
        let tracked = self.all.entry(id.to_owned()).or_insert_with(|| TrackedAlert {
            workload: workload.clone(),
            receivers: BTreeMap::new(),
            lacks_receiver: true,
            changed: now,
        });
        let missing = tracked.missing(receivers);
        tracked.receivers.extend(missing.iter().map(|key| (key.clone(), ReceiverProgress::Waits)));
        match tracked.is_done() {
            true => DeliveryStep::Note,
            false => DeliveryStep::Enqueue(missing),
        }
    }

    /// Whether an alert is on its way, or was delivered and is not noted yet.
    pub(super) fn has(&self, id: &str) -> bool {
        self.all.contains_key(id)
    }

    /// A receiver has an alert, or will never have it; returns the workload whose record can note it.
    pub(super) fn done(&mut self, id: &str, receiver: &ReceiverKey, now: Instant) -> Option<WorkloadRef> {
        let tracked = self.set(id, receiver, ReceiverProgress::Done, now)?;
        tracked.is_done().then(|| tracked.workload.clone())
    }

    /// There is no room for an alert in a receiver's queue; returns the workload to enqueue when there is some. `None`: no
    /// record tracks it, and it is lost.
    pub(super) fn crowded(&mut self, id: &str, receiver: &ReceiverKey, now: Instant) -> Option<WorkloadRef> {
        let tracked = self.set(id, receiver, ReceiverProgress::Crowded, now)?;
        Some(tracked.workload.clone())
    }

    /// A receiver that had not got an alert is gone; returns the workload to enqueue, so that who took its place is told.
    pub(super) fn gone(&mut self, id: &str, receiver: &ReceiverKey, now: Instant) -> Option<WorkloadRef> {
        let tracked = self.set(id, receiver, ReceiverProgress::Done, now)?;
        tracked.lacks_receiver = true;
        Some(tracked.workload.clone())
    }

    fn set(
        &mut self,
        id: &str,
        receiver: &ReceiverKey,
        to: ReceiverProgress,
        now: Instant,
    ) -> Option<&mut TrackedAlert> {
        let tracked = self.all.get_mut(id)?;
        *tracked.receivers.get_mut(receiver)? = to;
        tracked.changed = now;
        Some(tracked)
    }

    /// A record that was written notes these.
    pub(super) fn noted<'a>(&mut self, ids: impl Iterator<Item = &'a String>) {
        if self.all.is_empty() {
            return;
        }
        for id in ids {
            self.all.remove(id);
        }
    }

    /// Forgets what nobody asks for any more.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.all.retain(|_, tracked| {
            let waits = tracked.receivers.values().any(|one| *one == ReceiverProgress::Waits);
            waits || now.saturating_duration_since(tracked.changed) < NOTED_WITHIN
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ReceiverKey {
        ReceiverKey { policy: "p".to_owned(), name: name.to_owned(), address: None }
    }

    fn keys(names: &[&str]) -> Vec<ReceiverKey> {
        names.iter().map(|name| key(name)).collect()
    }

    struct Played {
        progress: AlertProgress,
        now: Instant,
    }

    impl Played {
        fn new() -> Self {
            Played { progress: AlertProgress::default(), now: Instant::now() }
        }

        fn ask(&mut self, receivers: &[&str], expected: DeliveryStep) {
            let workload = WorkloadRef::of_kind("apps/v1", "Deployment");
            assert_eq!(self.progress.ask("a", &workload, &keys(receivers), self.now), expected, "{receivers:?}");
        }

        fn enqueues(&mut self, receivers: &[&str], expected: &[&str]) {
            self.ask(receivers, DeliveryStep::Enqueue(keys(expected)));
        }

        fn is_done(&mut self, receiver: &str) -> bool {
            self.progress.done("a", &key(receiver), self.now).is_some()
        }
    }

    #[test]
    fn an_alert_is_noted_once_every_receiver_has_it() {
        let mut played = Played::new();
        played.enqueues(&["r", "s"], &["r", "s"]);
        // One that is added meanwhile does not hear of it.
        played.enqueues(&["r", "s", "t"], &[]);
        assert!(!played.is_done("r"));
        assert!(played.is_done("s"));
        // As often as the record cannot be written.
        played.ask(&["r", "s"], DeliveryStep::Note);
        played.ask(&["r", "s"], DeliveryStep::Note);
        let noted = ["a".to_owned()];
        played.progress.noted(noted.iter());
        assert!(!played.progress.has("a"));
    }

    #[test]
    fn what_has_no_room_is_tried_again_and_sent_to_nobody_twice() {
        let mut played = Played::new();
        played.enqueues(&["r", "s"], &["r", "s"]);
        assert!(played.progress.crowded("a", &key("r"), played.now).is_some());
        assert!(!played.is_done("s"));
        played.enqueues(&["r", "s"], &["r"]);
        assert!(played.is_done("r"));
        // No record tracks it.
        assert!(played.progress.crowded("b", &key("r"), played.now).is_none());
    }

    #[test]
    fn who_takes_the_place_of_a_receiver_is_told() {
        let mut played = Played::new();
        played.enqueues(&["r", "s"], &["r", "s"]);
        assert!(played.progress.gone("a", &key("r"), played.now).is_some());
        assert!(!played.is_done("s"));
        played.enqueues(&["s", "t"], &["t"]);
        assert!(played.is_done("t"));
        // And where nobody does, the record notes it.
        let mut played = Played::new();
        played.enqueues(&["r", "s"], &["r", "s"]);
        assert!(!played.is_done("s"));
        assert!(played.progress.gone("a", &key("r"), played.now).is_some());
        played.ask(&["s"], DeliveryStep::Note);
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let mut played = Played::new();
        played.enqueues(&["r"], &["r"]);
        let later = played.now + NOTED_WITHIN;
        played.progress.tidy(later);
        assert!(played.progress.has("a"));
        assert!(played.is_done("r"));
        played.progress.tidy(later);
        assert!(!played.progress.has("a"));
    }
}
