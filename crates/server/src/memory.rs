//! What the server remembers between two reconciliations. All of it only saves work: a restart loses it, and nothing else.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidewaiter_crd::allowlist::ImageAllowlistSpec;

/// How long the API server may take to enforce a new ImageAllowlist. Its informers need milliseconds, on a busy API server
/// some seconds; a Pod that is gated needlessly starts a moment later, one that is refused after its controller's back-off.
const RECENT_WINDOW: Duration = Duration::from_secs(5);

/// Namespaces in which something was approved so recently that the API server may not know the new ImageAllowlist.
#[derive(Debug, Default)]
pub(crate) struct RecentApprovals {
    since: Mutex<BTreeMap<String, Instant>>,
}

impl RecentApprovals {
    /// Notes an approval in a namespace.
    pub(crate) fn note(&self, namespace: &str) {
        self.note_at(namespace, Instant::now());
    }

    /// Whether something was approved in a namespace just now.
    pub(crate) fn is_recent(&self, namespace: &str) -> bool {
        self.is_recent_at(namespace, Instant::now())
    }

    fn note_at(&self, namespace: &str, now: Instant) {
        let mut since = self.since.lock();
        since.retain(|_, at| now.duration_since(*at) < RECENT_WINDOW);
        since.insert(namespace.to_owned(), now);
    }

    fn is_recent_at(&self, namespace: &str, now: Instant) -> bool {
        self.since.lock().get(namespace).is_some_and(|at| now.duration_since(*at) < RECENT_WINDOW)
    }
}

/// The ImageAllowlist that was last written in each namespace.
#[derive(Debug, Default)]
pub(crate) struct WrittenAllowlists {
    /// Locked from reading the records to writing the list: an older reading must not overwrite a newer one.
    pub(crate) turn: tokio::sync::Mutex<()>,
    written: Mutex<BTreeMap<String, ImageAllowlistSpec>>,
}

impl WrittenAllowlists {
    /// Whether this list was written last.
    pub(crate) fn is_written(&self, namespace: &str, spec: &ImageAllowlistSpec) -> bool {
        self.written.lock().get(namespace) == Some(spec)
    }

    /// Notes a written list.
    pub(crate) fn note(&self, namespace: &str, spec: ImageAllowlistSpec) {
        self.written.lock().insert(namespace.to_owned(), spec);
    }

    /// Forgets all lists, so that deleted ones are written again.
    pub(crate) fn clear(&self) {
        self.written.lock().clear();
    }
}

/// Pause after the first scan whose result was lost, doubled by each further one: as long as after a failed scan.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// Doublings at most: 32 minutes.
const MAX_DOUBLINGS: u32 = 6;

/// ImageScans whose result was lost after the scan: the status could not be written, or the report cannot be read back. They
/// are scanned again, and not without end: what the object says has no memory of it.
#[derive(Debug, Default)]
pub(crate) struct LostResults {
    /// ImageScan → (how often in a row, when it may be scanned again).
    known: Mutex<BTreeMap<String, (u32, Instant)>>,
}

impl LostResults {
    /// Notes that a result was lost; returns the pause before the next scan.
    pub(crate) fn note(&self, scan: &str) -> Duration {
        self.note_at(scan, Instant::now())
    }

    /// How long a scan must still wait.
    pub(crate) fn pause(&self, scan: &str) -> Option<Duration> {
        self.pause_at(scan, Instant::now())
    }

    /// Notes that the result of a scan is kept.
    pub(crate) fn forget(&self, scan: &str) {
        self.known.lock().remove(scan);
    }

    fn note_at(&self, scan: &str, now: Instant) -> Duration {
        let mut known = self.known.lock();
        // Those that nobody asked for any more, also of deleted objects.
        known.retain(|_, (_, until)| now.saturating_duration_since(*until) < FIRST_PAUSE * 2_u32.pow(MAX_DOUBLINGS));
        let (times, until) = known.entry(scan.to_owned()).or_insert((0, now));
        let pause = FIRST_PAUSE * 2_u32.pow((*times).min(MAX_DOUBLINGS));
        (*times, *until) = (times.saturating_add(1), now + pause);
        pause
    }

    fn pause_at(&self, scan: &str, now: Instant) -> Option<Duration> {
        let until = self.known.lock().get(scan).map(|(_, until)| *until)?;
        Some(until.saturating_duration_since(now)).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_is_recent_for_a_while() {
        let approvals = RecentApprovals::default();
        let start = Instant::now();
        approvals.note_at("a", start);
        let check = |namespace: &str, milliseconds: u64, expected: bool| {
            let at = start + Duration::from_millis(milliseconds);
            assert_eq!(approvals.is_recent_at(namespace, at), expected, "{namespace} {milliseconds}");
        };
        check("a", 0, true);
        check("a", 4999, true);
        check("a", 5000, false);
        check("b", 0, false);
        // What is not recent any more is forgotten.
        approvals.note_at("b", start + Duration::from_secs(6));
        assert_eq!(approvals.since.lock().keys().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_lost_result_is_scanned_again_after_longer_and_longer_pauses() {
        let lost = LostResults::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let check = |seconds: u64, expected: Option<u64>| {
            assert_eq!(lost.pause_at("a", at(seconds)), expected.map(Duration::from_secs), "{seconds}");
        };
        check(0, None);
        assert_eq!(lost.note_at("a", at(0)).as_secs(), 30);
        check(0, Some(30));
        check(29, Some(1));
        check(30, None);
        assert_eq!(lost.note_at("a", at(31)).as_secs(), 60);
        check(31, Some(60));
        lost.forget("a");
        check(31, None);
        for _ in 0..9 {
            lost.note_at("a", at(40));
        }
        check(40, Some(32 * 60));
        // Others are not concerned, and what is long over is forgotten.
        assert_eq!(lost.note_at("b", at(40)).as_secs(), 30);
        lost.note_at("b", at(3 * 3600));
        assert_eq!(lost.known.lock().keys().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_list_is_written_once() {
        let lists = WrittenAllowlists::default();
        let spec = |why: &str| ImageAllowlistSpec {
            digests: [("d".to_owned(), why.to_owned())].into(),
            ..ImageAllowlistSpec::default()
        };
        let check = |namespace: &str, why: &str, expected: bool| {
            assert_eq!(lists.is_written(namespace, &spec(why)), expected, "{namespace} {why}");
        };
        check("a", "approved", false);
        lists.note("a", spec("approved"));
        check("a", "approved", true);
        check("a", "retained", false);
        check("b", "approved", false);
        lists.clear();
        check("a", "approved", false);
    }
}
