//! What became of the alerts to each receiver: the state that the policy's status shows.

use crate::decide::alert_route::ReceiverKey;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_alerts::Alert;
use tidewaiter_crd::alert::{AlertFailure, AlertTest, MAX_SUBJECTS, ReceiverStatus};

/// The states, and which of them were not written yet.
#[derive(Debug, Default)]
pub(crate) struct ReceiverStates {
    all: BTreeMap<ReceiverKey, ReceiverState>,
}

#[derive(Debug, Default)]
struct ReceiverState {
    status: ReceiverStatus,
    is_new: bool,
    /// Given up, and no Event says so yet.
    untold: u32,
    /// When what waits was last compared with what is shown.
    counted: Option<Timestamp>,
}

/// Pause between two looks at how many wait for a receiver that fails.
const COUNT: SignedDuration = SignedDuration::from_mins(1);

/// A cause without the receiver's own words: some answer with another id each time.
fn without_words(cause: &str) -> &str {
    cause.split_once(" (").map_or(cause, |(what, _)| what)
}

fn number(waiting: usize) -> u32 {
    u32::try_from(waiting).unwrap_or(u32::MAX)
}

/// What is to be written about a policy.
#[derive(Debug, PartialEq)]
pub(crate) struct PolicyReport {
    pub(crate) statuses: Vec<ReceiverStatus>,
    /// What Events say: the receiver's name, and the text.
    pub(crate) events: Vec<(String, String)>,
}

impl ReceiverStates {
    /// The state of a receiver, which begins with what the policy shows.
    fn of(&mut self, key: &ReceiverKey, shown: &[ReceiverStatus]) -> &mut ReceiverState {
        self.all.entry(key.clone()).or_insert_with(|| {
            let known = shown.iter().find(|status| status.name == key.name).cloned();
            let status =
                known.unwrap_or_else(|| ReceiverStatus { name: key.name.clone(), ..ReceiverStatus::default() });
            ReceiverState { status, ..ReceiverState::default() }
        })
    }

    /// A delivery.
    pub(crate) fn delivered(&mut self, key: &ReceiverKey, shown: &[ReceiverStatus], now: Timestamp) {
        let state = self.of(key, shown);
        state.status.last_delivered = Some(now.into());
        state.recovered();
        state.is_new = true;
    }

    /// What is open was told again: no news, as long as nothing had failed.
    pub(crate) fn refreshed(&mut self, key: &ReceiverKey, shown: &[ReceiverStatus]) {
        let state = self.of(key, shown);
        if state.status.last_failure.is_some() {
            state.recovered();
            state.is_new = true;
        }
    }

    /// A failure; `given_up` is not tried again. The time is that of the first with this cause: a receiver that is away for days is
    /// not written about every five minutes.
    pub(crate) fn failed(
        &mut self,
        key: &ReceiverKey,
        shown: &[ReceiverStatus],
        cause: &str,
        given_up: &[Alert],
        now: Timestamp,
    ) {
        let state = self.of(key, shown);
        if state.status.last_failure.as_ref().is_none_or(|known| without_words(&known.cause) != without_words(cause)) {
            state.status.last_failure = Some(AlertFailure { time: now.into(), cause: cause.to_owned() });
            state.is_new = true;
        }
        if given_up.is_empty() {
            return;
        }
        let number = u32::try_from(given_up.len()).unwrap_or(u32::MAX);
        state.status.undelivered = state.status.undelivered.saturating_add(number);
        state.untold = state.untold.saturating_add(number);
        let newest = given_up.iter().rev().map(Alert::title);
        state.status.undelivered_subjects =
            newest.chain(std::mem::take(&mut state.status.undelivered_subjects)).take(MAX_SUBJECTS).collect();
        state.is_new = true;
    }

    /// A test message. One that was delivered says that somebody has looked: what was given up before is not counted any more.
    pub(crate) fn tested(
        &mut self,
        key: &ReceiverKey,
        shown: &[ReceiverStatus],
        nonce: &str,
        failure: Option<String>,
        now: Timestamp,
    ) {
        let state = self.of(key, shown);
        if failure.is_none() {
            state.status.last_failure = None;
            state.status.undelivered = 0;
            state.status.undelivered_subjects.clear();
        }
        state.status.test = Some(AlertTest { nonce: nonce.to_owned(), time: now.into(), failure });
        state.is_new = true;
    }

