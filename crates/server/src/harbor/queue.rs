//! The scans that were asked for, from the request until their report is forgotten. Pure: time is an argument, and who scans asks
//! what comes next.

use super::problem::AdapterProblem;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use tidewaiter_core::image::Digest;

/// Seconds after which a full queue may have room: a scan usually takes less.
const ROOM: u16 = 30;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    /// Scans that run at the same time.
    pub(crate) running: usize,
    /// Scans that wait.
    pub(crate) waiting: usize,
    /// Finished ones whose result can be asked for.
    pub(crate) kept: usize,
    /// How long it can.
    pub(crate) age: Duration,
}

/// What became of a scan: `T`, or why it has no result.
pub(crate) type ScanOutcome<T> = Result<T, AdapterProblem>;

/// How far a scan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QueuedScanState<T> {
    /// It waits, or runs.
    Unfinished,
    /// It is finished.
    Finished(ScanOutcome<T>),
}

/// The scans by their ids: `W` is what is to be done, `T` what came of it.
#[derive(Debug)]
pub(crate) struct ScanQueue<W, T> {
    limits: QueueLimits,
    waiting: VecDeque<(String, Digest, W)>,
    running: BTreeMap<String, Digest>,
    finished: BTreeMap<String, FinishedEntry<T>>,
    /// The ids of the finished ones, the oldest first.
    order: VecDeque<String>,
    is_closed: bool,
}

#[derive(Debug)]
struct FinishedEntry<T> {
    outcome: ScanOutcome<T>,
    at: Instant,
    was_read: bool,
}

impl<W, T: Clone> ScanQueue<W, T> {
    /// An empty queue.
    pub(crate) fn new(limits: QueueLimits) -> Self {
        ScanQueue {
            limits,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            finished: BTreeMap::new(),
            order: VecDeque::new(),
            is_closed: false,
        }
    }

    /// Takes a scan in.
    ///
    /// # Errors
    /// When too many wait, or the process is ending.
    pub(crate) fn accept(&mut self, id: String, digest: Digest, work: W) -> Result<(), AdapterProblem> {
        if self.is_closed {
            return Err(stopping());
        }
        if self.waiting.len() >= self.limits.waiting {
            let text = format!("{} scans wait, which is the limit; try again later", self.waiting.len());
            return Err(AdapterProblem::passing(text, ROOM));
        }
        self.waiting.push_back((id, digest, work));
        Ok(())
    }

    /// What is to be done next, if there is room. Of one digest one scan runs at a time: those after it find what the first one read,
    /// once the registry let them in, too.
    pub(crate) fn start(&mut self) -> Option<(String, W)> {
        if self.running.len() >= self.limits.running.max(1) {
            return None;
        }
        let is_free = |(_, digest, _): &(String, Digest, W)| !self.running.values().any(|running| running == digest);
        let place = self.waiting.iter().position(is_free)?;
        let (id, digest, work) = self.waiting.remove(place)?;
        self.running.insert(id.clone(), digest);
        Some((id, work))
    }

    /// Notes what came of a scan that was started.
    pub(crate) fn finish(&mut self, id: &str, outcome: ScanOutcome<T>, now: Instant) {
        self.running.remove(id);
        self.finished.insert(id.to_owned(), FinishedEntry { outcome, at: now, was_read: false });
        self.order.push_back(id.to_owned());
    }

    /// How far a scan is; `None` for one that is unknown, or forgotten.
    pub(crate) fn progress(&mut self, id: &str) -> Option<QueuedScanState<T>> {
        if let Some(entry) = self.finished.get_mut(id) {
            entry.was_read = true;
            return Some(QueuedScanState::Finished(entry.outcome.clone()));
        }
        let waits = || self.waiting.iter().any(|(waiting, _, _)| waiting == id);
        (self.running.contains_key(id) || waits()).then_some(QueuedScanState::Unfinished)
    }

    /// Forgets what is too old, and the oldest where there are too many; returns the results.
    pub(crate) fn forget(&mut self, now: Instant) -> Vec<T> {
        let mut forgotten = Vec::new();
        while let Some(oldest) = self.order.front() {
            let is_old = |entry: &FinishedEntry<T>| now.saturating_duration_since(entry.at) >= self.limits.age;
            if self.order.len() <= self.limits.kept && !self.finished.get(oldest).is_none_or(is_old) {
                break;
            }
            let entry = self.finished.remove(oldest);
            self.order.pop_front();
            forgotten.extend(entry.and_then(|entry| entry.outcome.ok()));
        }
        forgotten
    }

