//! What the server remembers between two reconciliations. All of it only saves work: a restart loses it, and nothing else.

mod registry_holds;
mod scan_runs;

pub(crate) use registry_holds::{RegistryHolds, RegistryUser, limited_registry};
pub(crate) use scan_runs::ScanRuns;

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidewaiter_crd::allowlist::ImageAllowlistSpec;

/// How long the API server may take to enforce a new ImageAllowlist. Its informers need milliseconds, on a busy API server
/// some seconds; a Pod that is gated needlessly starts a moment later, one that is refused after its controller's back-off.
const ENFORCED_AFTER: Duration = Duration::from_secs(5);

/// How long a new image that may only debug waits for its place in the list.
const DEBUGGERS_AFTER: Duration = Duration::from_secs(1);

/// The ImageAllowlist that was last written in each namespace.
#[derive(Debug, Default)]
pub(crate) struct WrittenAllowlists {
    /// Locked from reading the records to writing the list: an older reading must not overwrite a newer one.
    pub(crate) turn: tokio::sync::Mutex<()>,
    written: Mutex<BTreeMap<String, WrittenAllowlist>>,
}

#[derive(Debug, Default)]
struct WrittenAllowlist {
    spec: ImageAllowlistSpec,
    /// Since when only what may debug differs from what is wanted.
    debuggers_since: Option<Instant>,
    /// Whether it must be written again although nothing changed.
    again: bool,
    /// Digest → since when it is listed; digests that are not here are listed for long.
    new: BTreeMap<String, Instant>,
}

impl WrittenAllowlist {
    fn enforces(&self, digest: &str, now: Instant) -> bool {
        let old = self.new.get(digest).is_none_or(|since| now.duration_since(*since) >= ENFORCED_AFTER);
        old && self.spec.digests.contains_key(digest)
    }
}

impl WrittenAllowlists {
    /// Whether this list was written last.
    pub(crate) fn is_written(&self, namespace: &str, spec: &ImageAllowlistSpec) -> bool {
        self.written.lock().get(namespace).is_some_and(|written| !written.again && written.spec == *spec)
    }

    /// How long the list may wait, because it differs in nothing but what may debug.
    pub(crate) fn pause(&self, namespace: &str, spec: &ImageAllowlistSpec) -> Option<Duration> {
        self.pause_at(namespace, spec, Instant::now())
    }

    fn pause_at(&self, namespace: &str, spec: &ImageAllowlistSpec, now: Instant) -> Option<Duration> {
        let mut all = self.written.lock();
        let written = all.get_mut(namespace)?;
        let same = written.spec.digests == spec.digests && written.spec.images == spec.images;
        if written.again || !same || written.spec.scanned == spec.scanned {
            return None;
        }
        let since = *written.debuggers_since.get_or_insert(now);
        Some(DEBUGGERS_AFTER.saturating_sub(now.saturating_duration_since(since))).filter(|pause| !pause.is_zero())
    }

    /// Whether it is known which list a namespace has.
    pub(crate) fn is_known(&self, namespace: &str) -> bool {
        self.written.lock().contains_key(namespace)
    }

    /// Notes the list that an earlier process wrote.
    pub(crate) fn found(&self, namespace: &str, spec: &ImageAllowlistSpec) {
        let found = WrittenAllowlist { spec: spec.clone(), again: true, ..WrittenAllowlist::default() };
        self.written.lock().insert(namespace.to_owned(), found);
    }

    /// Forgets the list of a namespace.
    pub(crate) fn forget(&self, namespace: &str) {
        self.written.lock().remove(namespace);
    }

    /// Forgets all lists.
    pub(crate) fn forget_all(&self) {
        self.written.lock().clear();
    }

    /// Notes a written list.
    pub(crate) fn note(&self, namespace: &str, spec: ImageAllowlistSpec) {
        self.note_at(namespace, spec, Instant::now());
    }

    /// Writes all lists again, changed or not.
    pub(crate) fn write_again(&self) {
        self.written.lock().values_mut().for_each(|written| written.again = true);
    }