    /// Compares how many wait for receivers that fail with what is shown, once a minute.
    pub(crate) fn count(&mut self, now: Timestamp, waiting: impl Fn(&ReceiverKey) -> usize) {
        let is_due = |state: &ReceiverState| state.counted.is_none_or(|last| now.duration_since(last) >= COUNT);
        let due = self.all.iter_mut().filter(|(_, state)| state.status.last_failure.is_some() && is_due(state));
        for (key, state) in due {
            state.counted = Some(now);
            state.is_new |= number(waiting(key)) != state.status.waiting;
        }
    }

    /// The policies with something to write.
    pub(crate) fn changed(&self) -> BTreeSet<String> {
        self.all.iter().filter(|(_, state)| state.is_new).map(|(key, _)| key.policy.clone()).collect()
    }

    /// What is to be written about a policy that has these receivers and shows `shown`; `waiting` counts what is tried again.
    pub(crate) fn report(
        &mut self,
        policy: &str,
        receivers: &[ReceiverKey],
        shown: &[ReceiverStatus],
        waiting: impl Fn(&ReceiverKey) -> usize,
    ) -> PolicyReport {
        // What the policy has no receiver for any more.
        self.all.retain(|key, _| key.policy != policy || receivers.contains(key));
        let mut report = PolicyReport { statuses: Vec::new(), events: Vec::new() };
        for key in receivers {
            let name = &key.name;
            let Some(state) = self.all.get_mut(key) else {
                report.statuses.extend(shown.iter().find(|status| status.name == *name).cloned());
                continue;
            };
            let failed = state.status.last_failure.is_some();
            state.status.waiting = if failed { number(waiting(key)) } else { 0 };
            state.is_new = false;
            if let Some(text) = state.event(name) {
                report.events.push((name.clone(), text));
            }
            report.statuses.push(state.status.clone());
        }
        report
    }

    /// What was reported was not written.
    pub(crate) fn not_written(&mut self, policy: &str) {
        self.all.iter_mut().filter(|(key, _)| key.policy == policy).for_each(|(_, state)| state.is_new = true);
    }

    /// Policies that there are no more.
    pub(crate) fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.all.retain(|key, _| exists(&key.policy));
    }
}

impl ReceiverState {
    /// It is reached again. What was given up stays shown with its cause.
    fn recovered(&mut self) {
        if self.status.undelivered == 0 {
            self.status.last_failure = None;
        }
    }

