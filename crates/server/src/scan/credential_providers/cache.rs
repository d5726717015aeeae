//! Logins that a provider gave, for as long as it said: by image, by registry, or for all images, as kubelets keep them.

use super::plugin::{CacheKeyType, ProviderAnswer};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidewaiter_core::image::Reference;

/// How long a provider that failed is not asked again about that registry: a flood of images must not start it for each.
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
    /// What is known for an image: of itself, of its registry, of all.
    pub(super) fn get(&self, image: &Reference, now: Instant) -> Option<Answered> {
        let kinds = [CacheKeyType::Image, CacheKeyType::Registry, CacheKeyType::Global];
        let found = kinds.into_iter().filter_map(|kind| self.known.get(&LoginKey::new(kind, image)));
        found.filter(|(until, _)| now < *until).map(|(_, answered)| answered.clone()).next()
    }

    /// Notes an answer: for as long as it says, else for `default`.
    pub(super) fn note(&mut self, image: &Reference, answered: &Answered, default: Duration, now: Instant) {
        let (kind, lasts) = match answered {
            Ok(answer) => (answer.kind, answer.cached_for.unwrap_or(default)),
            Err(_) => (CacheKeyType::Registry, FAILURE),
        };
        self.known.retain(|_, (until, _)| now < *until);
        let Some(until) = now.checked_add(lasts.min(LONGEST)).filter(|until| *until > now) else { return };
        if self.known.len() >= MAX_ENTRIES
            && let Some(first) = self.known.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| key.clone())
        {
            self.known.remove(&first);
        }
        self.known.insert(LoginKey::new(kind, image), (until, answered.clone()));
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
        check(Err("it failed".to_owned()), "r.example/other", 29, true);
        check(Err("it failed".to_owned()), "r.example/other", 30, false);
        check(Err("it failed".to_owned()), "other.example/app", 0, false);
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
