//! What waits for one receiver, and when it is tried. Pure: times are the caller's.
//!
//! One pause for the receiver, not one for each alert: a receiver that is away is asked once, however many alerts wait. A message
//! that fails goes behind the others, so that one which a receiver chokes on holds up none of them; alerts of one workload keep their
//! order.
//!
//! What is refused is tried in other ways before it is given up: a digest one by one, an alert without the text that others
//! wrote, and again once the receiver took something else. A receiver with a wrong key refuses everything.

use crate::alert::Alert;
use crate::answer::FailureClass;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Pause after the first failure; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: a receiver that is back should hear of what happened within minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long an alert is tried: by then the outage of the receiver has been noticed, and the record of the workload still shows the
/// state.
const LONGEST_WAIT: Duration = Duration::from_secs(90 * 60);
/// Alerts that wait, at most: 20 MB.
const MAX_WAITING: usize = 5000;
/// Alerts of one digest, at most; the others are in the next one.
const MAX_DIGEST: usize = 200;

/// The alerts that wait for a receiver.
#[derive(Debug, Default)]
pub struct AlertQueue {
    waiting: VecDeque<Waiting>,
    /// Failures since the last delivery, and when the first one was.
    failures: u32,
    failing_since: Option<Instant>,
    /// Messages that the receiver took.
    deliveries: u64,
    /// Before this nothing is sent.
    pause_until: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    alert: Alert,
    since: Instant,
    /// Whether it is sent in a message of its own: it was in one that was refused.
    is_alone: bool,
    /// What the receiver had taken when it refused this, even without its text.
    refused_at: Option<u64>,
}

/// Alerts that are not sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Displaced {
    /// What they say is over.
    pub moot: Vec<Alert>,
    /// There is no room.
    pub refused: Option<Alert>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum QueueStep {
    /// Nothing waits.
    Idle,
    /// Nothing before this.
    Wait(Instant),
    /// Send these in one message; they stay in the queue until the outcome is told.
    Send(Vec<Alert>),
}

impl AlertQueue {
    /// Adds an alert; returns those that have no place: it where too many wait, and what waited about a workload for which this says
    /// that it is over.
    pub fn add(&mut self, alert: Alert, now: Instant) -> Displaced {
        let moot = match alert.is_over {
            true => self.take(|waiting| waiting.alert.workload == alert.workload),
            false => Vec::new(),
        };
        if self.waiting.len() >= MAX_WAITING {
            return Displaced { moot, refused: Some(alert) };
        }
        self.waiting.push_back(Waiting { alert, since: now, is_alone: false, refused_at: None });
        Displaced { moot, refused: None }
    }

    /// Alerts that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What is to be done; `digest` is how long news are collected.
    pub fn next(&self, digest: Option<Duration>, now: Instant) -> QueueStep {
        let Some(oldest) = self.waiting.iter().map(|waiting| waiting.since).min() else { return QueueStep::Idle };
        let collected = digest.map(|digest| oldest + digest);
        let not_before = self.pause_until.max(collected);
        match not_before {
            Some(until) if until > now => QueueStep::Wait(until),
            _ => QueueStep::Send(self.first(if digest.is_some() { MAX_DIGEST } else { 1 })),
        }
    }

    fn first(&self, most: usize) -> Vec<Alert> {
        let together = self.waiting.iter().take_while(|waiting| !waiting.is_alone).count().min(most);
        self.waiting.iter().take(together.max(1)).map(|waiting| waiting.alert.clone()).collect()
    }

    /// These were delivered; none: the receiver was seen to work.
    pub fn delivered(&mut self, sent: &[Alert]) {
        let was_refused = self.drain(|waiting| is_in(sent, waiting)).iter().any(|waiting| waiting.refused_at.is_some());
        (self.failures, self.failing_since, self.pause_until) = (0, None, None);
        if was_refused {
            // It was not the message: a key was corrected, and the others were refused for the same cause.
            self.waiting.iter_mut().for_each(|waiting| waiting.refused_at = None);
        } else {
            self.deliveries += u64::from(!sent.is_empty());
        }
    }

