//! The policy that applies in a namespace.

use super::alert_route::{PolicyReceiver, receivers_of};
use std::sync::Arc;
use tidewaiter_core::policy::Policy;
use tidewaiter_crd::namespace::{KnownLabels, Labels};
use tidewaiter_crd::policy::{self, ApprovalMode, Mode};
use tidewaiter_crd::scan_policy::ScanPolicySpec;
use tidewaiter_crd::{ChosenNamespace, ClusterScanPolicy, ScanPolicy};

/// The policy of one namespace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EffectivePolicy {
    pub(crate) criteria: Policy,
    pub(crate) mode: Mode,
    pub(crate) approval: ApprovalMode,
    /// People who must approve, where one must.
    pub(crate) required_approvals: usize,
    /// Days after its creation from which on an exception does not apply any more; `None`: it ends when it says.
    pub(crate) max_exception_days: Option<u32>,
    pub(crate) alerts: Vec<PolicyReceiver>,
}

impl Default for EffectivePolicy {
    fn default() -> Self {
        EffectivePolicy {
            criteria: Policy::default(),
            mode: Mode::Enforce,
            approval: ApprovalMode::Automatic,
            required_approvals: 1,
            max_exception_days: None,
            alerts: Vec::new(),
        }
    }
}

/// The policies that choose the namespace, else those that choose none, and its own ScanPolicies; of several the strictest
/// value of each field. Without any policy of the cluster the defaults apply: an unlisted namespace is enforced.
///
/// `labels` are `None` where the server has not seen the namespace yet. Its selectors may then fit or not, and the strictest of
/// both applies, so that a namespace which is made with a label is never without the policy of that label.
pub(crate) fn effective(
    policies: &[Arc<ClusterScanPolicy>],
    own: &[Arc<ScanPolicy>],
    namespace: &str,
    labels: Option<&Labels>,
) -> EffectivePolicy {
    let of = |labels: KnownLabels<'_>| of_cluster(policies, ChosenNamespace { name: namespace, labels });
    let of_cluster = match labels {
        Some(labels) => of(KnownLabels::Are(labels)),
        None => strictest(of(KnownLabels::FitAll), of(KnownLabels::FitNone)),
    };
    let own = own.iter().filter(|policy| policy.metadata.namespace.as_deref() == Some(namespace));
    own.map(|policy| of_namespace(&policy.spec)).fold(of_cluster, strictest)
}

fn of_cluster(policies: &[Arc<ClusterScanPolicy>], namespace: ChosenNamespace<'_>) -> EffectivePolicy {
    let applying = policy::applying(policies, namespace).into_iter();
    applying.map(|policy| of_one(policy, namespace)).reduce(strictest).unwrap_or_default()
}

/// The names of the policies that apply in a namespace: of the cluster, and its own as `NAMESPACE/NAME`; sorted.
pub(crate) fn names(
    policies: &[Arc<ClusterScanPolicy>],
    own: &[Arc<ScanPolicy>],
    namespace: ChosenNamespace<'_>,
) -> Vec<String> {
    let of_cluster =
        policy::applying(policies, namespace).into_iter().filter_map(|policy| policy.metadata.name.clone());
    let own = own.iter().filter(|policy| policy.metadata.namespace.as_deref() == Some(namespace.name));
    let own = own.filter_map(|policy| Some(format!("{}/{}", namespace.name, policy.metadata.name.as_deref()?)));
    let mut names: Vec<String> = of_cluster.chain(own).collect();
    names.sort();
    names
}

fn of_one(policy: &ClusterScanPolicy, namespace: ChosenNamespace<'_>) -> EffectivePolicy {
    let spec = &policy.spec;
    EffectivePolicy {
        criteria: spec.criteria(),
        mode: spec.mode_in(namespace.name),
        approval: spec.approval,
        required_approvals: people(spec.required_approvals),
        max_exception_days: spec.max_exception_days.filter(|days| *days > 0),
        alerts: receivers_of(policy, namespace),
    }
}

/// As lenient as it can be where it says nothing. Alerts go where the cluster's administrators say: the server sends them.
fn of_namespace(spec: &ScanPolicySpec) -> EffectivePolicy {
    EffectivePolicy {
        criteria: spec.criteria(),
        mode: spec.mode.unwrap_or(Mode::Audit),
        approval: spec.approval.unwrap_or(ApprovalMode::Automatic),
        required_approvals: people(spec.required_approvals.unwrap_or(1)),
        max_exception_days: spec.max_exception_days.filter(|days| *days > 0),
        alerts: Vec::new(),
    }
}

/// Nobody is not enough, whatever was written before the schema said so.
fn people(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).max(1)
}

