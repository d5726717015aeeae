//! The way of alerts to one receiver: one task for each that something waits for.

use super::AlertChannel;
use super::secrets::destination;
use crate::decide::alert_route::{PolicyReceiver, ReceiverKey};
use crate::decide::workload_ref::WorkloadRef;
use crate::metrics::AlertAttempt;
use crate::write_fence::WriteFenced;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tidewaiter_alerts::{Alert, AlertQueue, DeliveryFailure, Outgoing, QueueStep, deliver};
use tidewaiter_crd::alert::AlertReceiver;

/// Longest sleep: a receiver that was changed meanwhile is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// Open alerts in one message.
const MAX_OPEN: usize = 500;

/// What waits for a receiver.
#[derive(Debug, Default)]
pub(super) struct QueuedReceiver {
    queue: AlertQueue,
    has_task: bool,
    /// Workloads for whose alerts there was no room, the longest waiting first: their records send them again.
    crowded: VecDeque<WorkloadRef>,
}

impl AlertChannel {
    /// Adds an alert to what waits for a receiver.
    pub(super) fn enqueue(&self, key: &ReceiverKey, alert: Alert) {
        let (moot, lost, starts) = {
            let mut queues = self.shared.queues.lock();
            let queued = queues.entry(key.clone()).or_default();
            let displaced = queued.queue.add(alert, Instant::now());
            // Under the same lock: who makes room sees that this one waits for it.
            let lost = displaced.refused.filter(|refused| !self.waits_for_room(key, queued, refused));
            (displaced.moot, lost, !std::mem::replace(&mut queued.has_task, true))
        };
        if starts {
            tokio::spawn(self.clone().work(key.clone()));
        }
        moot.iter().for_each(|alert| self.done(key, alert));
        if let Some(lost) = lost {
            self.failed(key, "too many alerts wait for it", &[lost]);
        }
    }

    /// Whether an alert that has no room is sent again later: a record tracks it.
    fn waits_for_room(&self, key: &ReceiverKey, queued: &mut QueuedReceiver, alert: &Alert) -> bool {
        let workload = self.shared.progress.lock().crowded(&alert.id, key, Instant::now());
        let waits = workload.is_some();
        queued.crowded.extend(workload);
        waits
    }

    /// So many alerts do not wait any more: as many that had no room are sent again.
    fn made_room(&self, key: &ReceiverKey, places: usize) {
        let next: Vec<WorkloadRef> = match self.shared.queues.lock().get_mut(key) {
            Some(queued) => queued.crowded.drain(..places.min(queued.crowded.len())).collect(),
            None => return,
        };
        next.iter().for_each(|workload| self.index.enqueue_publishers(workload));
    }

    /// How many wait for a receiver.
    pub(super) fn waiting(&self, key: &ReceiverKey) -> usize {
        self.shared.queues.lock().get(key).map_or(0, |queued| queued.queue.len())
    }

    /// Delivers until nothing waits.
    async fn work(self, key: ReceiverKey) {
        loop {
            // Before the next step is looked at: what it is may have changed by then.
            self.fence.opened().await;
            let Some(receiver) = self.receiver(&key) else { return self.drop_all(&key) };
            match self.step(&key, receiver.receiver.digest()) {
                QueueStep::Idle => return,
                QueueStep::Wait(until) => {
                    let pause = until.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP);
                    tokio::time::sleep(pause).await;
                }
                QueueStep::Send(batch) => self.attempt(&receiver, batch).await,
            }
        }
    }

    /// The next step; the task ends with the last alert, under the same lock that adds one.
    fn step(&self, key: &ReceiverKey, digest: Option<Duration>) -> QueueStep {
        let mut queues = self.shared.queues.lock();
        let step = queues.get(key).map_or(QueueStep::Idle, |queued| queued.queue.next(digest, Instant::now()));
        if step == QueueStep::Idle {
            queues.remove(key);
        }
        step
    }

    /// Its policy does not name it any more, or has another one in its place: what waits is not for that one, unless the
    /// records say so.
    fn drop_all(&self, key: &ReceiverKey) {
        let Some(mut queued) = self.shared.queues.lock().remove(key) else { return };
        for alert in queued.queue.take_all() {
            let workload = self.shared.progress.lock().gone(&alert.id, key, Instant::now());
            queued.crowded.extend(workload);
        }
        queued.crowded.iter().for_each(|workload| self.index.enqueue_publishers(workload));
    }

    async fn attempt(&self, receiver: &PolicyReceiver, batch: Vec<Alert>) {
        let key = &receiver.key;
        let outcome = self.deliver(&receiver.receiver, batch.clone(), |batch| Outgoing::of(batch)).await;
        match outcome {
            Ok(()) => {
                self.with_queue(key, |queue| queue.delivered(&batch));
                self.metrics.alert(AlertAttempt::Delivered, key);
                let shown = self.shown(key);
                self.shared.states.lock().delivered(key, &shown, Timestamp::now());
                batch.iter().for_each(|alert| self.done(key, alert));
                self.made_room(key, batch.len());
            }
            Err(failure) => {
                let given_up = self.with_queue(key, |queue| queue.failed(&batch, failure.class, Instant::now()));
                let given_up = given_up.unwrap_or_default();
                self.failed(key, &failure.cause, &given_up);
                self.made_room(key, given_up.len());
            }
        }
    }

    /// It was seen to work: what waits is sent without the rest of the pause.
    pub(super) fn resume(&self, key: &ReceiverKey) {
        self.with_queue(key, |queue| queue.delivered(&[]));
    }

    fn with_queue<T>(&self, key: &ReceiverKey, act: impl FnOnce(&mut AlertQueue) -> T) -> Option<T> {
        self.shared.queues.lock().get_mut(key).map(|queued| act(&mut queued.queue))
    }

    /// Tells a receiver that forgets what is open. A failure is not tried again: the next time comes soon.
    pub(super) async fn refresh(self, key: ReceiverKey, open: Vec<Alert>) {
        let Some(receiver) = self.receiver(&key).filter(|_| self.fence.is_open()) else { return };
        let key = &key;
        for part in open.chunks(MAX_OPEN) {
            match self.deliver(&receiver.receiver, part.to_vec(), |open| Outgoing::Open(open)).await {
                Ok(()) => {
                    let shown = self.shown(key);
                    self.shared.states.lock().refreshed(key, &shown);
                }
                Err(failure) => return self.failed(key, &failure.cause, &[]),
            }
        }
    }

    /// One attempt, in a thread that may wait.
    pub(super) async fn deliver(
        &self,
        receiver: &AlertReceiver,
        alerts: Vec<Alert>,
        what: impl for<'a> FnOnce(&'a [Alert]) -> Outgoing<'a> + Send + 'static,
    ) -> Result<(), DeliveryFailure> {
        let to = destination(&self.client, receiver).await.map_err(DeliveryFailure::passing)?;
        // Another process may lead since.
        if !self.fence.is_open() {
            return Err(DeliveryFailure::passing(WriteFenced.to_string()));
        }
        let done = tokio::task::spawn_blocking(move || deliver(&to, what(&alerts))).await;
        done.unwrap_or_else(|panic| Err(DeliveryFailure::passing(panic.to_string())))
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
