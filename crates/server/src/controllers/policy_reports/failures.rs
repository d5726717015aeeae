//! Reports that could not be written or removed: when each is tried again, and what is said of it.

use super::LOOK_PAUSE;
use super::written::WrittenKey;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Longest pause between two attempts at a report that the API server refuses.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Lines between two looks: a cause that many reports share does not fill the log.
const MOST_LINES: usize = 10;

/// What failed at one report.
#[derive(Debug)]
struct Failure {
    /// How often in a row the API server refused it.
    refusals: u32,
    /// When it is tried again.
    again: Instant,
    was_told: bool,
}

/// The reports of one API at which something fails.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_report: HashMap<WrittenKey, Failure>,
    /// Lines since the last look.
    told: usize,
    untold: usize,
}

impl Failures {
    /// Whether a report is not tried yet.
    pub(super) fn waits(&self, key: &WrittenKey, now: Instant) -> bool {
        self.by_report.get(key).is_some_and(|failure| now < failure.again)
    }

    /// Notes a failure; `is_refusal`: the API server said so, which asking it again soon does not change.
    pub(super) fn add(&mut self, key: &WrittenKey, is_refusal: bool, now: Instant) {
        let new = || Failure { refusals: 0, again: now, was_told: false };
        let failure = self.by_report.entry(key.clone()).or_insert_with(new);
        failure.refusals = if is_refusal { failure.refusals.saturating_add(1) } else { 0 };
        failure.again = now + pause(failure.refusals);
    }

    /// Whether to say now what failed at a report: once for each, and of not too many.
    pub(super) fn tells(&mut self, key: &WrittenKey) -> bool {
        let Some(failure) = self.by_report.get_mut(key).filter(|failure| !failure.was_told) else { return false };
        if self.told == MOST_LINES {
            self.untold += 1;
            return false;
        }
        self.told += 1;
        failure.was_told = true;
        true
    }

    /// Forgets a report that was written or removed.
    pub(super) fn succeeded(&mut self, key: &WrittenKey) {
        self.by_report.remove(key);
    }

    /// Forgets those that are not wanted any more, and returns of how many failures nothing was said since the last look.
    pub(super) fn looked(&mut self, is_wanted: impl Fn(&WrittenKey) -> bool) -> usize {
        self.by_report.retain(|key, _| is_wanted(key));
        self.told = 0;
        std::mem::take(&mut self.untold)
    }
}

/// Twice as long each time.
fn pause(refusals: u32) -> Duration {
    let factor = 1_u32.checked_shl(refusals.saturating_sub(1)).unwrap_or(u32::MAX);
    LOOK_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> WrittenKey {
        WrittenKey { namespace: "n".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn each_refusal_makes_the_pause_longer() {
        let check = |refusals: u32, seconds: u64| assert_eq!(pause(refusals).as_secs(), seconds, "{refusals}");
        check(0, 60);
        check(1, 60);
        check(2, 120);
        check(4, 480);
        check(5, 900);
        check(1000, 900);
    }

    #[test]
    fn one_report_that_fails_waits_and_others_do_not() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let later = |seconds: u64| now + Duration::from_secs(seconds);
        failures.add(&key("a"), true, now);
        failures.add(&key("a"), true, now);
        assert!(failures.waits(&key("a"), later(119)) && !failures.waits(&key("a"), later(120)));
        assert!(!failures.waits(&key("b"), now));
        // The API server did not answer: nothing is known of the report.
        failures.add(&key("a"), false, now);
        assert!(!failures.waits(&key("a"), later(60)));
        failures.succeeded(&key("a"));
        assert!(!failures.waits(&key("a"), now));
    }

    #[test]
    fn each_report_is_told_once_and_not_too_many_at_a_time() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let names: Vec<WrittenKey> = (0..MOST_LINES + 2).map(|number| key(&number.to_string())).collect();
        let told = |failures: &mut Failures| {
            names.iter().for_each(|key| failures.add(key, true, now));
            names.iter().filter(|key| failures.tells(key)).count()
        };
        assert_eq!(told(&mut failures), MOST_LINES);
        assert_eq!(failures.looked(|_| true), 2);
        assert_eq!(told(&mut failures), 2);
        assert_eq!((failures.looked(|key| key.name == "1"), failures.by_report.len()), (0, 1));
    }
}
