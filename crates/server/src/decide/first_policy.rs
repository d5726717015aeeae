//! Whether the server begins with a policy of its own: only where nothing was ever enforced, so that a new installation warns
//! first and no upgrade, restart or deletion weakens anything.

use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::names::DEFAULT_POLICY;
use tidewaiter_crd::policy::{ClusterScanPolicySpec, Mode};

/// Traces of tidewaiter in a cluster, as the API server has them at the start of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct InstallationTraces {
    /// A policy exists.
    pub(crate) policy: bool,
    /// It is remembered which namespaces were enforced.
    pub(crate) memory: bool,
    /// A webhook, admission policy or binding is registered.
    pub(crate) registration: bool,
    /// A workload has a record.
    pub(crate) record: bool,
}

/// The policy of a new installation; `None` where there is any trace of an older one. What has no policy is enforced: a deleted
/// one must not come back as a weaker one.
pub(crate) fn first_policy(traces: InstallationTraces) -> Option<ClusterScanPolicy> {
    let spec = ClusterScanPolicySpec { mode: Mode::Warn, ..ClusterScanPolicySpec::default() };
    (traces == InstallationTraces::default()).then(|| ClusterScanPolicy::new(DEFAULT_POLICY, spec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::enforced::{NamespaceSelection, enforced_namespaces};
    use serde_json::json;
    use std::sync::Arc;
    use tidewaiter_core::policy::Policy;

    #[test]
    fn any_trace_of_an_older_installation_is_left_alone() {
        let check = |policy: bool, memory: bool, registration: bool, record: bool, created: bool| {
            let traces = InstallationTraces { policy, memory, registration, record };
            assert_eq!(first_policy(traces).is_some(), created, "{traces:?}");
        };
        check(false, false, false, false, true);
        // An upgrade, whatever its policy says.
        check(true, true, true, true, false);
        check(true, false, false, false, false);
        // Its policy was deleted, and then its memory or its bindings too.
        check(false, true, true, true, false);
        check(false, true, false, false, false);
        check(false, false, true, false, false);
        check(false, false, false, true, false);
    }

    #[test]
    fn a_new_installation_warns_by_the_default_criteria() {
        let policy = first_policy(InstallationTraces::default()).unwrap();
        assert_eq!(policy.spec.criteria(), Policy::default());
        let excluded = ["kube-system".to_owned()];
        assert_eq!(
            enforced_namespaces(&[Arc::new(policy.clone())], &[], &[], &excluded),
            NamespaceSelection::Only(vec![])
        );
        // In full, so that people see what there is to change.
        let expected = json!({"mode": "Warn", "blockAt": "CRITICAL", "unrated": "Warn", "incomplete": "Hold",
            "maxDatabaseAgeDays": 5, "approval": "Automatic"});
        assert_eq!(serde_json::to_value(policy.spec).unwrap(), expected);
    }
}
