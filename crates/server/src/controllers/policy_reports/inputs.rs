//! What a workload's report follows from, and whether any of it changed.

use crate::context::ServerContext;
use crate::decide::policy::{self, EffectivePolicy};
use crate::decide::workload_ref::WorkloadRef;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::ResourceExt as _;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use tidewaiter_crd::workload_scan::Revision;
use tidewaiter_crd::{ChosenNamespace, ScanException, WorkloadScan};

/// The policy of a namespace, and what its findings are excepted by.
#[derive(Debug)]
pub(super) struct PolicyOfNamespace {
    pub(super) names: Vec<String>,
    pub(super) effective: EffectivePolicy,
    version: u64,
}

impl PolicyOfNamespace {
    /// As it is now.
    pub(super) fn of(ctx: &ServerContext, namespace: &str) -> Self {
        let labels = ctx.index.labels_of(namespace).unwrap_or_default();
        let chosen = ChosenNamespace::new(namespace, &labels);
        let names = policy::names(&ctx.index.policies.state(), &ctx.index.policies_in(namespace), chosen);
        let effective = ctx.policy(namespace);
        let mut hasher = DefaultHasher::new();
        names.hash(&mut hasher);
        // A few numbers and rules, as text: they have no hash of their own.
        format!("{:?} {:?}", effective.criteria, effective.max_exception_days).hash(&mut hasher);
        versions(&ctx.index.exceptions_in(namespace)).hash(&mut hasher);
        // Exceptions end on a day, and rules ask how many have passed.
        Timestamp::now().to_zoned(TimeZone::UTC).date().hash(&mut hasher);
        PolicyOfNamespace { names, effective, version: hasher.finish() }
    }
}

/// Of what exceptions say, and not of what the server notes in their status; the same in whatever order the watch has them.
fn versions(exceptions: &[Arc<ScanException>]) -> BTreeSet<(Option<String>, Option<i64>)> {
    exceptions.iter().map(|exception| (exception.uid(), exception.metadata.generation)).collect()
}

/// What a report is made of.
#[derive(Debug)]
pub(super) struct ReportInput<'a> {
    pub(super) workload: WorkloadRef,
    /// The revision that the record's statuses describe.
    pub(super) revision: &'a Revision,
    version: u64,
}

impl<'a> ReportInput<'a> {
    /// That of a record; `None` while it has no revision.
    pub(super) fn of(ctx: &ServerContext, record: &'a WorkloadScan, policy: &PolicyOfNamespace) -> Option<Self> {
        let namespace = record.namespace().unwrap_or_default();
        let revision = record.status.as_ref()?.current_revision()?;
        let mut hasher = DefaultHasher::new();
        (record.uid(), record.resource_version(), policy.version).hash(&mut hasher);
        let images = revision.containers.values().flat_map(|c| [Some(&c.image), c.pinned.as_ref()]).flatten();
        for scan in images.filter_map(|image| ctx.index.image_scan(&namespace, image)) {
            (scan.uid(), scan.resource_version()).hash(&mut hasher);
        }
        let workload = WorkloadRef::recorded(&namespace, &record.spec);
        Some(ReportInput { workload, revision, version: hasher.finish() })
    }

    /// The same as long as nothing of it changed.
    pub(super) fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_is_that_of_what_exceptions_say() {
        let exception = |uid: &str, generation: i64, version: &str| {
            let object = json!({
                "metadata": {"name": "e", "uid": uid, "generation": generation, "resourceVersion": version},
                "spec": {"vulnerabilities": ["CVE-1"], "reason": "r", "expires": "2999-12-31", "requestedBy": "a"},
            });
            Arc::new(serde_json::from_value::<ScanException>(object).unwrap())
        };
        let before = versions(&[exception("a", 1, "1"), exception("b", 1, "2")]);
        let check = |now: &[Arc<ScanException>], is_same: bool| {
            assert_eq!(versions(now) == before, is_same, "{now:?}");
        };
        // The server wrote a status, and the watch has another order.
        check(&[exception("b", 1, "3"), exception("a", 1, "4")], true);
        check(&[exception("a", 2, "3"), exception("b", 1, "2")], false);
        check(&[exception("a", 1, "1")], false);
        check(&[exception("a", 1, "1"), exception("c", 1, "2")], false);
    }
}