    /// Takes nothing in any more; what waits has failed.
    pub(crate) fn close(&mut self, now: Instant) {
        self.is_closed = true;
        for (id, _, _) in std::mem::take(&mut self.waiting) {
            self.finish(&id, Err(stopping()), now);
        }
    }

    /// Whether nothing is lost when the process ends: no scan runs, and each result was asked for.
    pub(crate) fn is_done(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty() && self.finished.values().all(|entry| entry.was_read)
    }
}

fn stopping() -> AdapterProblem {
    AdapterProblem::passing("the scanner is stopping; scan the artifact again when it is back", ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QueueLimits = QueueLimits { running: 2, waiting: 3, kept: 2, age: Duration::from_secs(60) };

    fn digest(number: u8) -> Digest {
        Digest::from_sha256([number; 32])
    }

    /// A queue with scans `0`, `1`, … of these digests; the work is the id.
    fn queue(digests: &[u8]) -> ScanQueue<usize, &'static str> {
        let mut queue = ScanQueue::new(LIMITS);
        for (i, number) in digests.iter().enumerate() {
            queue.accept(i.to_string(), digest(*number), i).unwrap();
        }
        queue
    }

    fn started(queue: &mut ScanQueue<usize, &'static str>) -> Vec<usize> {
        std::iter::from_fn(|| queue.start()).map(|(_, work)| work).collect()
    }

    #[test]
    fn who_is_next() {
        let check = |digests: &[u8], first: &[usize], then: &[usize]| {
            let mut queue = queue(digests);
            assert_eq!(started(&mut queue), first, "{digests:?}");
            // The first one makes room.
            queue.finish("0", Ok("done"), Instant::now());
            assert_eq!(started(&mut queue), then, "{digests:?}");
        };
        check(&[1, 2, 3], &[0, 1], &[2]);
        // One scan of a digest at a time; others pass it.
        check(&[1, 1, 2], &[0, 2], &[1]);
        check(&[1, 1, 1], &[0], &[1]);
        check(&[1], &[0], &[]);
    }

    #[test]
    fn a_full_queue_says_when_to_come_back() {
        let mut queue = queue(&[1, 1, 1]);
        let problem = queue.accept("3".into(), digest(1), 3).unwrap_err();
        assert_eq!((problem.status, problem.retry_after), (503, Some(ROOM)));
        assert_eq!(queue.progress("3"), None);
        started(&mut queue);
        queue.accept("3".into(), digest(1), 3).unwrap();
    }

    #[test]
    fn a_scan_is_known_from_its_request_until_its_result_is_old() {
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let mut queue = queue(&[1]);
        assert_eq!(queue.progress("0"), Some(QueuedScanState::Unfinished));
        started(&mut queue);
        assert_eq!(queue.progress("0"), Some(QueuedScanState::Unfinished));
        queue.finish("0", Ok("done"), began);
        assert_eq!(queue.forget(at(59)), Vec::<&str>::new());
        assert_eq!(queue.progress("0"), Some(QueuedScanState::Finished(Ok("done"))));
        assert_eq!(queue.forget(at(60)), ["done"]);
        assert_eq!(queue.progress("0"), None);
        assert_eq!(queue.progress("never"), None);
    }

    #[test]
    fn of_too_many_results_the_oldest_go() {
        let mut queue = queue(&[1, 2, 3]);
        let now = Instant::now();
        queue.finish("0", Ok("first"), now);
        queue.finish("1", Err(AdapterProblem::new(500, "failed")), now);
        assert_eq!(queue.forget(now), Vec::<&str>::new());
        queue.finish("2", Ok("third"), now);
        assert_eq!(queue.forget(now), ["first"]);
        assert!(queue.progress("1").is_some() && queue.progress("2").is_some());
    }

    #[test]
    fn a_closed_queue_ends_when_every_result_was_read() {
        let mut queue = queue(&[1, 1]);
        started(&mut queue);
        queue.close(Instant::now());
        assert_eq!(queue.accept("2".into(), digest(2), 2).unwrap_err().status, 503);
        let Some(QueuedScanState::Finished(Err(problem))) = queue.progress("1") else { panic!("it waited") };
        assert!(problem.message.contains("stopping"), "{problem:?}");
        assert!(!queue.is_done(), "the first one runs");
        queue.finish("0", Ok("done"), Instant::now());
        assert!(!queue.is_done(), "its result was not read");
        queue.progress("0");
        assert!(queue.is_done());
    }
}
