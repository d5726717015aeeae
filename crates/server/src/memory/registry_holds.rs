//! Registries that accept no more requests for a while (429): nobody of those whom it concerns asks them meanwhile. A registry is
//! held for itself, never others.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Pause where the registry asks for none, doubled each time that it refuses again after one.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// Doublings at most: 32 minutes.
const MAX_DOUBLINGS: u32 = 6;
/// Longest pause that a registry is believed: limits of public ones are per six hours at most.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Holds that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Who shares a registry's limit. Registries count requests without a login by address, which all namespaces share, and those with
/// one by account: a namespace without a login must not hold those that have one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegistryUser {
    /// `host[:port]` of the registry.
    pub(crate) registry: String,
    /// The namespace, if it has logins for the image.
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct RegistryHold {
    until: Instant,
    /// Pauses in a row.
    times: u32,
}

/// The registries that are held. A restart forgets them, which costs each one request.
#[derive(Debug, Default)]
pub(crate) struct RegistryHolds {
    known: Mutex<BTreeMap<RegistryUser, RegistryHold>>,
}

impl RegistryHolds {
    /// How long the registry is not asked.
    pub(crate) fn pause(&self, user: &RegistryUser) -> Option<Duration> {
        self.pause_at(user, Instant::now())
    }

    /// Notes that the registry accepts no more requests, and what it asks for; returns how long it is not asked.
    pub(crate) fn note(&self, user: &RegistryUser, requested: Option<Duration>) -> Duration {
        let now = Instant::now();
        self.note_at(user, requested, now).saturating_duration_since(now)
    }

    /// Notes that the registry accepted requests.
    pub(crate) fn forget(&self, user: &RegistryUser) {
        self.known.lock().remove(user);
    }

    fn pause_at(&self, user: &RegistryUser, now: Instant) -> Option<Duration> {
        let until = self.known.lock().get(user)?.until;
        Some(until.saturating_duration_since(now)).filter(|pause| !pause.is_zero())
    }

    /// The end of the hold.
    fn note_at(&self, user: &RegistryUser, requested: Option<Duration>, now: Instant) -> Instant {
        let mut known = self.known.lock();
        // How often it refused in a row counts until it had time for the longest pause.
        known.retain(|_, hold| now.saturating_duration_since(hold.until) < LONGEST);
        let before = known.get(user).copied();
        let times = match before {
            // Scans that ran at the same time are one refusal.
            Some(hold) if now < hold.until => hold.times,
            Some(hold) => hold.times.saturating_add(1),
            None => 0,
        };
        let pause = requested.map_or(FIRST_PAUSE * 2_u32.pow(times.min(MAX_DOUBLINGS)), |asked| asked.min(LONGEST));
        let until = before.map_or(now + pause, |hold| hold.until.max(now + pause));
        if known.len() >= MAX_REMEMBERED
            && let Some(first) = known.iter().min_by_key(|(_, hold)| hold.until).map(|(user, _)| user.clone())
        {
            known.remove(&first);
        }
        known.insert(user.clone(), RegistryHold { until, times });
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(registry: &str, namespace: Option<&str>) -> RegistryUser {
        RegistryUser { registry: registry.to_owned(), namespace: namespace.map(str::to_owned) }
    }

    #[test]
    fn a_registry_is_held_for_those_who_share_its_limit() {
        let (holds, now) = (RegistryHolds::default(), Instant::now());
        holds.note_at(&user("a.example", None), Some(Duration::from_secs(60)), now);
        holds.note_at(&user("b.example", Some("team")), None, now);
        let check = |registry: &str, namespace: Option<&str>, expected: Option<u64>| {
            let found = holds.pause_at(&user(registry, namespace), now);
            assert_eq!(found, expected.map(Duration::from_secs), "{registry} {namespace:?}");
        };
        check("a.example", None, Some(60));
        // Who logs in has limits of their own, and other registries have theirs.
        check("a.example", Some("team"), None);
        check("b.example", Some("team"), Some(30));
        check("b.example", Some("other"), None);
        check("b.example", None, None);
        check("a.example:5000", None, None);
    }

    #[test]
    fn pauses_are_what_the_registry_asks_for_or_grow() {
        // (seconds, requested) of each refusal, and the pause that is left at the last one.
        let check = |refusals: &[(u64, Option<u64>)], expected: u64| {
            let (holds, start) = (RegistryHolds::default(), Instant::now());
            let user = user("a.example", None);
            let mut last = start;
            for (seconds, requested) in refusals {
                last = start + Duration::from_secs(*seconds);
                holds.note_at(&user, requested.map(Duration::from_secs), last);
            }
            assert_eq!(holds.pause_at(&user, last), Some(Duration::from_secs(expected)), "{refusals:?}");
        };
        check(&[(0, None)], 30);
        check(&[(0, Some(3600))], 3600);
        check(&[(0, Some(u64::from(u32::MAX)))], 6 * 3600);
        // At the same time: one refusal, of which the longest pause counts.
        check(&[(0, None), (1, None)], 30);
        check(&[(0, Some(3600)), (1, None)], 3599);
        check(&[(0, Some(10)), (1, Some(60))], 60);
        // Again after a pause.
        check(&[(0, None), (30, None)], 60);
        check(&[(0, None), (30, None), (90, None)], 120);
        let often: Vec<(u64, Option<u64>)> = (0..20).map(|number| (number * 3600, None)).collect();
        check(&often, 32 * 60);
        // Long after.
        check(&[(0, None), (30 + 6 * 3600, None)], 30);
    }

    #[test]
    fn who_is_answered_is_not_held() {
        let (holds, user) = (RegistryHolds::default(), user("a.example", None));
        assert!(holds.note(&user, Some(Duration::from_secs(60))) <= Duration::from_secs(60));
        assert!(holds.pause(&user).is_some());
        holds.forget(&user);
        assert!(holds.pause(&user).is_none());
    }
}
