//! Which policy applies in a namespace.

use std::sync::Arc;
use tidewaiter_core::policy::Policy;
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::policy::{Alert, ApprovalMode, Mode};

/// What applies in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effective {
    pub(crate) criteria: Policy,
    pub(crate) mode: Mode,
    pub(crate) approval: ApprovalMode,
    pub(crate) alerts: Vec<Alert>,
}

impl Default for Effective {
    fn default() -> Self {
        Effective {
            criteria: Policy::default(),
            mode: Mode::Enforce,
            approval: ApprovalMode::Automatic,
            alerts: Vec::new(),
        }
    }
}

/// The policies that name the namespace, else those that name none; of several the strictest of each field.
/// Without any policy the defaults apply: a namespace nobody listed is enforced.
pub(crate) fn effective(policies: &[Arc<ClusterScanPolicy>], namespace: &str) -> Effective {
    let named: Vec<_> = policies.iter().filter(|p| p.spec.namespaces.iter().any(|n| n == namespace)).collect();
    let applying = match named.is_empty() {
        true => policies.iter().filter(|p| p.spec.namespaces.is_empty()).collect(),
        false => named,
    };
    let one = |policy: &&Arc<ClusterScanPolicy>| Effective {
        criteria: policy.spec.criteria(),
        mode: policy.spec.mode,
        approval: policy.spec.approval,
        alerts: policy.spec.alerts.clone(),
    };
    applying.iter().map(one).reduce(strictest).unwrap_or_default()
}

/// Which namespaces are enforced, as a requirement on the label that holds a namespace's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All but these.
    AllBut(Vec<String>),
    /// These alone.
    Only(Vec<String>),
}

impl Selection {
    /// Whether a namespace is one of them.
    pub(crate) fn holds(&self, namespace: &str) -> bool {
        match self {
            Selection::AllBut(names) => !names.iter().any(|name| name == namespace),
            Selection::Only(names) => names.iter().any(|name| name == namespace),
        }
    }
}

/// Which namespaces are enforced; `excluded` ones never are.
pub(crate) fn selection(policies: &[Arc<ClusterScanPolicy>], excluded: &[String]) -> Selection {
    let enforced = |namespace: &str| effective(policies, namespace).mode == Mode::Enforce;
    let mut named: Vec<String> = policies.iter().flat_map(|p| p.spec.namespaces.clone()).collect();
    named.sort();
    named.dedup();
    // No namespace is named so: what applies to it applies to all that no policy names.
    if enforced("") {
        named.retain(|namespace| !enforced(namespace));
        named.extend(excluded.iter().cloned());
        named.sort();
        named.dedup();
        Selection::AllBut(named)
    } else {
        named.retain(|namespace| enforced(namespace) && !excluded.contains(namespace));
        Selection::Only(named)
    }
}

fn strictest(a: Effective, b: Effective) -> Effective {
    let mut alerts = a.alerts;
    alerts.extend(b.alerts);
    alerts.dedup();
    let enforce = a.mode == Mode::Enforce || b.mode == Mode::Enforce;
    let manual = a.approval == ApprovalMode::Manual || b.approval == ApprovalMode::Manual;
    Effective {
        criteria: a.criteria.strictest(&b.criteria),
        mode: if enforce { Mode::Enforce } else { Mode::Audit },
        approval: if manual { ApprovalMode::Manual } else { ApprovalMode::Automatic },
        alerts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidewaiter_core::severity::Severity;

    #[test]
    fn the_strictest_of_those_that_name_the_namespace_applies() {
        let policy = |name: &str, spec: serde_json::Value| {
            Arc::new(ClusterScanPolicy::new(name, serde_json::from_value(spec).unwrap()))
        };
        let policies = [
            policy("all", json!({"approval": "Manual"})),
            policy("a", json!({"namespaces": ["a", "b"], "mode": "Audit"})),
            policy("b", json!({"namespaces": ["b"], "blockAt": "HIGH"})),
        ];
        let check = |namespace: &str, mode: Mode, approval: ApprovalMode, block_at: Severity| {
            let found = effective(&policies, namespace);
            assert_eq!(
                (found.mode, found.approval, found.criteria.block_at),
                (mode, approval, block_at),
                "{namespace}"
            );
        };
        check("x", Mode::Enforce, ApprovalMode::Manual, Severity::Critical);
        check("a", Mode::Audit, ApprovalMode::Automatic, Severity::Critical);
        check("b", Mode::Enforce, ApprovalMode::Automatic, Severity::High);
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(selection(&policies, &names(&["z"])), Selection::AllBut(names(&["a", "z"])));
        let audit = [policy("all", json!({"mode": "Audit"})), policy("c", json!({"namespaces": ["c"]}))];
        assert_eq!(selection(&audit, &names(&["z"])), Selection::Only(names(&["c"])));
        assert_eq!(effective(&[], "x"), Effective::default());
    }
}
