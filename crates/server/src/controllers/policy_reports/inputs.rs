//! What a workload's report follows from, and whether any of it changed.

use crate::context::ServerContext;
use crate::decide::policy::{self, EffectivePolicy};
use crate::decide::workload_ref::WorkloadRef;
use kube::ResourceExt as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use tidewaiter_crd::workload_scan::Revision;
use tidewaiter_crd::{ChosenNamespace, WorkloadScan};

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
        for exception in ctx.index.exceptions_in(namespace) {
            (exception.uid(), exception.resource_version()).hash(&mut hasher);
        }
        PolicyOfNamespace { names, effective, version: hasher.finish() }
    }
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
