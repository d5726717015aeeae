//! Keys of objects to reconcile: one queue per controller.

pub(crate) mod returned;
pub(crate) mod updates;

use crate::unheld::UnheldNamespaces;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::runtime::reflector::ObjectRef;
use returned::ReturnedRecords;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidewaiter_crd::{ImageScan, WorkloadScan};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Notify};
use updates::UpdateQueue;

/// The queues of all controllers.
#[derive(Debug, Clone)]
pub(crate) struct Queues {
    pub(crate) deployments: Queue<ObjectRef<Deployment>>,
    pub(crate) jobs: Queue<ObjectRef<Job>>,
    pub(crate) cron_jobs: Queue<ObjectRef<CronJob>>,
    pub(crate) pods: Queue<ObjectRef<Pod>>,
    pub(crate) images: Queue<ObjectRef<ImageScan>>,
    pub(crate) workloads: Queue<ObjectRef<WorkloadScan>>,
    pub(crate) namespaces: Queue<ObjectRef<Namespace>>,
    /// Changes of policies.
    pub(crate) policies: Queue<()>,
    /// Namespaces in which something starts without a decision.
    pub(crate) unheld: UnheldNamespaces,
    /// Records of held workloads of which a Pod starts all the same: it has another, approved revision.
    pub(crate) returned: ReturnedRecords,
    pub(crate) updates: UpdateQueue,
    /// Told when a record or a scan changed: what writes policy reports looks at all of them.
    pub(crate) reported: Arc<Notify>,
    is_open: Arc<AtomicBool>,
}

/// A queue. Unbounded: a key is a few names, and the controllers de-duplicate what they take.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    is_open: Arc<AtomicBool>,
    sender: UnboundedSender<T>,
    receiver: Arc<Mutex<UnboundedReceiver<T>>>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { is_open: Arc::clone(&self.is_open), sender: self.sender.clone(), receiver: Arc::clone(&self.receiver) }
    }
}

impl<T> Queue<T> {
    fn new(is_open: &Arc<AtomicBool>) -> Self {
        let (sender, receiver) = unbounded_channel();
        Queue { is_open: Arc::clone(is_open), sender, receiver: Arc::new(Mutex::new(receiver)) }
    }

    /// Enqueues a key; drops it while the queues are closed.
    pub(crate) fn add(&self, key: T) {
        if !self.is_open.load(Ordering::Acquire) {
            return;
        }
        // Sending fails only when the process ends and the receiver is dropped.
        let _ = self.sender.send(key);
    }

    /// Waits for the next key.
    pub(crate) async fn next(&self) -> Option<T> {
        self.receiver.lock().await.recv().await
    }

    /// Forgets what is enqueued now.
    pub(crate) async fn clear(&self) {
        let mut receiver = self.receiver.lock().await;
        while receiver.try_recv().is_ok() {}
    }

    /// All keys that are enqueued now.
    #[cfg(test)]
    pub(crate) fn drain(&self) -> Vec<T> {
        let mut receiver = self.receiver.try_lock().unwrap();
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }
}

impl Queues {
    /// Empty queues, which are open.
    pub(crate) fn new() -> Self {
        let is_open = Arc::new(AtomicBool::new(true));
        Queues {
            deployments: Queue::new(&is_open),
            jobs: Queue::new(&is_open),
            cron_jobs: Queue::new(&is_open),
            pods: Queue::new(&is_open),
            images: Queue::new(&is_open),
            workloads: Queue::new(&is_open),
            namespaces: Queue::new(&is_open),
            policies: Queue::new(&is_open),
            unheld: UnheldNamespaces::default(),
            returned: ReturnedRecords::default(),
            updates: UpdateQueue::default(),
            reported: Arc::default(),
            is_open,
        }
    }

    /// Drops what watches enqueue, until the queues are opened: who follows reconciles nothing. What webhooks enqueue (`unheld`,
    /// `returned`, `updates`) is kept: the leader is told of it.
    pub(crate) fn close(&self) {
        self.is_open.store(false, Ordering::Release);
    }

    /// Keeps what is enqueued from now on. Before everything that exists is enqueued, so that no change is lost in between.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_follows_keeps_what_webhooks_say_and_nothing_of_watches() {
        let queues = Queues::new();
        let check = |images: usize, returned: usize| {
            queues.images.add(ObjectRef::new("i"));
            queues.returned.add(ObjectRef::new("w"));
            assert_eq!((queues.images.drain().len(), queues.returned.take_all().len()), (images, returned));
        };
        check(1, 1);
        queues.close();
        check(0, 1);
        queues.open();
        check(1, 1);
    }
}
