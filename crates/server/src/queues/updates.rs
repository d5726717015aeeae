//! Reviewed updates of DaemonSets and StatefulSets, until they are recorded: of each workload the newest, namespaces in turns.
//!
//! Whoever may change a workload can enqueue one with every request, so the queue has a limit, and a namespace that fills it
//! displaces its own.

use crate::decide::workload_ref::WorkloadRef;
use k8s_openapi::api::core::v1::PodSpec;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Workloads that wait, at most: more than are changed at once in a cluster, at a few KiB each.
const MAX_WAITING: usize = 500;
/// Pause after the first failed attempt: the watch delivers another client's write within milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause: the API server is away, or refuses.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Attempts at one update, which is about an hour: as long as a refused update is remembered.
const MAX_ATTEMPTS: u32 = 130;

/// An update of a DaemonSet or StatefulSet that admission reviewed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReviewedUpdate {
    pub(crate) workload: WorkloadRef,
    /// Name → image reference of what it wants.
    pub(crate) wanted: BTreeMap<String, String>,
    /// What names the pull secrets of its Pods; nothing else of them waits here.
    pub(crate) access: Box<PodSpec>,
    /// Hash of the images of the template that it replaces.
    pub(crate) before: String,
    /// Whether it was refused; else it goes on.
    pub(crate) is_refused: bool,
}

/// An update that was taken, with the number of failed attempts to record it.
#[derive(Debug)]
pub(crate) struct WaitingUpdate {
    pub(crate) update: Arc<ReviewedUpdate>,
    failed: u32,
    due: Instant,
}

/// The queue; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateQueue {
    waiting: Arc<Mutex<WaitingUpdates>>,
    added: Arc<Notify>,
}

impl UpdateQueue {
    /// Enqueues an update in the place of an earlier one of the same workload.
    pub(crate) fn add(&self, update: ReviewedUpdate) {
        self.waiting.lock().add(update, Instant::now());
        self.added.notify_one();
    }

    /// Enqueues an update that could not be recorded, after a pause, unless there is a newer one. False when it is given up.
    pub(crate) fn add_failed(&self, failed: WaitingUpdate) -> bool {
        let is_kept = self.waiting.lock().add_failed(failed, Instant::now());
        // Who takes it next may be another one.
        self.added.notify_one();
        is_kept
    }

    /// Waits for the next update.
    pub(crate) async fn next(&self) -> WaitingUpdate {
        loop {
            let taken = self.waiting.lock().take(Instant::now());
            match taken {
                Ok(update) => return update,
                Err(None) => self.added.notified().await,
                Err(Some(due)) => {
                    // Whichever is first.
                    let _ = tokio::time::timeout_at(due.into(), self.added.notified()).await;
                }
            }
        }
    }
}

/// What waits, without locks and timers.
#[derive(Debug, Default)]
struct WaitingUpdates {
    /// Namespace → its updates, the oldest first, at most one of each workload.
    namespaces: BTreeMap<String, VecDeque<WaitingUpdate>>,
    /// The namespaces that have some, the next one first.
    turns: VecDeque<String>,
}

impl WaitingUpdates {
    fn add(&mut self, update: ReviewedUpdate, now: Instant) {
        let update = Arc::new(update);
        let mut of_namespace = self.namespaces.get_mut(&update.workload.namespace).into_iter().flatten();
        // It has the place of the earlier one: who applies again and again does not wait longer.
        if let Some(earlier) = of_namespace.find(|w| w.update.workload.uid == update.workload.uid) {
            *earlier = WaitingUpdate { update, failed: 0, due: now };
            return;
        }
        self.push(WaitingUpdate { update, failed: 0, due: now });
    }

    fn add_failed(&mut self, waiting: WaitingUpdate, now: Instant) -> bool {
        let failed = waiting.failed + 1;
        if failed >= MAX_ATTEMPTS {
            return false;
        }
        let workload = &waiting.update.workload;
        let of_namespace = self.namespaces.get(&workload.namespace);
        if !of_namespace.into_iter().flatten().any(|w| w.update.workload.uid == workload.uid) {
            self.push(WaitingUpdate { failed, due: now + pause(failed), ..waiting });
        }
        true
    }

    fn push(&mut self, waiting: WaitingUpdate) {
        let namespace = waiting.update.workload.namespace.clone();
        if !self.turns.contains(&namespace) {
            self.turns.push_back(namespace.clone());
        }
        self.namespaces.entry(namespace).or_default().push_back(waiting);
        if self.namespaces.values().map(VecDeque::len).sum::<usize>() > MAX_WAITING {
            self.drop_one();
        }
    }

    /// Drops the oldest of the namespace that has most: applied again, it is reviewed again.
    fn drop_one(&mut self) {
        let Some((name, most)) = self.namespaces.iter_mut().max_by_key(|(_, all)| all.len()) else { return };
        most.pop_front();
        if most.is_empty() {
            let name = name.clone();
            self.namespaces.remove(&name);
            self.turns.retain(|turn| *turn != name);
        }
    }

