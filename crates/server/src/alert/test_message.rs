//! Test messages (`kubectl scan alert test`): an annotation of a policy asks for one, its status has the result. Who may change the
//! policies of the cluster may ask; one policy is tried after the other, and each not more often than every few seconds.

use super::AlertChannel;
use crate::decide::alert_route::{PolicyReceiver, ReceiverKey, all_of};
use crate::write_fence::WriteFenced;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tidewaiter_alerts::Outgoing;
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::names::ALERT_TEST;

/// Pause between two looks at the policies, which are in memory.
const LOOK: Duration = Duration::from_secs(1);
/// Shortest time between two tests of a policy.
const BETWEEN: Duration = Duration::from_secs(5);
/// Characters of a nonce.
const MAX_NONCE: usize = 40;

/// What an annotation asks for.
#[derive(Debug, PartialEq, Eq)]
struct TestRequest<'a> {
    nonce: &'a str,
    /// None: every receiver.
    receiver: Option<&'a str>,
}

impl<'a> TestRequest<'a> {
    /// `NONCE` or `NONCE NAME`; `None` for any other text.
    fn parse(text: &'a str) -> Option<Self> {
        let (nonce, receiver) = match text.split_once(' ') {
            Some((nonce, receiver)) => (nonce, Some(receiver)),
            None => (text, None),
        };
        let is_nonce = (1..=MAX_NONCE).contains(&nonce.len()) && nonce.chars().all(|c| c.is_ascii_alphanumeric());
        is_nonce.then_some(TestRequest { nonce, receiver })
    }
}

/// The receivers of a policy that were asked to be tried and were not yet, and the nonce.
fn requested(policy: &ClusterScanPolicy) -> Option<(String, Vec<PolicyReceiver>)> {
    let request = TestRequest::parse(policy.annotations().get(ALERT_TEST)?)?;
    let shown = policy.status.iter().flat_map(|status| &status.alerts);
    let tried: Vec<&str> = shown
        .filter(|status| status.test.as_ref().is_some_and(|test| test.nonce == request.nonce))
        .map(|status| status.name.as_str())
        .collect();
    let is_meant = |one: &PolicyReceiver| {
        request.receiver.is_none_or(|name| name == one.key.name) && !tried.contains(&one.key.name.as_str())
    };
    let all: Vec<PolicyReceiver> = all_of(policy).filter(is_meant).collect();
    (!all.is_empty()).then(|| (request.nonce.to_owned(), all))
}

/// What was tried, by policy: its status says so later, and never where it cannot be written.
#[derive(Debug, Default)]
struct TriedTests {
    all: BTreeMap<String, TriedTest>,
}

#[derive(Debug)]
struct TriedTest {
    nonce: String,
    receivers: BTreeSet<ReceiverKey>,
    at: Instant,
}

impl TriedTests {
    /// Those to try now of the receivers that a policy asks for; they count as tried.
    fn take(&mut self, policy: &str, nonce: &str, receivers: Vec<PolicyReceiver>, now: Instant) -> Vec<PolicyReceiver> {
        let last = self.all.get_mut(policy);
        if last.as_ref().is_some_and(|last| now.saturating_duration_since(last.at) < BETWEEN) {
            return Vec::new();
        }
        let mut tried = last.filter(|last| last.nonce == nonce).map(|last| last.receivers.clone()).unwrap_or_default();
        let next: Vec<PolicyReceiver> = receivers.into_iter().filter(|one| tried.insert(one.key.clone())).collect();
        if !next.is_empty() {
            let test = TriedTest { nonce: nonce.to_owned(), receivers: tried, at: now };
            self.all.insert(policy.to_owned(), test);
        }
        next
    }

    /// Forgets what is not asked for any more; `asks` says whether a policy has a request of this name.
    fn retain(&mut self, asks: impl Fn(&str, &str) -> bool, now: Instant) {
        self.all.retain(|policy, test| now.saturating_duration_since(test.at) < BETWEEN || asks(policy, &test.nonce));
    }
}

impl AlertChannel {
    pub(super) async fn follow_tests(self) {
        let mut tried = TriedTests::default();
        loop {
            tokio::time::sleep(LOOK).await;
            self.fence.opened().await;
            tried.retain(|policy, nonce| self.asks_for(policy, nonce), Instant::now());
            for policy in self.index.policies.state() {
                let name = policy.name_any();
                let Some((nonce, receivers)) = requested(&policy) else { continue };
                let receivers = tried.take(&name, &nonce, receivers, Instant::now());
                if receivers.is_empty() {
                    continue;
                }
                futures::future::join_all(receivers.iter().map(|receiver| self.test(receiver, &nonce))).await;
                self.write_statuses().await;
            }
        }
    }

