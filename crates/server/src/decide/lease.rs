//! Who leads: of all processes, one writes (ADR 0031).
//!
//! A Lease has lapsed once its record has stood still for its whole duration *by the clock of who looks*: the times in it are
//! another machine's, and are only compared with each other. So clocks may differ, and must only run at about one pace.
//!
//! ```text
//! last renewal ── 10 s ── the leader has closed its own writes ── 5 s ── the others may take it
//! ```

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// How long the record of a Lease must stand still until others take it.
pub(crate) const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long a leader writes after it asked for its last renewal. What is under way then has the rest of the duration to end.
pub(crate) const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two renewals: one may fail without consequence.
pub(crate) const RENEW_PAUSE: Duration = Duration::from_secs(3);
/// Pause between two looks of who follows: with the duration, a leader that died is replaced within 19 s.
pub(crate) const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// What this process should do about the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseStep {
    /// Write it with this process as the new holder.
    Take,
    /// Write it again with a new time.
    Renew,
    /// Another process leads, or may.
    Wait,
    /// This process led, and another one has taken it.
    Lost,
}

/// The Lease as this process has seen it, over time.
#[derive(Debug)]
pub(crate) struct LeaseWatch {
    identity: String,
    leads: bool,
    /// The record, and when it was first seen so.
    seen: Option<(LeaseSpec, Duration)>,
    /// Times that this process wrote, or tried to, since it last saw one of them in the record: whether a request that failed
    /// was carried out is not known.
    tried: Vec<Timestamp>,
}

impl LeaseWatch {
    /// Nothing was seen yet. The identity must be that of no other process that runs at the same time.
    pub(crate) fn new(identity: String) -> Self {
        LeaseWatch { identity, leads: false, seen: None, tried: Vec::new() }
    }

    /// Who holds the Lease, as it was seen last.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.seen.as_ref().and_then(|(record, _)| holder(record))
    }

    /// What to do about a record, as the API server has it `now`, a time since any fixed moment.
    pub(crate) fn look(&mut self, record: &LeaseSpec, now: Duration) -> LeaseStep {
        if self.seen.as_ref().is_none_or(|(known, _)| known != record) {
            self.seen = Some((record.clone(), now));
        }
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        match holder(record) {
            Some(holder) if holder == self.identity => self.look_at_own(record),
            _ if self.leads => LeaseStep::Lost,
            None => LeaseStep::Take,
            Some(_) if now.saturating_sub(since) >= duration(record) => LeaseStep::Take,
            Some(_) => LeaseStep::Wait,
        }
    }

    fn look_at_own(&mut self, record: &LeaseSpec) -> LeaseStep {
        if !self.leads {
            // An earlier process of this Pod, which has ended: its successor does not wait.
            return LeaseStep::Take;
        }
        let written = record.renew_time.as_ref().map(|time| time.0);
        if !self.tried.iter().any(|tried| Some(*tried) == written) {
            // Another process of the same identity.
            return LeaseStep::Lost;
        }
        self.tried.retain(|tried| Some(*tried) == written);
        LeaseStep::Renew
    }

    /// The record to write `at` a time, to take the Lease or to renew it; only over the record that was looked at.
    pub(crate) fn next(&mut self, record: &LeaseSpec, step: LeaseStep, at: Timestamp) -> LeaseSpec {
        // As the API server stores it.
        let at = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
        self.tried.push(at);
        let changes = holder(record) != Some(&self.identity);
        let transitions = record.lease_transitions.unwrap_or_default().saturating_add(i32::from(changes));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: if step == LeaseStep::Take { Some(MicroTime(at)) } else { record.acquire_time.clone() },
            renew_time: Some(MicroTime(at)),
            lease_transitions: Some(transitions),
            ..record.clone()
        }
    }

    /// Notes that a record which names this process was written.
    pub(crate) fn written(&mut self, record: LeaseSpec, now: Duration) {
        self.leads = true;
        self.seen = Some((record, now));
    }

    /// The record that gives the Lease up; `None` where this process does not hold it.
    pub(crate) fn released(&self, record: &LeaseSpec) -> Option<LeaseSpec> {
        let holds = self.leads && holder(record) == Some(&self.identity);
        holds.then(|| LeaseSpec { holder_identity: Some(String::new()), ..record.clone() })
    }

    /// Whether this process leads, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        self.leads
    }
}