    /// These were not delivered; returns those that are given up.
    pub fn failed(&mut self, sent: &[Alert], class: FailureClass, now: Instant) -> Vec<Alert> {
        let mut tried = self.drain(|waiting| is_in(sent, waiting));
        let mut given_up = Vec::new();
        match class {
            FailureClass::Refused => given_up = self.after_refusal(&mut tried, now),
            FailureClass::Passing => self.pause(pause(self.failures), now),
            FailureClass::Later(pause) => self.pause(pause, now),
        }
        // Behind all others, but those of the same workload: what is over must not overtake what came after it.
        let later = self.drain(|waiting| tried.iter().any(|failed| failed.alert.workload == waiting.alert.workload));
        self.waiting.extend(tried);
        self.waiting.extend(later);
        // While a receiver fails its other alerts wait in vain as well, tried or not; what is collected does not wait in vain.
        let Some(failing_since) = self.failing_since else { return given_up };
        given_up.extend(
            self.take(|waiting| now.saturating_duration_since(waiting.since.max(failing_since)) >= LONGEST_WAIT),
        );
        given_up
    }

    fn pause(&mut self, pause: Duration, now: Instant) {
        self.pause_until = Some(now + pause);
        self.failing_since = self.failing_since.or(Some(now));
        self.failures = self.failures.saturating_add(1);
    }

    /// What follows for alerts that the receiver refused; returns those that are given up.
    fn after_refusal(&mut self, tried: &mut VecDeque<Waiting>, now: Instant) -> Vec<Alert> {
        if tried.len() > 1 {
            tried.iter_mut().for_each(|waiting| waiting.is_alone = true);
            return Vec::new();
        }
        let Some(only) = tried.front_mut() else { return Vec::new() };
        only.is_alone = true;
        let bare = only.alert.without_text_of_others();
        if only.alert != bare {
            only.alert = bare;
            return Vec::new();
        }
        // It took another one since it refused this before.
        if only.refused_at.is_some_and(|deliveries| deliveries < self.deliveries) {
            return tried.drain(..).map(|waiting| waiting.alert).collect();
        }
        only.refused_at = Some(self.deliveries);
        // It may be about this one alone, so that the others are tried at once.
        if self.waiting.iter().all(|waiting| waiting.refused_at.is_some()) {
            self.pause(pause(self.failures), now);
        }
        Vec::new()
    }

    /// Everything that waits, where there is nobody to send it to any more.
    pub fn take_all(&mut self) -> Vec<Alert> {
        self.take(|_| true)
    }

    fn take(&mut self, is_meant: impl Fn(&Waiting) -> bool) -> Vec<Alert> {
        self.drain(is_meant).into_iter().map(|waiting| waiting.alert).collect()
    }

    fn drain(&mut self, is_meant: impl Fn(&Waiting) -> bool) -> VecDeque<Waiting> {
        let (meant, rest) = self.waiting.drain(..).partition(is_meant);
        self.waiting = rest;
        meant
    }
}

