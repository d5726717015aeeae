//! The watches that fail, for readiness: from a failure until the watch has started again. A watch of what rarely changes says nothing
//! for days when it works.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What fails, and what to do about it; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct WatchProblems(Arc<Mutex<BTreeMap<String, String>>>);

impl WatchProblems {
    /// Notes that the watch of a kind, named by its plural, fails.
    pub(crate) fn note(&self, plural: &str, text: String) {
        self.0.lock().insert(plural.to_owned(), text);
    }

    /// Notes that it works.
    pub(crate) fn forget(&self, plural: &str) {
        self.0.lock().remove(plural);
    }

    /// All of them, one sentence each.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().values().cloned().collect()
    }
}
