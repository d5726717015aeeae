//! Which runs of ImageScans this process began, and when: what a run says of a tag is as old as its beginning.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the digest that a tag had counts as the one that it has, for a workload that is new. Many workloads of one image
/// that are applied at once need one scan. A restart, a rollback and a person's scan always ask the registry.
const RECENT: Duration = Duration::from_secs(60);
/// How long a run is known: longer than any scan may take.
const KNOWN: Duration = Duration::from_secs(3600);

/// The newest run of each ImageScan. After a restart no run is known, and each request is a run of its own.
#[derive(Debug, Default)]
pub(crate) struct ScanRuns {
    /// UID of the ImageScan → its generation, and when its run began.
    begun: Mutex<BTreeMap<String, (i64, Instant)>>,
}

impl ScanRuns {
    /// Notes that a run of a generation begins.
    pub(crate) fn begin(&self, uid: &str, generation: i64) {
        self.begin_at(uid, generation, Instant::now());
    }

    /// Whether the run of a generation has begun: it may have resolved its tag already.
    pub(crate) fn has_begun(&self, uid: &str, generation: i64) -> bool {
        self.begun.lock().get(uid).is_some_and(|(known, _)| *known >= generation)
    }

    /// Whether the run of a generation began so recently that a new workload may use its result.
    pub(crate) fn is_recent(&self, uid: &str, generation: i64) -> bool {
        self.is_recent_at(uid, generation, Instant::now())
    }

    fn begin_at(&self, uid: &str, generation: i64, now: Instant) {
        let mut begun = self.begun.lock();
        begun.retain(|_, (_, since)| now.saturating_duration_since(*since) < KNOWN);
        begun.insert(uid.to_owned(), (generation, now));
    }

    fn is_recent_at(&self, uid: &str, generation: i64, now: Instant) -> bool {
        let known = self.begun.lock().get(uid).copied();
        known.is_some_and(|(begun, since)| begun == generation && now.saturating_duration_since(since) < RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_recent_for_a_minute() {
        let runs = ScanRuns::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        runs.begin_at("a", 2, at(0));
        let check = |uid: &str, generation: i64, seconds: u64, begun: bool, recent: bool| {
            assert_eq!(runs.has_begun(uid, generation), begun, "{uid} {generation}");
            assert_eq!(runs.is_recent_at(uid, generation, at(seconds)), recent, "{uid} {generation} {seconds}");
        };
        check("a", 2, 0, true, true);
        check("a", 2, 59, true, true);
        check("a", 2, 60, true, false);
        // Another request was made since: its run has not begun. An earlier one is not the newest.
        check("a", 3, 0, false, false);
        check("a", 1, 0, true, false);
        check("b", 2, 0, false, false);
        // A retry of the same generation resolves the tag again.
        runs.begin_at("a", 2, at(90));
        check("a", 2, 100, true, true);
        runs.begin_at("b", 1, at(4000));
        check("a", 2, 100, false, false);
    }
}
