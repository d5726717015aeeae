//! Work to be looked at again, one queue per controller. A queue holds each key once.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use tidewaiter_crd::{ImageScan, WorkloadScan};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The sending and receiving ends.
#[derive(Debug, Clone)]
pub(crate) struct Queues {
    pub(crate) deployments: Queue<ObjectRef<Deployment>>,
    pub(crate) pods: Queue<ObjectRef<Pod>>,
    pub(crate) images: Queue<ObjectRef<ImageScan>>,
    pub(crate) workloads: Queue<ObjectRef<WorkloadScan>>,
    pub(crate) namespaces: Queue<ObjectRef<Namespace>>,
    /// Policies changed.
    pub(crate) policies: Queue<()>,
    /// Images that run although nobody decides about them.
    pub(crate) unheld: Queue<Wanted>,
}

/// An image that is to be scanned for the record alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    pub(crate) namespace: String,
    pub(crate) image: String,
    /// Secrets of the namespace to pull with.
    pub(crate) pull_secrets: Vec<String>,
}

/// One queue; the controllers de-duplicate what they take from it.
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

    /// Adds a key.
    pub(crate) fn add(&self, key: T) {
        // It fails only when the process ends.
        let _ = self.sender.send(key);
    }

    /// The next key.
    pub(crate) async fn next(&self) -> Option<T> {
        self.receiver.lock().await.recv().await
    }
}

impl Queues {
    /// Empty queues.
    pub(crate) fn new() -> Self {
        Queues {
            deployments: Queue::new(),
            pods: Queue::new(),
            images: Queue::new(),
            workloads: Queue::new(),
            namespaces: Queue::new(),
            policies: Queue::new(),
            unheld: Queue::new(),
        }
    }
}