    /// Takes an update that is due, of the namespace whose turn it is; else says when the next one is.
    fn take(&mut self, now: Instant) -> Result<WaitingUpdate, Option<Instant>> {
        for turn in 0..self.turns.len() {
            let of_namespace = self.namespaces.get_mut(&self.turns[turn]);
            let is_due = |waiting: &WaitingUpdate| waiting.due <= now;
            let taken = of_namespace.and_then(|all| all.remove(all.iter().position(is_due)?));
            if let Some(taken) = taken {
                self.end_turn(turn);
                return Ok(taken);
            }
        }
        Err(self.namespaces.values().flatten().map(|waiting| waiting.due).min())
    }

    /// Puts a namespace behind all others, or removes it where it has nothing more.
    fn end_turn(&mut self, turn: usize) {
        let Some(namespace) = self.turns.remove(turn) else { return };
        if self.namespaces.get(&namespace).is_some_and(|of_namespace| !of_namespace.is_empty()) {
            self.turns.push_back(namespace);
        } else {
            self.namespaces.remove(&namespace);
        }
    }
}

/// Pause after this many failed attempts.
fn pause(failed: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_crd::WorkloadKind;

    fn update(namespace: &str, uid: &str, image: &str) -> ReviewedUpdate {
        let workload = WorkloadRef {
            namespace: namespace.to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: WorkloadKind::DaemonSet,
            name: uid.to_owned(),
            uid: uid.to_owned(),
        };
        let wanted = BTreeMap::from([("c".to_owned(), image.to_owned())]);
        ReviewedUpdate { workload, wanted, access: Box::default(), before: String::new(), is_refused: true }
    }

    fn drained(waiting: &mut WaitingUpdates, now: Instant) -> Vec<String> {
        let text = |taken: WaitingUpdate| {
            let workload = &taken.update.workload;
            format!("{}/{}:{}", workload.namespace, workload.uid, taken.update.wanted["c"])
        };
        std::iter::from_fn(|| waiting.take(now).ok().map(text)).collect()
    }

    #[test]
    fn the_newest_of_each_workload_is_taken_in_turns() {
        let check = |added: &[(&str, &str, &str)], expected: &[&str]| {
            let now = Instant::now();
            let mut waiting = WaitingUpdates::default();
            added.iter().for_each(|(namespace, uid, image)| waiting.add(update(namespace, uid, image), now));
            assert_eq!(drained(&mut waiting, now), expected, "{added:?}");
            assert!(waiting.namespaces.is_empty() && waiting.turns.is_empty());
            assert_eq!(waiting.take(now).err(), Some(None));
        };
        check(&[], &[]);
        check(&[("n", "1", "a"), ("n", "1", "b")], &["n/1:b"]);
        check(&[("n", "1", "a"), ("n", "2", "a"), ("n", "1", "b")], &["n/1:b", "n/2:a"]);
        check(
            &[("n", "1", "a"), ("n", "2", "a"), ("n", "3", "a"), ("o", "4", "a")],
            &["n/1:a", "o/4:a", "n/2:a", "n/3:a"],
        );
    }

    #[test]
    fn a_namespace_that_fills_the_queue_displaces_its_own() {
        let now = Instant::now();
        let mut waiting = WaitingUpdates::default();
        waiting.add(update("quiet", "q", "a"), now);
        (0..MAX_WAITING + 50).for_each(|i| waiting.add(update("loud", &i.to_string(), "a"), now));
        waiting.add(update("late", "l", "a"), now);
        let taken = drained(&mut waiting, now);
        assert_eq!(taken.len(), MAX_WAITING);
        assert_eq!(taken[..3], ["quiet/q:a", "loud/52:a", "late/l:a"]);
    }

    #[test]
    fn what_failed_is_tried_again_later_unless_it_is_superseded() {
        let now = Instant::now();
        let mut waiting = WaitingUpdates::default();
        waiting.add(update("n", "1", "a"), now);
        let failed = waiting.take(now).unwrap();
        assert!(waiting.add_failed(failed, now));
        assert_eq!(waiting.take(now).err(), Some(Some(now + FIRST_PAUSE)));
        // Others do not wait for it.
        waiting.add(update("n", "2", "a"), now);
        assert_eq!(drained(&mut waiting, now), ["n/2:a"]);
        let failed = waiting.take(now + FIRST_PAUSE).unwrap();
        waiting.add(update("n", "1", "b"), now);
        assert!(waiting.add_failed(failed, now));
        assert_eq!(drained(&mut waiting, now + LONGEST_PAUSE), ["n/1:b"]);
        let last = WaitingUpdate { update: Arc::new(update("n", "1", "a")), failed: MAX_ATTEMPTS - 1, due: now };
        assert!(!waiting.add_failed(last, now));
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let check = |failed: u32, expected: u64| assert_eq!(pause(failed), Duration::from_millis(expected), "{failed}");
        check(1, 50);
        check(2, 100);
        check(5, 800);
        check(11, 30_000);
        check(MAX_ATTEMPTS, 30_000);
    }
}
