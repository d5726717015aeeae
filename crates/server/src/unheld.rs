//! Namespaces in audit mode, where Pods start without a decision, to be looked at for images without a scan.
//!
//! ```text
//! review → name of a namespace → after a moment, and once more later → the Pods that exist → ImageScans
//! ```
//!
//! Whoever reaches the webhooks can send reviews: one is believed in nothing but that it is worth a look.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// From a review to the first look: the Pods that a controller creates at once are looked at at once.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// To the second look: other webhooks may take 30 s for a Pod that this one let pass.
const SECOND_LOOK: Duration = Duration::from_secs(35);
/// Names that the watch of namespaces has not delivered, at most: a new namespace is milliseconds ahead of it.
const MAX_UNKNOWN: usize = 100;
/// Characters of a namespace's name (RFC 1123).
const MAX_NAME: usize = 63;

/// Namespaces to be looked at; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnheldNamespaces {
    looks: Arc<Mutex<Looks>>,
    added: Arc<Notify>,
}

impl UnheldNamespaces {
    /// Notes that something starts in a namespace; `known` says whether there is one of this name.
    pub(crate) fn add(&self, namespace: &str, known: bool) {
        self.looks.lock().add(namespace, known, Instant::now());
        self.added.notify_one();
    }

    /// Notes that a namespace is to be looked at now: another process has waited already.
    pub(crate) fn add_due(&self, namespace: &str, known: bool) {
        self.looks.lock().add_due(namespace, known, Instant::now());
        self.added.notify_one();
    }

    /// Waits for namespaces whose look is due.
    pub(crate) async fn due(&self) -> Vec<String> {
        loop {
            let due = self.looks.lock().take(Instant::now());
            if !due.is_empty() {
                return due;
            }
            let next = self.looks.lock().next();
            let added = self.added.notified();
            match next {
                None => added.await,
                // Whichever is first.
                Some(next) => drop(tokio::time::timeout_at(next.into(), added).await),
            }
        }
    }
}

/// When each namespace is looked at.
#[derive(Debug, Default)]
struct Looks(BTreeMap<String, Look>);

#[derive(Debug)]
struct Look {
    first: Option<Instant>,
    second: Instant,
}

impl Looks {
    fn add(&mut self, namespace: &str, known: bool, now: Instant) {
        if !self.has_room(namespace, known) {
            return;
        }
        let look = self.0.entry(namespace.to_owned()).or_insert(Look { first: None, second: now });
        look.first.get_or_insert(now + FIRST_LOOK);
        look.second = now + SECOND_LOOK;
    }

    /// The process that saw the review tells again when the second look is due.
    fn add_due(&mut self, namespace: &str, known: bool, now: Instant) {
        if !self.has_room(namespace, known) {
            return;
        }
        self.0.entry(namespace.to_owned()).or_insert(Look { first: None, second: now }).first = Some(now);
    }

    /// Whether a name may be noted: names of strangers are few.
    fn has_room(&self, namespace: &str, known: bool) -> bool {
        let is_name = !namespace.is_empty() && namespace.len() <= MAX_NAME;
        is_name && (known || self.0.contains_key(namespace) || self.0.len() < MAX_UNKNOWN)
    }

    fn take(&mut self, now: Instant) -> Vec<String> {
        let is_due = |look: &Look| look.first.unwrap_or(look.second) <= now;
        let due: Vec<String> = self.0.iter().filter(|(_, look)| is_due(look)).map(|(name, _)| name.clone()).collect();
        for look in self.0.values_mut().filter(|look| is_due(look)) {
            look.first = None;
        }
        self.0.retain(|_, look| look.first.is_some() || look.second > now);
        due
    }

    fn next(&self) -> Option<Instant> {
        self.0.values().map(|look| look.first.unwrap_or(look.second)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_looked_at_twice() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        // (seconds of reviews in namespace a, seconds of a look, whether a is looked at)
        let check = |reviews: &[u64], looks: &[(u64, bool)]| {
            let mut all = Looks::default();
            let mut reviews = reviews.iter().copied().peekable();
            for (second, expected) in looks {
                while let Some(review) = reviews.next_if(|review| review <= second) {
                    all.add("a", true, at(review));
                }
                assert_eq!(!all.take(at(*second)).is_empty(), *expected, "{second}");
            }
            assert_eq!(all.next(), None, "nothing remains");
        };
        check(&[], &[(0, false)]);
        check(&[0], &[(1, false), (2, true), (3, false), (34, false), (35, true), (36, false)]);
        // However many reviews: one look in two seconds.
        check(&[0, 0, 1, 2], &[(1, false), (2, true), (3, false), (36, false), (37, true)]);
        check(&[0, 1, 3], &[(2, true), (4, false), (5, true), (37, false), (38, true)]);
        // A late look is one look.
        check(&[0], &[(100, true)]);
    }

    #[test]
    fn what_another_process_tells_is_looked_at_once_and_now() {
        let start = Instant::now();
        let mut looks = Looks::default();
        looks.add_due("a", true, start);
        assert_eq!((looks.take(start), looks.take(start).len(), looks.next()), (vec!["a".to_owned()], 0, None));
        // What this process saw itself keeps its second look.
        looks.add("a", true, start);
        looks.add_due("a", true, start);
        assert_eq!(looks.take(start).len(), 1);
        assert_eq!(looks.take(start + FIRST_LOOK).len(), 0);
        assert_eq!(looks.take(start + SECOND_LOOK).len(), 1);
    }

    #[test]
    fn names_of_strangers_take_no_memory() {
        let now = Instant::now();
        let mut looks = Looks::default();
        (0..MAX_UNKNOWN * 2).for_each(|i| looks.add(&format!("forged-{i}"), false, now));
        assert_eq!(looks.0.len(), MAX_UNKNOWN);
        looks.add("known", true, now);
        looks.add(&"x".repeat(MAX_NAME + 1), true, now);
        looks.add("", true, now);
        assert_eq!(looks.0.len(), MAX_UNKNOWN + 1);
        assert_eq!(looks.take(now + FIRST_LOOK).len(), MAX_UNKNOWN + 1);
        looks.take(now + SECOND_LOOK);
        assert_eq!(looks.0.len(), 0);
        // The same for those that another process tells.
        (0..MAX_UNKNOWN * 2).for_each(|i| looks.add_due(&format!("forged-{i}"), false, now));
        looks.add_due(&"x".repeat(MAX_NAME + 1), true, now);
        looks.add_due("", true, now);
        assert_eq!(looks.0.len(), MAX_UNKNOWN);
        looks.add_due("known", true, now);
        assert_eq!(looks.0.len(), MAX_UNKNOWN + 1);
    }
}