    fn asks_for(&self, policy: &str, nonce: &str) -> bool {
        let policy = self.index.policies.get(&ObjectRef::new(policy));
        let text = policy.as_ref().and_then(|policy| policy.annotations().get(ALERT_TEST));
        text.and_then(|text| TestRequest::parse(text)).is_some_and(|request| request.nonce == nonce)
    }

    async fn test(&self, receiver: &PolicyReceiver, nonce: &str) {
        let (name, now) = (nonce.to_owned(), Timestamp::now());
        let to = super::secrets::destination(&self.client, &receiver.receiver).await;
        let outcome = match to {
            Ok(_) if !self.fence.is_open() => Err(WriteFenced.to_string()),
            Ok(to) => {
                let sent = tokio::task::spawn_blocking(move || {
                    tidewaiter_alerts::deliver(&to, Outgoing::Test(&name, now)).map_err(|failure| failure.cause)
                });
                sent.await.unwrap_or_else(|panic| Err(panic.to_string()))
            }
            Err(cause) => Err(cause),
        };
        tracing::info!(
            "test message to receiver {}: {}",
            receiver.key,
            outcome.as_ref().err().map_or("delivered", |cause| cause)
        );
        if outcome.is_ok() {
            self.resume(&receiver.key);
        }
        let shown = self.shown(&receiver.key);
        self.shared.states.lock().tested(&receiver.key, &shown, nonce, outcome.err(), Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn requests() {
        let check = |text: &str, expected: Option<(&str, Option<&str>)>| {
            let found = TestRequest::parse(text).map(|request| (request.nonce, request.receiver));
            assert_eq!(found, expected, "{text:?}");
        };
        check("n1", Some(("n1", None)));
        check("n1 team", Some(("n1", Some("team"))));
        check("n1 alerts[0]", Some(("n1", Some("alerts[0]"))));
        for bad in ["", " team", "a/b", "n-1", &"n".repeat(41)] {
            check(bad, None);
        }
    }

    /// Also where the policy's status never says that it was tried.
    #[test]
    fn a_test_is_sent_once() {
        let policy: ClusterScanPolicy = ClusterScanPolicy::new(
            "p",
            serde_json::from_value(
                json!({"alerts": [{"name": "a", "url": "http://a"}, {"name": "b", "url": "http://b"}]}),
            )
            .unwrap(),
        );
        let start = Instant::now();
        let mut tried = TriedTests::default();
        let mut check = |nonce: &str, receivers: usize, seconds: u64, expected: &[&str]| {
            let now = start + Duration::from_secs(seconds);
            let asked = all_of(&policy).take(receivers).collect();
            let found: Vec<String> = tried.take("p", nonce, asked, now).into_iter().map(|one| one.key.name).collect();
            assert_eq!(found, expected, "{nonce} {seconds}");
            tried.retain(|_, asked| asked == nonce, now);
        };
        check("n1", 1, 0, &["a"]);
        check("n1", 2, 1, &[]);
        check("n1", 2, 5, &["b"]);
        check("n1", 2, 10, &[]);
        check("n1", 2, 3600, &[]);
        check("n2", 2, 3601, &["a", "b"]);
        check("n3", 2, 3602, &[]);
        check("n3", 2, 3606, &["a", "b"]);
    }

    #[test]
    fn what_was_tried_is_not_tried_again() {
        let check = |annotation: Value, tried: &[(&str, &str)], expected: &[&str]| {
            let mut policy: ClusterScanPolicy = serde_json::from_value(json!({"apiVersion": "tidewaiter.dev/v1alpha1",
                "kind": "ClusterScanPolicy", "metadata": {"name": "p", "annotations": annotation},
                "spec": {"alerts": [{"name": "a", "url": "http://a"}, {"name": "b", "url": "http://b"}]}}))
            .unwrap();
            let test = |(name, nonce): &(&str, &str)| json!({"name": name, "test": {"nonce": nonce, "time": "t"}});
            let tried: Vec<Value> = tried.iter().map(test).collect();
            policy.status = Some(serde_json::from_value(json!({"alerts": tried})).unwrap());
            let found = requested(&policy).map(|(_, all)| all.into_iter().map(|one| one.key.name).collect::<Vec<_>>());
            assert_eq!(found.unwrap_or_default(), expected, "{annotation} {tried:?}");
        };
        let asks = |text: &str| json!({ALERT_TEST: text});
        check(json!({}), &[], &[]);
        check(asks("n2"), &[], &["a", "b"]);
        check(asks("n2"), &[("a", "n2"), ("b", "n1")], &["b"]);
        check(asks("n2"), &[("a", "n2"), ("b", "n2")], &[]);
        check(asks("n2 b"), &[("a", "n1")], &["b"]);
        check(asks("n2 c"), &[], &[]);
        check(asks("?"), &[], &[]);
    }
}
