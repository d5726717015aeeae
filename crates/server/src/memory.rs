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