fn strictest(a: EffectivePolicy, b: EffectivePolicy) -> EffectivePolicy {
    let mut alerts = a.alerts;
    // One that two policies have is told once.
    let is_new = |other: &PolicyReceiver| alerts.iter().all(|known| known.receiver != other.receiver);
    let more: Vec<_> = b.alerts.into_iter().filter(is_new).collect();
    alerts.extend(more);
    let manual = a.approval == ApprovalMode::Manual || b.approval == ApprovalMode::Manual;
    EffectivePolicy {
        criteria: a.criteria.strictest(&b.criteria),
        mode: a.mode.max(b.mode),
        required_approvals: a.required_approvals.max(b.required_approvals),
        max_exception_days: [a.max_exception_days, b.max_exception_days].into_iter().flatten().min(),
        approval: if manual { ApprovalMode::Manual } else { ApprovalMode::Automatic },
        alerts,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::decide::enforced::{self, NamespaceSelection};
    use ApprovalMode::{Automatic, Manual};
    use Mode::{Audit, Enforce, Warn};
    use serde_json::{Value, json};
    use tidewaiter_core::severity::Severity;

    pub(crate) fn policies(specs: &[Value]) -> Vec<Arc<ClusterScanPolicy>> {
        let one = |spec: &Value| Arc::new(ClusterScanPolicy::new("p", serde_json::from_value(spec.clone()).unwrap()));
        specs.iter().map(one).collect()
    }

    #[test]
    fn the_strictest_of_those_that_name_the_namespace_applies() {
        let check = |specs: &[Value], mode: Mode, approval: ApprovalMode, block_at: Severity| {
            let found = effective(&policies(specs), &[], "a", Some(&Labels::new()));
            assert_eq!(
                (found.mode, found.approval, found.criteria.block_at),
                (mode, approval, Some(block_at)),
                "{specs:?}"
            );
        };
        let here = |change: Value| {
            let mut spec = json!({"namespaces": ["a"]});
            change.as_object().unwrap().iter().for_each(|(key, value)| spec[key] = value.clone());
            spec
        };
        check(&[], Enforce, Automatic, Severity::Critical);
        check(&[json!({"approval": "Manual"})], Enforce, Manual, Severity::Critical);
        check(&[json!({"namespaces": ["b"], "mode": "Audit"})], Enforce, Automatic, Severity::Critical);
        // One that names the namespace replaces those for all others, also where it is more lenient.
        check(
            &[json!({"approval": "Manual", "blockAt": "LOW"}), here(json!({"mode": "Audit"}))],
            Audit,
            Automatic,
            Severity::Critical,
        );
        // Of several, each field by itself.
        check(&[here(json!({"mode": "Audit"})), here(json!({"blockAt": "HIGH"}))], Enforce, Automatic, Severity::High);
        check(
            &[here(json!({"mode": "Audit", "approval": "Manual"})), here(json!({"mode": "Audit", "blockAt": "LOW"}))],
            Audit,
            Manual,
            Severity::Low,
        );
        check(&[here(json!({"mode": "Audit"})), here(json!({"mode": "Warn"}))], Warn, Automatic, Severity::Critical);
        check(&[here(json!({"mode": "Warn"})), here(json!({}))], Enforce, Automatic, Severity::Critical);
        check(&[json!({"blockAt": "LOW"}), json!({"blockAt": "HIGH"})], Enforce, Automatic, Severity::Low);
    }

    #[test]
    fn a_namespace_may_only_be_stricter() {
        let own = |specs: &[Value]| {
            let one = |spec: &Value| {
                let mut policy = ScanPolicy::new("own", serde_json::from_value(spec.clone()).unwrap());
                policy.metadata.namespace = Some("a".to_owned());
                Arc::new(policy)
            };
            specs.iter().map(one).collect::<Vec<_>>()
        };
        let check = |cluster: Value, specs: &[Value], expected: EffectivePolicy| {
            let (cluster, own) = (policies(&[cluster]), own(specs));
            let of = |own: &[Arc<ScanPolicy>], namespace: &str| effective(&cluster, own, namespace, None);
            assert_eq!(of(&own, "a"), expected, "{specs:?}");
            assert_eq!(of(&own, "b"), of(&[], "b"), "{specs:?}");
        };
        let strict = EffectivePolicy::default();
        // Nothing it says is weaker than what the cluster's policies say.
        let weakest = json!({"mode": "Audit", "blockAt": "CRITICAL", "unrated": "Allow", "incomplete": "Allow",
            "maxDatabaseAgeDays": 0, "approval": "Automatic"});
        check(json!({}), &[], strict.clone());
        check(json!({}), &[json!({}), weakest.clone()], strict.clone());
        check(json!({"approval": "Manual"}), &[weakest], EffectivePolicy { approval: Manual, ..strict.clone() });
        let high = Policy { block_at: Some(Severity::High), max_database_age_days: Some(1), ..Policy::default() };
        let stricter = json!({"blockAt": "HIGH", "maxDatabaseAgeDays": 1, "approval": "Manual", "mode": "Enforce",
            "requiredApprovals": 2});
        let expected = EffectivePolicy { criteria: high, approval: Manual, required_approvals: 2, ..strict };
        check(json!({"mode": "Warn"}), std::slice::from_ref(&stricter), expected);
        let enforced = |specs: &[Value], mode: &str, excluded: &[String]| {
            enforced::enforced_namespaces(&policies(&[json!({"mode": mode})]), &own(specs), &[], excluded)
        };
        assert_eq!(
            enforced(std::slice::from_ref(&stricter), "Warn", &[]),
            NamespaceSelection::Only(vec!["a".to_owned()])
        );
        assert_eq!(enforced(&[stricter], "Warn", &["a".to_owned()]), NamespaceSelection::Only(vec![]));
        assert_eq!(enforced(&[json!({"mode": "Warn"})], "Enforce", &[]), NamespaceSelection::AllBut(vec![]));
    }

    #[test]
    fn a_weaker_policy_is_enforced_where_it_says_so() {
        let check = |specs: &[Value], expected: Mode| {
            assert_eq!(effective(&policies(specs), &[], "a", None).mode, expected, "{specs:?}");
        };
        let warn = |namespaces: &[&str], enforced: &[&str]| json!({"mode": "Warn", "namespaces": namespaces, "enforcedNamespaces": enforced});
        check(&[warn(&[], &["a"])], Enforce);
        check(&[warn(&[], &["b"])], Warn);
        check(&[warn(&["a", "b"], &["b", "a"])], Enforce);
        // One that does not apply enforces nothing, and one that is enforced anyway is not weakened by its list.
        check(&[warn(&["b"], &["a"]), warn(&[], &[])], Warn);
        check(&[warn(&[], &["a"]), warn(&["a"], &[])], Warn);
        check(&[json!({"enforcedNamespaces": ["b"]})], Enforce);
        check(&[warn(&[], &[]), warn(&[], &["a"])], Enforce);
    }

    #[test]
    fn alerts_go_to_every_receiver_once() {
        let to = |urls: &[&str]| json!({"alerts": urls.iter().map(|url| json!({"url": url})).collect::<Vec<_>>()});
        let check = |specs: &[Value], expected: &[&str]| {
            let found = effective(&policies(specs), &[], "a", None).alerts;
            assert_eq!(found.iter().filter_map(|one| one.receiver.url.as_deref()).collect::<Vec<_>>(), expected);
        };
        check(&[], &[]);
        check(&[to(&["x"]), to(&["x", "y"])], &["x", "y"]);
        check(&[to(&["x", "y"]), to(&["x", "y"])], &["x", "y"]);
    }

    /// A policy that applies where a namespace has the label `gate` with this value.
    pub(crate) fn by_label(value: &str, change: Value) -> Value {
        let mut spec = json!({"namespaceSelector": {"matchLabels": {"gate": value}}});
        change.as_object().unwrap().iter().for_each(|(key, value)| spec[key] = value.clone());
        spec
    }

    /// What an administrator says of a label applies from the first moment, whatever the server has seen of it.
    #[test]
    fn a_namespace_that_was_not_seen_yet_has_the_strictest_policy() {
        let on: Labels = [("gate".to_owned(), "on".to_owned())].into();
        let check = |specs: &[Value], labelled: Mode, other: Mode, unseen: Mode| {
            let policies = policies(specs);
            let of = |labels: Option<&Labels>| effective(&policies, &[], "a", labels).mode;
            assert_eq!((of(Some(&on)), of(Some(&Labels::new())), of(None)), (labelled, other, unseen), "{specs:?}");
        };
        let (audit, warn, enforce) = (json!({"mode": "Audit"}), json!({"mode": "Warn"}), json!({}));
        check(&[warn.clone(), by_label("on", enforce.clone())], Enforce, Warn, Enforce);
        check(&[enforce.clone(), by_label("on", warn.clone())], Warn, Enforce, Enforce);
        check(&[warn.clone(), by_label("on", audit.clone())], Audit, Warn, Warn);
        check(&[audit.clone(), by_label("on", warn.clone()), by_label("off", enforce.clone())], Warn, Audit, Enforce);
        // No policy for all others: they are enforced.
        check(&[by_label("on", warn.clone())], Warn, Enforce, Enforce);
        // One that names it leaves no doubt.
        let named = json!({"namespaces": ["a"], "mode": "Warn"});
        check(&[enforce, named.clone()], Warn, Warn, Warn);
        check(&[warn, named, by_label("off", audit)], Warn, Warn, Warn);
    }

    #[test]
    fn the_shortest_limit_of_exceptions_counts() {
        let check = |specs: &[Value], expected: Option<u32>| {
            let found = effective(&policies(specs), &[], "a", None).max_exception_days;
            assert_eq!(found, expected, "{specs:?}");
        };
        let days = |days: u32| json!({"maxExceptionDays": days});
        check(&[json!({})], None);
        check(&[days(90)], Some(90));
        check(&[days(90), days(30), json!({})], Some(30));
        check(&[days(0)], None);
        check(&[days(90), json!({"namespaces": ["a"]})], None);
    }
}