fn holder(record: &LeaseSpec) -> Option<&str> {
    record.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The duration that the holder promised, which may be another version's.
fn duration(record: &LeaseSpec) -> Duration {
    let seconds = record.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(LEASE_DURATION, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn held(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(at(renewed))),
            ..LeaseSpec::default()
        }
    }

    /// What a process that does not lead does about records that it sees, second by second.
    #[test]
    fn a_lease_is_taken_when_it_has_stood_still() {
        let check = |seen: &[(u64, LeaseSpec)], expected: &[LeaseStep]| {
            let mut watch = LeaseWatch::new("me".to_owned());
            let steps: Vec<LeaseStep> =
                seen.iter().map(|(second, record)| watch.look(record, Duration::from_secs(*second))).collect();
            assert_eq!(steps, expected, "{seen:?}");
        };
        use LeaseStep::{Take, Wait};
        check(&[(0, LeaseSpec::default())], &[Take]);
        check(&[(0, held("", 0))], &[Take]);
        // An earlier process of this Pod.
        check(&[(0, held("me", 0))], &[Take]);
        check(&[(0, held("other", 0)), (14, held("other", 0)), (15, held("other", 0))], &[Wait, Wait, Take]);
        // Renewed, however wrong its clock is: hours behind, or ahead.
        check(&[(0, held("other", 0)), (14, held("other", 3)), (28, held("other", 3))], &[Wait, Wait, Wait]);
        check(&[(0, held("other", 9)), (14, held("other", -9999)), (29, held("other", -9999))], &[Wait, Wait, Take]);
        // Taken by a third one.
        check(&[(0, held("other", 0)), (15, held("third", 0)), (29, held("third", 0))], &[Wait, Wait, Wait]);
        // Given up.
        check(&[(0, held("other", 0)), (1, held("", 0))], &[Wait, Take]);
        // What its holder promised counts.
        let long = LeaseSpec { lease_duration_seconds: Some(60), ..held("other", 0) };
        check(&[(0, long.clone()), (59, long.clone()), (60, long)], &[Wait, Wait, Take]);
        let odd = LeaseSpec { lease_duration_seconds: Some(-1), ..held("other", 0) };
        check(&[(0, odd.clone()), (14, odd.clone()), (15, odd)], &[Wait, Wait, Take]);
    }

    #[test]
    fn a_leader_renews_until_another_one_holds_it() {
        use LeaseStep::{Lost, Renew};
        let check = |found: LeaseSpec, expected: LeaseStep| {
            let mut watch = LeaseWatch::new("me".to_owned());
            let taken = watch.next(&LeaseSpec::default(), LeaseStep::Take, at(10));
            watch.written(taken, Duration::ZERO);
            // Nobody knows whether this one was carried out.
            let _ = watch.next(&held("me", 10), LeaseStep::Renew, at(13));
            // However long it could not look.
            assert_eq!(watch.look(&found, Duration::from_secs(3600)), expected, "{found:?}");
        };
        check(held("me", 10), Renew);
        check(held("me", 13), Renew);
        check(held("me", 11), Lost);
        check(held("other", 20), Lost);
        check(held("", 20), Lost);
        check(LeaseSpec::default(), Lost);
    }

    #[test]
    fn a_record_counts_its_holders() {
        let check = |before: LeaseSpec, step: LeaseStep, transitions: i32, acquired: Option<i64>| {
            let mut watch = LeaseWatch::new("me".to_owned());
            let written = watch.next(&before, step, at(7));
            assert_eq!(written.holder_identity.as_deref(), Some("me"));
            assert_eq!(written.lease_duration_seconds, Some(15));
            assert_eq!(written.renew_time, Some(MicroTime(at(7))));
            assert_eq!(written.lease_transitions, Some(transitions), "{before:?}");
            assert_eq!(written.acquire_time.map(|time| time.0.as_second()), acquired, "{before:?}");
        };
        let third = |record: LeaseSpec| LeaseSpec {
            lease_transitions: Some(3),
            acquire_time: Some(MicroTime(at(1))),
            ..record
        };
        check(LeaseSpec::default(), LeaseStep::Take, 1, Some(7));
        check(third(held("other", 0)), LeaseStep::Take, 4, Some(7));
        check(third(held("", 0)), LeaseStep::Take, 4, Some(7));
        check(third(held("me", 0)), LeaseStep::Take, 3, Some(7));
        check(third(held("me", 0)), LeaseStep::Renew, 3, Some(1));
    }

    #[test]
    fn only_its_holder_gives_it_up() {
        let check = |leads: bool, found: LeaseSpec, expected: bool| {
            let mut watch = LeaseWatch::new("me".to_owned());
            if leads {
                watch.written(held("me", 0), Duration::ZERO);
            }
            let released = watch.released(&found);
            assert_eq!(released.is_some(), expected, "{leads} {found:?}");
            assert!(released.is_none_or(|record| holder(&record).is_none()));
        };
        check(true, held("me", 0), true);
        check(true, held("other", 0), false);
        check(false, held("me", 0), false);
    }

    /// The time in a record is stored in microseconds: what was written is recognised when it is read.
    #[test]
    fn own_times_are_recognised() {
        let mut watch = LeaseWatch::new("me".to_owned());
        let exact = Timestamp::from_nanosecond(1_234_567_891).unwrap();
        let written = watch.next(&LeaseSpec::default(), LeaseStep::Take, exact);
        watch.written(written.clone(), Duration::ZERO);
        let read: LeaseSpec = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
        assert_eq!(watch.look(&read, Duration::from_secs(3)), LeaseStep::Renew);
    }

    #[test]
    fn others_wait_until_the_leader_has_stopped() {
        assert!(RENEW_PAUSE * 2 < RENEW_DEADLINE && RENEW_DEADLINE + Duration::from_secs(5) <= LEASE_DURATION);
        assert!(LEASE_DURATION + LOOK_PAUSE * 2 < Duration::from_secs(20));
    }
}
