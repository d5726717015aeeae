//! Alerts: from the news of workloads to their receivers, and what became of them.
//!
//! ```text
//! publish → news → AlertChannel → a queue for each receiver → delivery → secrets → tidewaiter_alerts::deliver
//!                       ↘ open: repetitions, ends        ↘ receivers: states → the status of the policy, Events, metrics
//! ```
//!
//! An alert that waits for people is in its workload's record once every receiver has it or was given up: until then each start of
//! the server sends it again, with the same id. What is only in memory is what is open, and how long a receiver has been away.
//! Only the process that leads sends: one that lost the lead must not tell what another one tells as well.

mod delivery;
pub(crate) mod news;
mod open;
mod progress;
mod receivers;
mod secrets;
mod status;
mod test_message;

use crate::decide::alert_route::{self, PolicyReceiver, ReceiverKey};
use crate::decide::alerted;
use crate::decide::workload_ref::WorkloadRef;
use crate::events::EventChannel;
use crate::index::Index;
use crate::metrics::{AlertAttempt, Metrics};
use crate::write_fence::WriteFence;
use delivery::QueuedReceiver;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use open::OpenAlerts;
use parking_lot::Mutex;
use progress::{AlertProgress, DeliveryStep};
use receivers::ReceiverStates;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewaiter_alerts::Alert;
use tidewaiter_crd::alert::ReceiverStatus;
use tokio::task::JoinSet;

/// Pause between two looks at what is open, and between two writes of a policy's status.
const PAUSE: Duration = Duration::from_secs(10);

/// Delivery of alerts; clones share it.
#[derive(Clone)]
pub(crate) struct AlertChannel {
    index: Arc<Index>,
    metrics: Metrics,
    client: Client,
    events: EventChannel,
    fence: WriteFence,
    shared: Arc<SharedAlerts>,
}

#[derive(Debug, Default)]
struct SharedAlerts {
    progress: Mutex<AlertProgress>,
    queues: Mutex<BTreeMap<ReceiverKey, QueuedReceiver>>,
    open: Mutex<OpenAlerts>,
    states: Mutex<ReceiverStates>,
    /// Held while statuses are written.
    writing: tokio::sync::Mutex<()>,
}

impl AlertChannel {
    /// A channel; a delivered alert enqueues its workload, whose record then notes it. Nothing is sent while the fence is closed.
    pub(crate) fn new(
        index: Arc<Index>,
        metrics: Metrics,
        client: Client,
        events: EventChannel,
        fence: WriteFence,
    ) -> Self {
        AlertChannel { index, metrics, client, events, fence, shared: Arc::default() }
    }

    /// Starts what happens without news, in the process that leads: repetitions, the statuses of policies, test messages.
    pub(crate) fn start(&self, tasks: &mut JoinSet<()>) {
        tasks.spawn(self.clone().follow_open());
        tasks.spawn(self.clone().follow_tests());
    }

    /// Whether every receiver has an alert, or will never have it: the caller notes it in the record then. Until then it is
    /// delivered in the background, and the workload is enqueued when all have it; what is under way is not sent twice.
    pub(crate) fn send(&self, workload: &WorkloadRef, alert: &Alert, receivers: &[PolicyReceiver]) -> bool {
        let keys: Vec<ReceiverKey> = receivers.iter().map(|one| one.key.clone()).collect();
        let step = self.shared.progress.lock().ask(&alert.id, workload, &keys, Instant::now());
        match step {
            DeliveryStep::Note => true,
            DeliveryStep::Enqueue(missing) => {
                missing.iter().for_each(|key| self.enqueue(key, alert.clone()));
                false
            }
        }
    }

    /// Whether an alert is on its way, or was delivered and is not noted yet.
    pub(crate) fn is_under_way(&self, id: &str) -> bool {
        self.shared.progress.lock().has(id)
    }

    /// The record of a workload was written, with these alerts: they are not asked for any more.
    pub(crate) fn noted(&self, alerted: &[String]) {
        self.shared.progress.lock().noted(alerted::since_last_end(alerted).iter());
    }

    /// Delivers in the background what no record notes.
    pub(crate) fn tell(&self, alert: &Alert, receivers: &[PolicyReceiver]) {
        receivers.iter().for_each(|receiver| self.enqueue(&receiver.key, alert.clone()));
    }

    /// Notes what people have to do something about, for receivers that want to hear of it again, or of its end.
    pub(crate) fn open(&self, workload: &WorkloadRef, alert: &Alert, receivers: &[PolicyReceiver], since: Timestamp) {
        self.shared.open.lock().add(workload, alert, receivers, since, Timestamp::now());
    }

    /// Notes that nothing is to be done about a workload.
    pub(crate) fn close(&self, workload: &WorkloadRef) {
        self.shared.open.lock().remove(&workload.uid);
    }

    /// A receiver has an alert, or will never have it: given up counts as well, because the record must not send it again for ever.
    fn done(&self, key: &ReceiverKey, alert: &Alert) {
        let noting = self.shared.progress.lock().done(&alert.id, key, Instant::now());
        noting.iter().for_each(|workload| self.index.enqueue_publishers(workload));
    }

    /// An attempt failed; `given_up` is not tried again.
    fn failed(&self, key: &ReceiverKey, cause: &str, given_up: &[Alert]) {
        self.metrics.alert(AlertAttempt::Failed, key);
        let (shown, now) = (self.shown(key), Timestamp::now());
        self.shared.states.lock().failed(key, &shown, cause, given_up, now);
        if given_up.is_empty() {
            tracing::warn!("alert not delivered to receiver {key}, it is tried again: {cause}");
        }
        for alert in given_up {
            self.metrics.alert(AlertAttempt::GivenUp, key);
            tracing::error!("alert not delivered to receiver {key}, given up: {}: {cause}", alert.title());
            self.done(key, alert);
        }
    }

    /// What the status of a receiver's policy shows.
    fn shown(&self, key: &ReceiverKey) -> Vec<ReceiverStatus> {
        let policy = self.index.policies.get(&ObjectRef::new(&key.policy));
        policy.and_then(|policy| policy.status.clone()).map(|status| status.alerts).unwrap_or_default()
    }

    /// A receiver as its policy has it now.
    fn receiver(&self, key: &ReceiverKey) -> Option<PolicyReceiver> {
        let policy = self.index.policies.get(&ObjectRef::new(&key.policy))?;
        alert_route::all_of(&policy).find(|one| one.key == *key)
    }

    async fn follow_open(self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let news = self.shared.open.lock().due(Timestamp::now(), |workload| self.index.record(workload).is_some());
            news.single.iter().for_each(|(alert, receiver)| self.enqueue(receiver, alert.clone()));
            for (receiver, open) in news.refreshed {
                tokio::spawn(self.clone().refresh(receiver, open));
            }
            self.shared.progress.lock().tidy(Instant::now());
            self.write_statuses().await;
        }
    }
}
