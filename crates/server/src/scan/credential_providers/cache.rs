//! Logins that a provider gave, for as long as it said: by image, by registry, or for all images, as kubelets keep them.

use super::plugin::{CacheKeyType, ProviderAnswer};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidewaiter_core::image::Reference;

/// How long a provider that failed is not asked again about that image. Not about its registry: who makes it fail by an image of
/// their own would take it from all others.
const FAILURE: Duration = Duration::from_secs(30);
/// Answers that are kept: those of more images are asked for again.
const MAX_ENTRIES: usize = 1000;
/// Longest time of an answer, whatever the provider says: clocks reach that far.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What an answer is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum LoginKey {
    Image(String),
    Registry(String),
    Global,
    /// A failure, which never stands in the way of an answer.
    Failed(String),
}

impl LoginKey {
    fn new(kind: CacheKeyType, image: &Reference) -> Self {
        match kind {
            CacheKeyType::Image => LoginKey::Image(image.name()),
            CacheKeyType::Registry => LoginKey::Registry(image.registry().to_owned()),
            CacheKeyType::Global => LoginKey::Global,
        }
    }
}

/// The logins of an answer by their keys, or why there are none.
pub(super) type Answered = Result<ProviderAnswer, String>;

/// The answers of one provider.
#[derive(Debug, Default)]
pub(super) struct LoginCache {
    known: BTreeMap<LoginKey, (Instant, Answered)>,
}

impl LoginCache {
    /// What is known for an image: of itself, of its registry, of all; else that the provider failed for it.
    pub(super) fn get(&self, image: &Reference, now: Instant) -> Option<Answered> {
        let kinds = [CacheKeyType::Image, CacheKeyType::Registry, CacheKeyType::Global];
        let keys = kinds.into_iter().map(|kind| LoginKey::new(kind, image)).chain([LoginKey::Failed(image.name())]);
        let found = keys.filter_map(|key| self.known.get(&key));
        found.filter(|(until, _)| now < *until).map(|(_, answered)| answered.clone()).next()
    }

    /// Notes an answer: for as long as it says, else for `default`.
    pub(super) fn note(&mut self, image: &Reference, answered: &Answered, default: Duration, now: Instant) {
        let (key, lasts) = match answered {
            Ok(answer) => (LoginKey::new(answer.kind, image), answer.cached_for.unwrap_or(default)),
            Err(_) => (LoginKey::Failed(image.name()), FAILURE),
        };
        self.known.retain(|_, (until, _)| now < *until);
        let Some(until) = now.checked_add(lasts.min(LONGEST)).filter(|until| *until > now) else { return };
        if self.known.len() >= MAX_ENTRIES
            && let Some(first) = self.least_useful()
        {
            self.known.remove(&first);
        }
        self.known.insert(key, (until, answered.clone()));
    }

    /// What makes room: failures before answers, what ends first before what lasts.
    fn least_useful(&self) -> Option<LoginKey> {
        let entries = self.known.iter();
        entries.min_by_key(|(_, (until, answered))| (answered.is_ok(), *until)).map(|(key, _)| key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: CacheKeyType, cached_for: Option<u64>) -> Answered {
        Ok(ProviderAnswer { kind, cached_for: cached_for.map(Duration::from_secs), logins: vec![] })
    }

    #[test]
    fn an_answer_is_for_what_it_says_and_as_long() {
        let check = |noted: Answered, image: &str, seconds: u64, expected: bool| {
            let (mut cache, start) = (LoginCache::default(), Instant::now());
            cache.note(&"r.example/app:1".parse().unwrap(), &noted, Duration::from_secs(60), start);
            let found = cache.get(&image.parse().unwrap(), start + Duration::from_secs(seconds));
            assert_eq!(found.is_some(), expected, "{noted:?} {image} {seconds}");
        };
        use CacheKeyType::{Global, Image, Registry};
        // Of an image its tag does not count.
        check(answer(Image, None), "r.example/app:2", 59, true);
        check(answer(Image, None), "r.example/app:2", 60, false);
        check(answer(Image, None), "r.example/other", 0, false);
        check(answer(Registry, Some(5)), "r.example/other", 4, true);
        check(answer(Registry, Some(5)), "r.example/other", 5, false);
        check(answer(Registry, None), "r.example:5000/app", 0, false);
        check(answer(Global, None), "other.example/x", 59, true);
        check(answer(Image, Some(0)), "r.example/app", 0, false);
        check(answer(Global, Some(u64::MAX)), "r.example/app", 3600, true);
        check(Err("it failed".to_owned()), "r.example/app:2", 29, true);
        check(Err("it failed".to_owned()), "r.example/app:2", 30, false);
        check(Err("it failed".to_owned()), "r.example/other", 0, false);
        check(Err("it failed".to_owned()), "other.example/app", 0, false);
    }

    #[test]
    fn a_failure_takes_no_answer_away() {
        let failure: Answered = Err("it failed".to_owned());
        let known = |noted: &[(&str, &Answered)], image: &str| {
            let (mut cache, start) = (LoginCache::default(), Instant::now());
            let note = |(name, answered): &(&str, &Answered)| {
                cache.note(&name.parse().unwrap(), answered, Duration::from_secs(60), start);
            };
            noted.iter().for_each(note);
            cache.get(&image.parse().unwrap(), start)
        };
        for kind in [CacheKeyType::Image, CacheKeyType::Registry, CacheKeyType::Global] {
            let given = answer(kind, None);
            // Of scans at the same time, whichever ends last.
            for order in [
                [("r.example/app", &given), ("r.example/app", &failure)],
                [("r.example/app", &failure), ("r.example/app", &given)],
            ] {
                assert!(known(&order, "r.example/app").unwrap().is_ok(), "{order:?}");
            }
        }
        let registry = answer(CacheKeyType::Registry, None);
        let noted = [("r.example/app", &registry), ("r.example/other", &failure)];
        assert!(known(&noted, "r.example/other").unwrap().is_ok());
        assert!(known(&[("r.example/other", &failure)], "r.example/app").is_none());
        assert!(known(&[("r.example/other", &failure)], "r.example/other").unwrap().is_err());
    }

    #[test]
    fn failures_make_room_for_answers() {
        let (mut cache, start) = (LoginCache::default(), Instant::now());
        let name = |number: usize| format!("r.example/app-{number}").parse::<Reference>().unwrap();
        cache.note(&name(0), &answer(CacheKeyType::Image, Some(10)), Duration::ZERO, start);
        (1..=MAX_ENTRIES).for_each(|number| cache.note(&name(number), &Err(String::new()), Duration::ZERO, start));
        assert_eq!(cache.known.len(), MAX_ENTRIES);
        assert!(cache.get(&name(0), start).is_some_and(|known| known.is_ok()));
    }

    #[test]
    fn answers_are_bounded() {
        let (mut cache, start) = (LoginCache::default(), Instant::now());
        for number in 0..MAX_ENTRIES + 5 {
            let image = format!("r.example/app-{number}").parse().unwrap();
            let lasts = answer(CacheKeyType::Image, Some(100 + number as u64));
            cache.note(&image, &lasts, Duration::ZERO, start);
        }
        assert_eq!(cache.known.len(), MAX_ENTRIES);
        // Those that end first made room.
        assert!(cache.get(&"r.example/app-4".parse().unwrap(), start).is_none());
        assert!(cache.get(&"r.example/app-5".parse().unwrap(), start).is_some());
        cache.note(&"r.example/x".parse().unwrap(), &Err(String::new()), Duration::ZERO, start + LONGEST);
        assert_eq!(cache.known.len(), 1);
    }
}
