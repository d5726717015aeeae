//! Keys of objects to reconcile: one queue per controller.

pub(crate) mod updates;

use crate::unheld::UnheldNamespaces;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use tidewaiter_crd::{ImageScan, WorkloadScan};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
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
    pub(crate) returned: Queue<ObjectRef<WorkloadScan>>,
    pub(crate) updates: UpdateQueue,
}

/// A queue. Unbounded: a key is a few names, and the controllers de-duplicate what they take.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    sender: UnboundedSender<T>,
    receiver: Arc<Mutex<UnboundedReceiver<T>>>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { sender: self.sender.clone(), receiver: Arc::clone(&self.receiver) }
    }
}

impl<T> Queue<T> {
    fn new() -> Self {
        let (sender, receiver) = unbounded_channel();
        Queue { sender, receiver: Arc::new(Mutex::new(receiver)) }
    }

    /// Enqueues a key.
    pub(crate) fn add(&self, key: T) {
        // Sending fails only when the process ends and the receiver is dropped.
        let _ = self.sender.send(key);
    }

    /// Waits for the next key.
    pub(crate) async fn next(&self) -> Option<T> {
        self.receiver.lock().await.recv().await
    }

    /// Takes all keys that are enqueued now.
    pub(crate) async fn take_all(&self) -> Vec<T> {
        let mut receiver = self.receiver.lock().await;
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
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
    /// Empty queues.
    pub(crate) fn new() -> Self {
        Queues {
            deployments: Queue::new(),
            jobs: Queue::new(),
            cron_jobs: Queue::new(),
            pods: Queue::new(),
            images: Queue::new(),
            workloads: Queue::new(),
            namespaces: Queue::new(),
            policies: Queue::new(),
            unheld: UnheldNamespaces::default(),
            returned: Queue::new(),
            updates: UpdateQueue::default(),
        }
    }
}
