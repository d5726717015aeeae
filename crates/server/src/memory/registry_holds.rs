//! Registries that accept no more requests for a while (429): nobody of those whom it concerns asks them meanwhile. A registry is
//! held for itself, never others.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Pause where the registry asks for none, doubled each time that it refuses again after one.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// Doublings at most: 32 minutes.
const MAX_DOUBLINGS: u32 = 6;
/// Longest pause that a registry is believed: limits of public ones are per six hours at most.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Holds that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Names by which images of Docker Hub may be written.
const HUB: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// The registry as limits count it, of its name in an image: another spelling of the same host is no other registry.
pub(crate) fn limited_registry(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(":443").unwrap_or(&name).trim_end_matches('.');
    let name = if HUB.contains(&name) { "docker.io" } else { name };
    name.to_owned()
}

/// Who shares a registry's limit. Registries count requests without a login by address, which all namespaces share, and those with
/// one by account: a namespace without a login must not hold those that have one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegistryUser {
    /// `host[:port]` of the registry, as [`limited_registry`] writes it.
    pub(crate) registry: String,
    /// The namespace, if it has logins for the image.
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct RegistryHold {
    until: Instant,
    /// When the registry refused last.
    noted: Instant,
    /// Pauses in a row.
    times: u32,
}

/// The registries that are held. A restart forgets them, which costs each one request.
#[derive(Debug, Default)]
pub(crate) struct RegistryHolds {
    known: Mutex<BTreeMap<RegistryUser, RegistryHold>>,
    /// Of whom the registry takes no login although they have one: it lets them in without asking for it, and counts them as everybody.
    without_login: Mutex<BTreeSet<RegistryUser>>,
}

impl RegistryUser {
    /// Whose limit a request counts for: without an accepted login that of everybody.
    pub(crate) fn limited(&self, logged_in: bool) -> RegistryUser {
        if logged_in { self.clone() } else { self.anonymous() }
    }

    /// Those who ask the same registry without a login.
    fn anonymous(&self) -> RegistryUser {
        RegistryUser { namespace: None, ..self.clone() }
    }
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

    /// Notes that the registry accepted requests of a scan that began then. Of what it refused meanwhile that one knows nothing.
    pub(crate) fn forget(&self, user: &RegistryUser, began: Instant) {
        self.forget_at(user, began, Instant::now());
    }

    fn forget_at(&self, user: &RegistryUser, began: Instant, now: Instant) {
        let mut known = self.known.lock();
        if known.get(user).is_some_and(|hold| hold.noted < began || hold.until <= now) {
            known.remove(user);
        }
    }

    /// Notes whether the registry took the login of somebody who has one.
    pub(crate) fn note_login(&self, user: &RegistryUser, logged_in: bool) {
        if user.namespace.is_none() {
            return;
        }
        let mut without = self.without_login.lock();
        if logged_in {
            without.remove(user);
        } else if without.len() < MAX_REMEMBERED {
            without.insert(user.clone());
        }
    }

    fn pause_at(&self, user: &RegistryUser, now: Instant) -> Option<Duration> {
        let own = self.own_pause_at(user, now);
        let as_everybody = self.without_login.lock().contains(user);
        own.max(as_everybody.then(|| self.own_pause_at(&user.anonymous(), now)).flatten())
    }

    fn own_pause_at(&self, user: &RegistryUser, now: Instant) -> Option<Duration> {
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
        known.insert(user.clone(), RegistryHold { until, noted: now, times });
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
        // Seconds of a refusal, which asks for a minute, of the beginning of a scan, and of its end.
        let check = |refused: u64, began: u64, ended: u64, expected: bool| {
            let (holds, start, user) = (RegistryHolds::default(), Instant::now(), user("a.example", None));
            let at = |seconds: u64| start + Duration::from_secs(seconds);
            holds.note_at(&user, Some(Duration::from_secs(60)), at(refused));
            holds.forget_at(&user, at(began), at(ended));
            assert_eq!(holds.known.lock().contains_key(&user), expected, "{refused} {began} {ended}");
        };
        check(0, 1, 2, false);
        // It was let in before the registry refused others.
        check(10, 1, 20, true);
        check(10, 10, 20, true);
        // The pause is over.
        check(10, 1, 70, false);
        let (holds, user) = (RegistryHolds::default(), user("a.example", None));
        assert!(holds.note(&user, Some(Duration::from_secs(60))) <= Duration::from_secs(60));
        assert!(holds.pause(&user).is_some());
        holds.forget(&user, Instant::now() + Duration::from_secs(1));
        assert!(holds.pause(&user).is_none());
    }

    #[test]
    fn a_login_that_is_not_asked_for_is_none() {
        let (holds, now) = (RegistryHolds::default(), Instant::now());
        let team = user("a.example", Some("team"));
        let check = |expected: Option<u64>| assert_eq!(holds.pause_at(&team, now), expected.map(Duration::from_secs));
        holds.note_at(&team.limited(false), Some(Duration::from_secs(60)), now);
        assert_eq!(holds.pause_at(&user("a.example", None), now), Some(Duration::from_secs(60)));
        // Unknown: it is asked once.
        check(None);
        holds.note_login(&team, false);
        check(Some(60));
        // Of its own and everybody's, the longer one.
        holds.note_at(&team.limited(true), Some(Duration::from_secs(90)), now);
        check(Some(90));
        holds.note_login(&team, true);
        check(Some(90));
        holds.forget_at(&team, now + Duration::from_secs(1), now + Duration::from_secs(2));
        check(None);
    }

    #[test]
    fn another_spelling_is_no_other_registry() {
        let check = |name: &str, expected: &str| assert_eq!(limited_registry(name), expected, "{name}");
        check("r.example", "r.example");
        check("R.Example", "r.example");
        check("r.example:443", "r.example");
        check("r.example.:443", "r.example");
        check("r.example:5000", "r.example:5000");
        check("r.example:1443", "r.example:1443");
        check("[::1]:443", "[::1]");
        for name in ["docker.io", "Docker.io", "index.docker.io", "registry-1.docker.io:443", "registry.hub.docker.com"]
        {
            check(name, "docker.io");
        }
        check("other.docker.io", "other.docker.io");
        check("", "");
    }
}
