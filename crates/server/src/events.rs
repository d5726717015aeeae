//! Events of Kubernetes about workloads: for people, and written one after the other, so that a policy which changes
//! thousands of decisions does not make the decisions wait for them.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, Recorder};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that wait, at most: a changed policy brings one for each workload, of 1 KiB.
const MAX_WAITING: usize = 20_000;

/// Bytes of an Event's note that the API server accepts.
const MAX_NOTE: usize = 1024;

/// A text as an Event's note: the end of what is too long is cut off.
pub(crate) fn note(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_NOTE)).unwrap_or_default().to_owned()
}

/// What writes Events; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct EventChannel {
    sender: Sender<(Event, ObjectReference)>,
}

impl EventChannel {
    /// Starts to write what is sent, until the process ends.
    pub(crate) fn new(recorder: Recorder) -> Self {
        let (sender, waiting) = channel(MAX_WAITING);
        tokio::spawn(write(recorder, waiting));
        EventChannel { sender }
    }

    /// Has an Event about an object written. When that fails nothing is lost: the record and the condition say the same.
    pub(crate) fn send(&self, event: Event, about: ObjectReference) {
        if self.sender.try_send((event, about)).is_err() {
            tracing::warn!("an Event was not written: {MAX_WAITING} wait");
        }
    }
}

async fn write(recorder: Recorder, mut waiting: Receiver<(Event, ObjectReference)>) {
    while let Some((event, about)) = waiting.recv().await {
        if let Err(error) = recorder.publish(&event, &about).await {
            tracing::warn!("an Event was not written: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_cut_by_bytes() {
        let check = |text: &str, bytes: usize| assert_eq!(note(text).len(), bytes, "{text}");
        check("short", 5);
        check(&"x".repeat(2000), 1024);
        // Names of images are ASCII, words of receivers and people are not.
        check(&"…".repeat(1000), 1023);
    }
}
