//! The way of alerts to one receiver: one task for each that something waits for.

use super::AlertChannel;
use super::secrets::destination;
use crate::decide::alert_route::{PolicyReceiver, ReceiverKey};
use crate::metrics::AlertAttempt;
use jiff::Timestamp;
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
}

impl AlertChannel {
    /// Adds an alert to what waits for a receiver.
    pub(super) fn enqueue(&self, key: &ReceiverKey, alert: Alert) {
        let (displaced, starts) = {
            let mut queues = self.shared.queues.lock();
            let queued = queues.entry(key.clone()).or_default();
            let displaced = queued.queue.add(alert, Instant::now());
            (displaced, !std::mem::replace(&mut queued.has_task, true))
        };
        if starts {
            tokio::spawn(self.clone().work(key.clone()));
        }
        displaced.moot.iter().for_each(|alert| self.done(alert));
        if let Some(refused) = displaced.refused {
            self.failed(key, "too many alerts wait for it", &[refused]);
        }
    }

    /// How many wait for a receiver.
    pub(super) fn waiting(&self, key: &ReceiverKey) -> usize {
        self.shared.queues.lock().get(key).map_or(0, |queued| queued.queue.len())
    }

    /// Delivers until nothing waits.
    async fn work(self, key: ReceiverKey) {
        loop {
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

    /// Its policy does not name it any more: nobody is to be told.
    fn drop_all(&self, key: &ReceiverKey) {
        let queued = self.shared.queues.lock().remove(key);
        let dropped = queued.map(|mut queued| queued.queue.take_all()).unwrap_or_default();
        dropped.iter().for_each(|alert| self.done(alert));
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
                batch.iter().for_each(|alert| self.done(alert));
            }
            Err(failure) => {
                let given_up = self.with_queue(key, |queue| queue.failed(&batch, failure.class, Instant::now()));
                self.failed(key, &failure.cause, &given_up.unwrap_or_default());
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
    pub(super) async fn refresh(self, receiver: PolicyReceiver, open: Vec<Alert>) {
        let key = &receiver.key;
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
        let done = tokio::task::spawn_blocking(move || deliver(&to, what(&alerts))).await;
        done.unwrap_or_else(|panic| Err(DeliveryFailure::passing(panic.to_string())))
    }
}
