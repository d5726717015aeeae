//! The policy that applies in a namespace, and the namespaces that are enforced.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidewaiter_core::policy::Policy;
use tidewaiter_crd::policy::{self, AlertReceiver, ApprovalMode, ClusterScanPolicySpec, Mode};
use tidewaiter_crd::scan_policy::ScanPolicySpec;
use tidewaiter_crd::{ClusterScanPolicy, ScanPolicy};

/// The policy of one namespace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EffectivePolicy {
    pub(crate) criteria: Policy,
    pub(crate) mode: Mode,
    pub(crate) approval: ApprovalMode,
    /// People who must approve, where one must.
    pub(crate) required_approvals: usize,
    pub(crate) alerts: Vec<AlertReceiver>,
}

impl Default for EffectivePolicy {
    fn default() -> Self {
        EffectivePolicy {
            criteria: Policy::default(),
            mode: Mode::Enforce,
            approval: ApprovalMode::Automatic,
            required_approvals: 1,
            alerts: Vec::new(),
        }
    }
}

/// The policies that name the namespace, else those that name none, and its own ScanPolicies; of several the strictest value
/// of each field. Without any policy of the cluster the defaults apply: an unlisted namespace is enforced.
pub(crate) fn effective(
    policies: &[Arc<ClusterScanPolicy>],
    own: &[Arc<ScanPolicy>],
    namespace: &str,
) -> EffectivePolicy {
    let applying = policy::applying(policies, namespace).into_iter();
    let of_cluster = applying.map(|policy| of_one(&policy.spec, namespace)).reduce(strictest).unwrap_or_default();
    let own = own.iter().filter(|policy| policy.metadata.namespace.as_deref() == Some(namespace));
    own.map(|policy| of_namespace(&policy.spec)).fold(of_cluster, strictest)
}

/// The names of the policies that apply in a namespace: of the cluster, and its own as `NAMESPACE/NAME`; sorted.
pub(crate) fn names(policies: &[Arc<ClusterScanPolicy>], own: &[Arc<ScanPolicy>], namespace: &str) -> Vec<String> {
    let of_cluster =
        policy::applying(policies, namespace).into_iter().filter_map(|policy| policy.metadata.name.clone());
    let own = own.iter().filter(|policy| policy.metadata.namespace.as_deref() == Some(namespace));
    let own = own.filter_map(|policy| Some(format!("{namespace}/{}", policy.metadata.name.as_deref()?)));
    let mut names: Vec<String> = of_cluster.chain(own).collect();
    names.sort();
    names
}

fn of_one(spec: &ClusterScanPolicySpec, namespace: &str) -> EffectivePolicy {
    EffectivePolicy {
        criteria: spec.criteria(),
        mode: spec.mode_in(namespace),
        approval: spec.approval,
        required_approvals: people(spec.required_approvals),
        alerts: spec.alerts.clone(),
    }
}

/// As lenient as it can be where it says nothing. Alerts go where the cluster's administrators say: the server sends them.
fn of_namespace(spec: &ScanPolicySpec) -> EffectivePolicy {
    EffectivePolicy {
        criteria: spec.criteria(),
        mode: spec.mode.unwrap_or(Mode::Audit),
        approval: spec.approval.unwrap_or(ApprovalMode::Automatic),
        required_approvals: people(spec.required_approvals.unwrap_or(1)),
        alerts: Vec::new(),
    }
}

/// Nobody is not enough, whatever was written before the schema said so.
fn people(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).max(1)
}

/// The enforced namespaces, as selectors can express them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NamespaceSelection {
    /// All but these.
    AllBut(Vec<String>),
    /// Only these.
    Only(Vec<String>),
}

impl NamespaceSelection {
    /// Whether a namespace is enforced.
    pub(crate) fn contains(&self, namespace: &str) -> bool {
        match self {
            NamespaceSelection::AllBut(names) => !names.iter().any(|name| name == namespace),
            NamespaceSelection::Only(names) => names.iter().any(|name| name == namespace),
        }
    }
}

/// The enforced namespaces; `excluded` ones never are.
pub(crate) fn enforced_namespaces(
    policies: &[Arc<ClusterScanPolicy>],
    own: &[Arc<ScanPolicy>],
    excluded: &[String],
) -> NamespaceSelection {
    let enforced = |namespace: &str| effective(policies, own, namespace).mode == Mode::Enforce;
    let names = |p: &Arc<ClusterScanPolicy>| [p.spec.namespaces.clone(), p.spec.enforced_namespaces.clone()].concat();
    let mut named: Vec<String> = policies.iter().flat_map(names).collect();
    named.extend(own.iter().filter_map(|policy| policy.metadata.namespace.clone()));
    named.sort();
    named.dedup();
    // No namespace has an empty name: what applies to it applies to every namespace that no policy names.
    if enforced("") {
        named.retain(|namespace| !enforced(namespace));
        named.extend(excluded.iter().cloned());
        named.sort();
        named.dedup();
        NamespaceSelection::AllBut(named)
    } else {
        named.retain(|namespace| enforced(namespace) && !excluded.contains(namespace));
        NamespaceSelection::Only(named)
    }
}

/// What the policies and bindings of the cluster say about the time before now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnforcedBefore {
    /// The namespaces that were enforced; what runs in others is retained. None: nothing ever was.
    pub(crate) namespaces: Option<NamespaceSelection>,
    /// Whether enforcement was interrupted: what started meanwhile was not decided.
    pub(crate) interrupted: bool,
}