    fn event(&mut self, name: &str) -> Option<String> {
        let number = std::mem::take(&mut self.untold);
        let cause = self.status.last_failure.as_ref().map(|failure| failure.cause.as_str()).unwrap_or_default();
        let subject = self.status.undelivered_subjects.first().map(String::as_str).unwrap_or_default();
        let text = match number {
            0 => return None,
            1 => format!("an alert could not be delivered to {name} ({subject}): {cause}"),
            more => format!("{more} alerts could not be delivered to {name} (the newest: {subject}): {cause}"),
        };
        Some(format!("{text}. To try it: kubectl scan alert test"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::news::news;
    use crate::decide::evaluation::Evaluation;
    use crate::decide::message::WorkloadNews;
    use crate::decide::workload_ref::WorkloadRef;
    use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};

    fn alert(name: &str) -> Alert {
        let workload = WorkloadRef {
            namespace: "n".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".into(),
            name: name.to_owned(),
            uid: name.to_owned(),
        };
        let status = WorkloadStatus { image: ImageStatus::VulnerabilitiesFound, deployment: DeploymentStatus::Blocked };
        let evaluation = Evaluation::default();
        news(&WorkloadNews::new(&workload, "t", &evaluation, status), "text", at(0), &[])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + second).unwrap()
    }

    fn key() -> ReceiverKey {
        ReceiverKey { policy: "p".to_owned(), name: "r".to_owned(), address: None }
    }

    fn report(states: &mut ReceiverStates) -> PolicyReport {
        states.report("p", &[key()], &[], |_| 3)
    }

    #[test]
    fn a_failure_is_shown_until_the_next_delivery() {
        let mut states = ReceiverStates::default();
        assert!(states.changed().is_empty());
        states.failed(&key(), &[], "away", &[], at(0));
        assert_eq!(states.changed(), ["p".to_owned()].into());
        let shown = report(&mut states).statuses.remove(0);
        assert_eq!((shown.waiting, shown.last_failure.unwrap().cause), (3, "away".to_owned()));
        // The same again is not written again.
        states.failed(&key(), &[], "away", &[], at(300));
        assert!(states.changed().is_empty());
        states.failed(&key(), &[], "another", &[], at(600));
        assert!(!states.changed().is_empty());
        states.delivered(&key(), &[], at(601));
        let shown = report(&mut states).statuses.remove(0);
        assert_eq!((shown.waiting, shown.last_failure, shown.last_delivered), (0, None, Some(at(601).into())));
        states.refreshed(&key(), &[]);
        assert!(states.changed().is_empty());
    }

    #[test]
    fn another_id_in_an_answer_is_no_news_and_another_number_is() {
        let mut states = ReceiverStates::default();
        let mut fails = |cause: &str, second: i64, is_news: bool| {
            states.failed(&key(), &[], cause, &[], at(second));
            assert_eq!(!states.changed().is_empty(), is_news, "{cause}");
            report(&mut states);
        };
        fails("it responds with status 503 (id 1)", 0, true);
        fails("it responds with status 503 (id 2)", 1, false);
        fails("it responds with status 500 (id 3)", 2, true);
        let mut counted = |second: i64, waiting: usize, is_news: bool| {
            states.count(at(second), |_| waiting);
            assert_eq!(!states.changed().is_empty(), is_news, "{second} {waiting}");
            // Only what is news is written.
            if is_news {
                states.report("p", &[key()], &[], |_| waiting);
            }
        };
        counted(10, 3, false);
        counted(20, 7, false);
        counted(70, 7, true);
        counted(130, 7, false);
        // It is reached again.
        states.delivered(&key(), &[], at(140));
        report(&mut states);
        states.count(at(300), |_| 9);
        assert!(states.changed().is_empty());
    }

    #[test]
    fn what_is_given_up_is_counted_named_and_told_until_a_test_is_delivered() {
        let mut states = ReceiverStates::default();
        let all: Vec<Alert> = ["a", "b", "c", "d", "e", "f"].map(alert).into();
        states.failed(&key(), &[], "refused", &all, at(0));
        let shown = report(&mut states);
        assert_eq!(shown.statuses[0].undelivered, 6);
        assert_eq!(shown.statuses[0].undelivered_subjects.len(), MAX_SUBJECTS);
        assert_eq!(shown.statuses[0].undelivered_subjects[0], "Held: deployment/f in n");
        assert!(
            shown.events[0]
                .1
                .starts_with("6 alerts could not be delivered to r (the newest: Held: deployment/f in n): refused")
        );
        // Told once, and kept by what is delivered later.
        states.delivered(&key(), &[], at(1));
        let shown = report(&mut states);
        assert!(shown.events.is_empty() && shown.statuses[0].undelivered == 6);
        assert!(shown.statuses[0].last_failure.is_some());
        states.tested(&key(), &[], "n1", Some("still".to_owned()), at(2));
        assert_eq!(report(&mut states).statuses[0].undelivered, 6);
        states.tested(&key(), &[], "n2", None, at(3));
        let shown = report(&mut states).statuses.remove(0);
        assert_eq!((shown.undelivered, shown.undelivered_subjects.len(), shown.last_failure), (0, 0, None));
        assert_eq!(shown.test.unwrap().nonce, "n2");
    }

    #[test]
    fn a_restart_begins_with_what_is_shown_and_receivers_that_are_gone_are_forgotten() {
        let mut states = ReceiverStates::default();
        let status = |name: &str| ReceiverStatus { name: name.to_owned(), undelivered: 2, ..ReceiverStatus::default() };
        let shown = [status("r"), status("other"), status("gone")];
        states.failed(&key(), &shown, "refused", &[alert("a")], at(0));
        let report = states.report("p", &[key(), ReceiverKey { name: "other".to_owned(), ..key() }], &shown, |_| 0);
        let counts: Vec<_> = report.statuses.iter().map(|one| (one.name.as_str(), one.undelivered)).collect();
        assert_eq!(counts, [("r", 3), ("other", 2)]);
        states.not_written("p");
        assert!(!states.changed().is_empty());
        states.retain(|_| false);
        assert!(states.changed().is_empty());
    }
}
