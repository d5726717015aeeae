//! Who is told what.

use sha2::{Digest as _, Sha256};
use std::fmt;
use tidewaiter_core::hex;
use tidewaiter_core::severity::Severity;
use tidewaiter_crd::alert::{AlertReceiver, AlertState};
use tidewaiter_crd::{ChosenNamespace, ClusterScanPolicy};

/// A receiver by its policy and its name there; one without a name is another one where its address is another: what waits for
/// it must not go to whoever has its place by then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReceiverKey {
    pub(crate) policy: String,
    pub(crate) name: String,
    /// Hash of where it is, if it has no name of its own.
    pub(crate) address: Option<String>,
}

impl fmt::Display for ReceiverKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.policy, self.name)
    }
}

/// A receiver of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyReceiver {
    pub(crate) key: ReceiverKey,
    pub(crate) receiver: AlertReceiver,
}

/// All receivers of a policy, in its order.
pub(crate) fn all_of(policy: &ClusterScanPolicy) -> impl Iterator<Item = PolicyReceiver> {
    let of = policy.metadata.name.clone().unwrap_or_default();
    policy.spec.alerts.iter().enumerate().map(move |(place, receiver)| PolicyReceiver {
        key: ReceiverKey { policy: of.clone(), name: receiver.name(place), address: address(receiver) },
        receiver: receiver.clone(),
    })
}

/// Where a receiver without a name is, as a hash: an address may be a secret.
fn address(receiver: &AlertReceiver) -> Option<String> {
    if receiver.name.is_some() {
        return None;
    }
    let mail = receiver.email.as_ref().map(|mail| (&mail.server, &mail.from, &mail.to));
    let whereto = format!("{:?}", (receiver.service, &receiver.url, &receiver.url_from, &receiver.token_from, mail));
    let hash: [u8; 32] = Sha256::digest(whereto.as_bytes()).into();
    Some(hex(&hash[..16]))
}

/// Those that are told about a namespace.
pub(crate) fn receivers_of(policy: &ClusterScanPolicy, namespace: ChosenNamespace<'_>) -> Vec<PolicyReceiver> {
    all_of(policy).filter(|one| one.receiver.concerns(namespace)).collect()
}

/// Those that are told of a state with this worst severity.
pub(crate) fn told(all: &[PolicyReceiver], state: AlertState, severity: Option<Severity>) -> Vec<PolicyReceiver> {
    let is_told = |one: &&PolicyReceiver| one.receiver.is_told(state) && one.receiver.is_told_of(severity);
    all.iter().filter(is_told).cloned().collect()
}

/// Those that must be told when the cause of what they were told is over.
pub(crate) fn keeping_open(all: &[PolicyReceiver]) -> Vec<PolicyReceiver> {
    all.iter().filter(|one| one.receiver.service.keeps_open()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tidewaiter_crd::namespace::Labels;

    fn policy(alerts: Value) -> ClusterScanPolicy {
        ClusterScanPolicy::new("p", serde_json::from_value(json!({"alerts": alerts})).unwrap())
    }

    fn keys(all: &[PolicyReceiver]) -> Vec<String> {
        all.iter().map(|one| one.key.to_string()).collect()
    }

    #[test]
    fn receivers_are_named_and_chosen_by_namespace() {
        let policy = policy(json!([{"url": "http://a"}, {"name": "b", "url": "http://b", "namespaces": ["team-*"]}]));
        let check = |namespace: &str, expected: &[&str]| {
            let labels = Labels::new();
            assert_eq!(keys(&receivers_of(&policy, ChosenNamespace::new(namespace, &labels))), expected, "{namespace}");
        };
        check("shop", &["p/alerts[0]"]);
        check("team-a", &["p/alerts[0]", "p/b"]);
    }

    #[test]
    fn a_receiver_without_a_name_is_known_by_its_address() {
        let first = |alerts: Value| all_of(&policy(alerts)).next().unwrap().key;
        let check = |before: Value, after: Value, same: bool| {
            assert_eq!(first(json!([before])) == first(json!([after])), same, "{before} {after}");
        };
        let from = |key: &str| json!({"urlFrom": {"secret": "s", "key": key}});
        check(json!({"url": "http://a"}), json!({"url": "http://a", "states": ["Created"], "digest": "1h"}), true);
        check(json!({"url": "http://a"}), json!({"url": "http://b"}), false);
        check(from("a"), from("a"), true);
        check(from("a"), from("b"), false);
        let pager = |key: &str| json!({"type": "PagerDuty", "tokenFrom": {"secret": "s", "key": key}});
        check(pager("a"), pager("b"), false);
        let mail = |to: &str| json!({"type": "Email", "email": {"server": "m:25", "from": "a@b", "to": [to]}});
        check(mail("a@b"), mail("c@b"), false);
        // A name stays: the address of the receiver was corrected.
        check(json!({"name": "r", "url": "http://a"}), json!({"name": "r", "url": "http://b"}), true);
    }

    #[test]
    fn states_and_severities_choose() {
        let all = policy(json!([
            {"name": "bad", "url": "http://a", "minimumSeverity": "HIGH"},
            {"name": "all", "url": "http://a", "states": ["Blocked", "PendingApproval", "Deployed"]},
            {"name": "page", "type": "PagerDuty", "tokenFrom": {"secret": "s", "key": "k"}}]));
        let all: Vec<PolicyReceiver> = all_of(&all).collect();
        let check = |state: AlertState, severity: Option<Severity>, expected: &[&str]| {
            assert_eq!(keys(&told(&all, state, severity)), expected, "{state:?} {severity:?}");
        };
        check(AlertState::Blocked, Some(Severity::Critical), &["p/bad", "p/all", "p/page"]);
        check(AlertState::Blocked, Some(Severity::Low), &["p/all", "p/page"]);
        check(AlertState::Blocked, None, &["p/bad", "p/all", "p/page"]);
        check(AlertState::PendingApproval, None, &["p/all"]);
        check(AlertState::RollingOut, None, &[]);
        assert_eq!(keys(&keeping_open(&all)), ["p/page"]);
    }
}