/// Compares what the server remembers with what is bound now. The bindings alone prove nothing: deleted ones look like a new
/// installation, and whoever deletes them must not have what starts meanwhile retained.
pub(crate) fn enforced_before(
    remembered: Option<NamespaceSelection>,
    bound: Option<NamespaceSelection>,
    wanted: &NamespaceSelection,
) -> EnforcedBefore {
    let Some(remembered) = remembered else {
        // A first installation, or that of a version without memory.
        return EnforcedBefore { namespaces: bound, interrupted: false };
    };
    // The server ended after it had changed the bindings and before it remembered that.
    if bound.as_ref() == Some(wanted) {
        return EnforcedBefore { namespaces: bound, interrupted: false };
    }
    EnforcedBefore { interrupted: bound.as_ref() != Some(&remembered), namespaces: Some(remembered) }
}

fn strictest(a: EffectivePolicy, b: EffectivePolicy) -> EffectivePolicy {
    let mut alerts = a.alerts;
    alerts.extend(b.alerts);
    alerts.dedup();
    let manual = a.approval == ApprovalMode::Manual || b.approval == ApprovalMode::Manual;
    EffectivePolicy {
        criteria: a.criteria.strictest(&b.criteria),
        mode: a.mode.max(b.mode),
        required_approvals: a.required_approvals.max(b.required_approvals),
        approval: if manual { ApprovalMode::Manual } else { ApprovalMode::Automatic },
        alerts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ApprovalMode::{Automatic, Manual};
    use Mode::{Audit, Enforce, Warn};
    use serde_json::{Value, json};
    use tidewaiter_core::severity::Severity;

    fn policies(specs: &[Value]) -> Vec<Arc<ClusterScanPolicy>> {
        let one = |spec: &Value| Arc::new(ClusterScanPolicy::new("p", serde_json::from_value(spec.clone()).unwrap()));
        specs.iter().map(one).collect()
    }

    #[test]
    fn the_strictest_of_those_that_name_the_namespace_applies() {
        let check = |specs: &[Value], mode: Mode, approval: ApprovalMode, block_at: Severity| {
            let found = effective(&policies(specs), &[], "a");
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
            assert_eq!(effective(&cluster, &own, "a"), expected, "{specs:?}");
            assert_eq!(effective(&cluster, &own, "b"), effective(&cluster, &[], "b"), "{specs:?}");
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
            enforced_namespaces(&policies(&[json!({"mode": mode})]), &own(specs), excluded)
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
            assert_eq!(effective(&policies(specs), &[], "a").mode, expected, "{specs:?}");
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
            let found = effective(&policies(specs), &[], "a").alerts;
            assert_eq!(found.iter().map(|receiver| receiver.url.as_str()).collect::<Vec<_>>(), expected);
        };
        check(&[], &[]);
        check(&[to(&["x"]), to(&["x", "y"])], &["x", "y"]);
    }

    #[test]
    fn the_enforced_namespaces() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let check = |specs: &[Value], excluded: &[&str], expected: NamespaceSelection, samples: &[(&str, bool)]| {
            let found = enforced_namespaces(&policies(specs), &[], &names(excluded));
            samples.iter().for_each(|(name, contained)| assert_eq!(found.contains(name), *contained, "{name}"));
            assert_eq!(found, expected, "{specs:?}");
        };
        let (all_but, only) = (NamespaceSelection::AllBut, NamespaceSelection::Only);
        let audit = |namespaces: &[&str]| json!({"mode": "Audit", "namespaces": namespaces});
        let enforce = |namespaces: &[&str]| json!({"namespaces": namespaces});
        check(&[], &["z"], all_but(names(&["z"])), &[("a", true), ("z", false)]);
        check(&[audit(&["a"])], &["z"], all_but(names(&["a", "z"])), &[("a", false), ("b", true)]);
        check(&[audit(&["a", "b"]), enforce(&["b"])], &[], all_but(names(&["a"])), &[("b", true)]);
        check(&[audit(&[])], &["z"], only(names(&[])), &[("a", false)]);
        check(&[json!({"mode": "Warn"})], &["z"], only(names(&[])), &[("a", false)]);
        check(&[audit(&[]), enforce(&["c", "z"])], &["z"], only(names(&["c"])), &[("c", true), ("z", false)]);
        let warn = json!({"mode": "Warn", "enforcedNamespaces": ["c", "z"]});
        check(std::slice::from_ref(&warn), &["z"], only(names(&["c"])), &[("c", true), ("z", false)]);
        check(&[warn, audit(&["c"])], &[], only(names(&["z"])), &[("c", false)]);
        let here = json!({"mode": "Warn", "namespaces": ["a", "b"], "enforcedNamespaces": ["a"]});
        check(&[here], &[], all_but(names(&["b"])), &[("a", true), ("b", false)]);
    }

    #[test]
    fn deleted_bindings_are_no_new_installation() {
        let only = |name: &str| NamespaceSelection::Only(vec![name.to_owned()]);
        let check = |remembered: &str, bound: &str, wanted: &str, expected: (&str, bool)| {
            let some = |name: &str| (!name.is_empty()).then(|| only(name));
            let found = enforced_before(some(remembered), some(bound), &only(wanted));
            let expected = EnforcedBefore { namespaces: some(expected.0), interrupted: expected.1 };
            assert_eq!(found, expected, "{remembered:?} {bound:?} {wanted:?}");
        };
        check("", "", "a", ("", false));
        check("", "a", "a", ("a", false));
        check("a", "a", "a", ("a", false));
        // The policy changed.
        check("a", "a", "b", ("a", false));
        // Deleted, or changed by somebody.
        check("a", "", "a", ("a", true));
        check("a", "", "b", ("a", true));
        check("a", "c", "a", ("a", true));
        // The server was killed between the two writes.
        check("a", "b", "b", ("b", false));
    }
}
