//! Test messages (`kubectl scan alert test`): an annotation of a policy asks for one, its status has the result. Who may change the
//! policies of the cluster may ask; one policy is tried after the other, and each not more often than every few seconds.

use super::AlertChannel;
use crate::decide::alert_route::{PolicyReceiver, all_of};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::collections::BTreeMap;
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

impl AlertChannel {
    pub(super) async fn follow_tests(self) {
        // The last test of each policy: its status comes back by the watch, later than the next look.
        let mut last: BTreeMap<String, (String, Instant)> = BTreeMap::new();
        loop {
            tokio::time::sleep(LOOK).await;
            last.retain(|_, (_, at)| at.elapsed() < BETWEEN);
            for policy in self.index.policies.state() {
                let name = policy.name_any();
                let Some((nonce, receivers)) = requested(&policy) else { continue };
                if last.contains_key(&name) {
                    continue;
                }
                futures::future::join_all(receivers.iter().map(|receiver| self.test(receiver, &nonce))).await;
                last.insert(name, (nonce, Instant::now()));
                self.write_statuses().await;
            }
        }
    }

    async fn test(&self, receiver: &PolicyReceiver, nonce: &str) {
        let (name, now) = (nonce.to_owned(), Timestamp::now());
        let to = super::secrets::destination(&self.client, &receiver.receiver).await;
        let outcome = match to {
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
