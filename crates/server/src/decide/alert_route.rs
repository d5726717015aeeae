//! Who is told what.

use std::fmt;
use tidewaiter_core::severity::Severity;
use tidewaiter_crd::alert::{AlertReceiver, AlertState};
use tidewaiter_crd::{ChosenNamespace, ClusterScanPolicy};

/// A receiver by its policy and its name there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReceiverKey {
    pub(crate) policy: String,
    pub(crate) name: String,
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
        key: ReceiverKey { policy: of.clone(), name: receiver.name(place) },
        receiver: receiver.clone(),
    })
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