    /// Whether the API server's own list allows all of these digests by now. A Pod that it does not allow starts gated, and is
    /// released by a patch, which the list does not concern.
    pub(crate) fn enforces<'a>(&self, namespace: &str, digests: impl IntoIterator<Item = Option<&'a str>>) -> bool {
        self.enforces_at(namespace, digests, Instant::now())
    }

    fn note_at(&self, namespace: &str, spec: ImageAllowlistSpec, now: Instant) {
        let mut all = self.written.lock();
        let old = all.remove(namespace).unwrap_or_default();
        let is_new = |digest: &String| !old.enforces(digest, now);
        let since = |digest: &String| (digest.clone(), old.new.get(digest).copied().unwrap_or(now));
        let new = spec.digests.keys().filter(|digest| is_new(digest)).map(since).collect();
        all.insert(namespace.to_owned(), WrittenAllowlist { spec, again: false, debuggers_since: None, new });
    }

    fn enforces_at<'a>(
        &self,
        namespace: &str,
        digests: impl IntoIterator<Item = Option<&'a str>>,
        now: Instant,
    ) -> bool {
        let all = self.written.lock();
        let Some(written) = all.get(namespace) else { return false };
        digests.into_iter().all(|digest| digest.is_some_and(|digest| written.enforces(digest, now)))
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

    fn spec(digests: &[&str]) -> ImageAllowlistSpec {
        let digests = digests.iter().map(|digest| ((*digest).to_owned(), "approved".to_owned())).collect();
        ImageAllowlistSpec { digests, ..ImageAllowlistSpec::default() }
    }

    #[test]
    fn a_list_is_enforced_a_while_after_it_was_written() {
        let lists = WrittenAllowlists::default();
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let check = |namespace: &str, digests: &[&str], milliseconds: u64, expected: bool| {
            let wanted = digests.iter().map(|digest| (*digest != "tag").then_some(*digest));
            let found = lists.enforces_at(namespace, wanted, at(milliseconds));
            assert_eq!(found, expected, "{namespace} {digests:?} {milliseconds}");
        };
        check("a", &["x"], 0, false);
        // An earlier process wrote one.
        lists.found("a", &spec(&["x"]));
        check("a", &["x"], 0, true);
        lists.note_at("a", spec(&["x", "y"]), at(0));
        check("a", &["x"], 0, true);
        check("a", &["x", "y"], 4999, false);
        check("a", &["x", "y"], 5000, true);
        check("a", &["tag"], 5000, false);
        check("b", &["x"], 5000, false);
        // Written again, a digest is as old as before; one that was left out is not enforced, and is new when it returns.
        lists.note_at("a", spec(&["y"]), at(2000));
        check("a", &["y"], 4999, false);
        check("a", &["y"], 5000, true);
        check("a", &["x"], 9000, false);
        lists.note_at("a", spec(&["x", "y"]), at(9000));
        check("a", &["x"], 9001, false);
        check("a", &["y"], 9001, true);
        check("a", &["x"], 14000, true);
    }

    #[test]
    fn what_may_only_debug_waits_for_a_second() {
        let lists = WrittenAllowlists::default();
        let start = Instant::now();
        let check = |digest: &str, debugger: &str, milliseconds: u64, expected: Option<u64>| {
            let mut wanted = spec(&[digest]);
            wanted.scanned = BTreeMap::from([(debugger.to_owned(), "i".to_owned())]);
            let pause = lists.pause_at("a", &wanted, start + Duration::from_millis(milliseconds));
            assert_eq!(pause, expected.map(Duration::from_millis), "{digest} {debugger} {milliseconds}");
        };
        // Nothing is known of the list.
        check("x", "d", 0, None);
        lists.note_at("a", spec(&["x"]), start);
        check("x", "d", 0, Some(1000));
        check("x", "d", 400, Some(600));
        check("y", "d", 400, None);
        check("x", "d", 1000, None);
        // Written since: the next one waits again.
        lists.note_at("a", spec(&["x"]), start);
        check("x", "e", 2000, Some(1000));
        lists.write_again();
        check("x", "e", 2000, None);
    }

    #[test]
    fn a_list_is_written_once() {
        let lists = WrittenAllowlists::default();
        let check = |namespace: &str, digest: &str, expected: bool| {
            assert_eq!(lists.is_written(namespace, &spec(&[digest])), expected, "{namespace} {digest}");
        };
        check("a", "x", false);
        lists.found("a", &spec(&["x"]));
        check("a", "x", false);
        lists.note("a", spec(&["x"]));
        check("a", "x", true);
        check("a", "y", false);
        check("b", "x", false);
        lists.write_again();
        check("a", "x", false);
        assert!(lists.is_known("a") && !lists.is_known("b"));
    }
}
