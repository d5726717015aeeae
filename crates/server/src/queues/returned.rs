//! Records of held workloads of which a Pod starts all the same, until somebody follows them up: the leader, or who tells it.

use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use tidewaiter_crd::WorkloadScan;
use tokio::sync::Notify;

/// Records that wait, at most: more than Pods start at once. Those beyond are followed up when their workloads next change.
const MAX_WAITING: usize = 10_000;

/// The records, each once; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReturnedRecords {
    waiting: Arc<Mutex<HashSet<ObjectRef<WorkloadScan>>>>,
    added: Arc<Notify>,
}

impl ReturnedRecords {
    /// Adds a record.
    pub(crate) fn add(&self, record: ObjectRef<WorkloadScan>) {
        self.add_all([record]);
    }

    /// Adds records: also those that were taken, and could not be told.
    pub(crate) fn add_all(&self, records: impl IntoIterator<Item = ObjectRef<WorkloadScan>>) {
        let mut waiting = self.waiting.lock();
        for record in records {
            if waiting.len() < MAX_WAITING {
                waiting.insert(record);
            }
        }
        drop(waiting);
        self.added.notify_one();
    }

    /// Waits until some are there; takes none.
    pub(crate) async fn some(&self) {
        while self.waiting.lock().is_empty() {
            self.added.notified().await;
        }
    }

    /// Takes all that wait.
    pub(crate) fn take_all(&self) -> HashSet<ObjectRef<WorkloadScan>> {
        std::mem::take(&mut *self.waiting.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: usize) -> ObjectRef<WorkloadScan> {
        ObjectRef::new(&format!("w-{number}")).within("n")
    }

    #[tokio::test]
    async fn each_waits_once_and_within_a_bound() {
        let records = ReturnedRecords::default();
        let check = |added: usize, expected: usize| {
            (0..added).for_each(|number| records.add(record(number)));
            assert_eq!(records.take_all().len(), expected, "{added}");
        };
        check(0, 0);
        check(3, 3);
        check(MAX_WAITING * 2, MAX_WAITING);
        (0..3).for_each(|_| records.add(record(0)));
        records.some().await;
        assert_eq!(records.take_all().len(), 1);
    }

    #[tokio::test]
    async fn who_waits_hears_of_what_is_put_back() {
        let records = ReturnedRecords::default();
        let waiting = records.clone();
        let heard = tokio::spawn(async move { waiting.some().await });
        tokio::task::yield_now().await;
        records.add_all([record(1)]);
        heard.await.unwrap();
        assert_eq!(records.take_all(), HashSet::from([record(1)]));
    }
}