fn is_in(sent: &[Alert], waiting: &Waiting) -> bool {
    sent.iter().any(|alert| alert.id == waiting.alert.id)
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2u32.saturating_pow(failures)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertedWorkload;
    use crate::alert::examples::alert;

    struct Played {
        queue: AlertQueue,
        start: Instant,
    }

    impl Played {
        fn new() -> Self {
            Played { queue: AlertQueue::default(), start: Instant::now() }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn add(&mut self, ids: &[&str], seconds: u64) {
            let now = self.at(seconds);
            for id in ids {
                assert_eq!(self.queue.add(named(id), now), Displaced::default());
            }
        }

        /// The ids to send, or the seconds to wait from the start on.
        fn step(&self, digest: Option<u64>, seconds: u64) -> String {
            match self.queue.next(digest.map(Duration::from_secs), self.at(seconds)) {
                QueueStep::Idle => "idle".to_owned(),
                QueueStep::Wait(until) => format!("until {:?}", until.duration_since(self.start)),
                QueueStep::Send(all) => ids(&all),
            }
        }
    }

    /// An alert of a workload of its own.
    fn named(id: &str) -> Alert {
        let workload = AlertedWorkload { uid: id.to_owned(), ..alert("").workload };
        Alert { id: id.to_owned(), workload, ..alert("") }
    }

    fn all(ids: &[&str]) -> Vec<Alert> {
        ids.iter().map(|id| named(id)).collect()
    }

    fn ids(all: &[Alert]) -> String {
        all.iter().map(|alert| alert.id.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_receiver_that_is_away_is_asked_after_growing_pauses() {
        let mut played = Played::new();
        assert_eq!(played.step(None, 0), "idle");
        played.add(&["a", "b"], 0);
        assert_eq!(played.step(None, 0), "a");
        let now = played.at(0);
        assert!(played.queue.failed(&all(&["a"]), FailureClass::Passing, now).is_empty());
        assert_eq!(played.step(None, 0), "until 500ms");
        // The other one is next: what failed goes behind it.
        assert_eq!(played.step(None, 1), "b");
        let now = played.at(1);
        played.queue.failed(&all(&["b"]), FailureClass::Passing, now);
        assert_eq!(played.step(None, 1), "until 2s");
        assert_eq!(played.step(None, 2), "a");
        played.queue.delivered(&all(&["a"]));
        assert_eq!(played.step(None, 2), "b");
        played.queue.delivered(&all(&["b"]));
        assert_eq!(played.step(None, 2), "idle");
        assert_eq!(
            (pause(0), pause(9), pause(10), pause(u32::MAX)),
            (FIRST_PAUSE, Duration::from_secs(256), LONGEST_PAUSE, LONGEST_PAUSE)
        );
    }

    #[test]
    fn a_receiver_says_how_long_to_wait_or_refuses() {
        let mut played = Played::new();
        played.add(&["a", "b"], 0);
        let now = played.at(0);
        played.queue.failed(&all(&["a"]), FailureClass::Later(Duration::from_secs(30)), now);
        assert_eq!(played.step(None, 29), "until 30s");
        assert_eq!(played.step(None, 30), "b");
    }

    /// Sends what is next to a receiver that refuses these ids; returns what was sent, and what was given up.
    fn refuse(played: &mut Played, refused: &[&str], digest: Option<u64>, seconds: u64) -> (String, String) {
        let now = played.at(seconds);
        let QueueStep::Send(sent) = played.queue.next(digest.map(Duration::from_secs), now) else {
            return (played.step(digest, seconds), String::new());
        };
        let is_refused = sent.iter().any(|alert| refused.contains(&alert.id.as_str()));
        let given_up = match is_refused {
            true => played.queue.failed(&sent, FailureClass::Refused, now),
            false => {
                played.queue.delivered(&sent);
                Vec::new()
            }
        };
        let shown = |alert: &Alert| if alert.reasons.is_empty() { format!("({})", alert.id) } else { alert.id.clone() };
        (sent.iter().map(shown).collect::<Vec<_>>().join(" "), ids(&given_up))
    }

    #[test]
    fn one_that_a_receiver_refuses_delays_no_other() {
        let mut played = Played::new();
        played.add(&["bad", "b", "c"], 0);
        let check = |played: &mut Played, seconds: u64, sent: &str, given_up: &str| {
            let found = refuse(played, &["bad"], None, seconds);
            assert_eq!(found, (sent.to_owned(), given_up.to_owned()), "{seconds}");
        };
        check(&mut played, 0, "bad", "");
        check(&mut played, 0, "b", "");
        check(&mut played, 0, "c", "");
        // In parentheses: without the text of others.
        check(&mut played, 0, "(bad)", "");
        // Nothing was taken since: it may be the key.
        check(&mut played, 0, "until 500ms", "");
        check(&mut played, 1, "(bad)", "");
        check(&mut played, 1, "until 2s", "");
        played.add(&["d"], 2);
        check(&mut played, 2, "(bad)", "");
        check(&mut played, 2, "d", "");
        check(&mut played, 2, "(bad)", "bad");
        check(&mut played, 2, "idle", "");
    }

    #[test]
    fn a_corrected_key_loses_nothing() {
        let mut played = Played::new();
        played.add(&["a", "b"], 0);
        for minute in 0..60 {
            assert_eq!(refuse(&mut played, &["a", "b"], None, minute * 60).1, "");
        }
        let mut taken = [(); 2].map(|()| refuse(&mut played, &[], None, 4000).0);
        taken.sort();
        assert_eq!(taken, ["(a)", "(b)"]);
        assert_eq!(played.step(None, 4000), "idle");
    }

    #[test]
    fn a_digest_that_is_refused_is_sent_one_by_one() {
        let mut played = Played::new();
        played.add(&["a", "bad", "c"], 0);
        let mut check = |sent: &str, given_up: &str| {
            let found = refuse(&mut played, &["bad"], Some(600), 600);
            assert_eq!(found, (sent.to_owned(), given_up.to_owned()));
        };
        check("a bad c", "");
        check("a", "");
        check("bad", "");
        check("c", "");
        check("(bad)", "");
    }

    /// An incident must not be resolved after it was opened again.
    #[test]
    fn what_failed_stays_before_later_alerts_of_its_workload() {
        let mut played = Played::new();
        let again = Alert { workload: named("over").workload, ..named("again") };
        for alert in [Alert { is_over: true, ..named("over") }, again, named("other")] {
            played.queue.add(alert, played.start);
        }
        let now = played.at(0);
        played.queue.failed(&all(&["over"]), FailureClass::Passing, now);
        for id in ["other", "over", "again"] {
            assert_eq!(played.step(None, 1), id);
            played.queue.delivered(&all(&[id]));
        }
    }

    #[test]
    fn what_waited_in_vain_for_too_long_is_given_up() {
        let mut played = Played::new();
        played.add(&["a"], 0);
        played.add(&["b"], 1);
        let now = played.at(1);
        assert!(played.queue.failed(&all(&["a"]), FailureClass::Passing, now).is_empty());
        played.add(&["c"], 3000);
        let now = played.at(5400);
        assert!(played.queue.failed(&all(&["b"]), FailureClass::Passing, now).is_empty());
        let now = played.at(5401);
        assert_eq!(ids(&played.queue.failed(&all(&["a"]), FailureClass::Passing, now)), "b a");
        assert_eq!(played.queue.len(), 1);
        assert_eq!(ids(&played.queue.take_all()), "c");
        assert!(played.queue.is_empty());
    }

    #[test]
    fn a_digest_is_what_came_in_its_time() {
        let mut played = Played::new();
        played.add(&["a"], 0);
        played.add(&["b"], 500);
        assert_eq!(played.step(Some(600), 500), "until 600s");
        assert_eq!(played.step(Some(600), 600), "a b");
        let now = played.at(600);
        played.queue.failed(&all(&["a", "b"]), FailureClass::Passing, now);
        // It is late already: only the pause counts, and what came since goes with it.
        played.add(&["c"], 600);
        assert_eq!(played.step(Some(600), 601), "a b c");
        played.queue.delivered(&all(&["a", "b", "c"]));
        played.add(&["d"], 700);
        assert_eq!(played.step(Some(600), 700), "until 1300s");
        // Collecting is no waiting in vain.
        let now = played.at(9999);
        assert!(played.queue.failed(&all(&["d"]), FailureClass::Passing, now).is_empty());
    }

    /// An incident must not be opened after it was resolved.
    #[test]
    fn the_end_of_a_cause_overtakes_what_waits() {
        let mut played = Played::new();
        played.add(&["a"], 0);
        played.add(&["other"], 0);
        let over = Alert { id: "over".to_owned(), is_over: true, ..named("a") };
        assert_eq!(ids(&played.queue.add(over, played.start).moot), "a");
        // It was on its way: that it failed brings it not back.
        let now = played.at(0);
        played.queue.failed(&all(&["a"]), FailureClass::Passing, now);
        assert_eq!(played.step(None, 1), "other");
        played.queue.delivered(&all(&["other"]));
        assert_eq!(played.step(None, 1), "over");
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut played = Played::new();
        (0..MAX_WAITING).for_each(|_| played.add(&["a"], 0));
        assert!(played.queue.add(alert(""), played.start).refused.is_some());
        assert_eq!(played.queue.len(), MAX_WAITING);
        let QueueStep::Send(digest) = played.queue.next(Some(Duration::from_secs(1)), played.at(1)) else {
            panic!("a digest is due");
        };
        assert_eq!(digest.len(), MAX_DIGEST);
    }
}
