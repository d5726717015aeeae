//! What is known of the images of a namespace well enough that nobody waits for it: runs of their scans that answer for a
//! workload, in the cluster as the index shows it.

use crate::context::ServerContext;
use crate::decide::image_scan::{self as decide_scan, is_pending};
use crate::decide::images;
use crate::decide::known::{is_unrecorded, pins_of_new, revision_of_new};
use crate::decide::pod_owner::PodOwner;
use crate::decide::workload_ref::WorkloadRef;
use crate::scan::pull_secrets;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::ResourceExt as _;
use std::collections::BTreeMap;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::policy::ApprovalMode;
use tidewaiter_crd::workload_scan::ScanRef;

/// Whether a workload was seen before, which decides how old the digest of a tag may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkloadAge {
    /// It has no other revision.
    New,
    /// Its rollout may be meant to fetch what was pushed just now.
    Known,
}

/// Whether the requested run of an ImageScan answers for a workload that needs one now: it resolves the tag later than now,
/// or did it so recently that a new workload may use it, or there is no tag.
pub(crate) fn answers(ctx: &ServerContext, scan: &ImageScan, secrets: &[String], age: WorkloadAge) -> bool {
    // One without `rescan` is nobody's who waits: it would not be urgent.
    if scan.spec.rescan.is_none() || !has_secrets(scan, secrets) {
        return false;
    }
    let run = run_of(scan);
    if is_pending(scan) && !ctx.runs.has_begun(&run.uid, run.generation) {
        return true;
    }
    let fresh = images::digest(&scan.spec.image).is_some()
        || age == WorkloadAge::New && ctx.runs.is_recent(&run.uid, run.generation);
    fresh && (!has_ended(scan) || is_valid(ctx, scan))
}

/// The same for a workload that is about to be created, and only where the run has ended: what this finds is still so when the
/// controller asks [`answers`] a few seconds later.
fn answers_at_once(ctx: &ServerContext, scan: &ImageScan, secrets: &[String]) -> bool {
    let run = run_of(scan);
    let fresh = images::digest(&scan.spec.image).is_some() || ctx.runs.is_fresh(&run.uid, run.generation);
    scan.spec.rescan.is_some() && has_secrets(scan, secrets) && fresh && has_ended(scan) && is_valid(ctx, scan)
}

/// Whether a scan was requested with these pull secrets.
pub(crate) fn has_secrets(scan: &ImageScan, secrets: &[String]) -> bool {
    secrets.iter().all(|name| scan.spec.pull_secrets.contains(name))
}

fn run_of(scan: &ImageScan) -> ScanRef {
    ScanRef { uid: scan.uid().unwrap_or_default(), generation: scan.metadata.generation.unwrap_or_default() }
}

fn has_ended(scan: &ImageScan) -> bool {
    scan.status.as_ref().is_some_and(|status| status.is_final(run_of(scan).generation))
}

/// Whether an ImageScan has a result by the database as it is, for all nodes.
fn is_valid(ctx: &ServerContext, scan: &ImageScan) -> bool {
    let platforms = decide_scan::platforms(scan, &ctx.index.platforms());
    let database = ctx.database.state();
    let current = database.id().is_some_and(|id| decide_scan::is_current(scan, &platforms, id, Timestamp::now()));
    current && scan.status.as_ref().is_some_and(|status| !decide_scan::has_failed(status))
}

/// Name → pinned image of a new workload of this namespace that needs neither a scan nor a person, and whose digests the API
/// server's own list allows by now: should the server end here, its Pods start all the same, by these digests.
pub(crate) fn new_workload(ctx: &ServerContext, namespace: &str, spec: &PodSpec) -> Option<BTreeMap<String, String>> {
    let approval = ctx.policy(namespace).approval;
    if approval != ApprovalMode::Automatic {
        return None;
    }
    let secrets = pull_secrets::names(&ctx.index.service_accounts, namespace, spec);
    let ended_run = |image: &str| {
        let scan = ctx.index.image_scan(namespace, image)?;
        answers_at_once(ctx, &scan, &secrets).then(|| run_of(&scan))
    };
    let revision = revision_of_new(images::of(spec), ended_run);
    let scans = ctx.index.known_scans(namespace, &revision);
    let pins = pins_of_new(revision, &scans, approval)?;
    let digests = pins.values().map(|image| images::digest(image));
    ctx.written_allowlists.enforces(namespace, digests).then_some(pins)
}

/// The same for a Pod of a Deployment that passed admission as a [`new_workload`] and is not recorded yet: its record is
/// milliseconds behind.
pub(crate) fn unrecorded_pod(ctx: &ServerContext, namespace: &str, pod: &Pod) -> Option<BTreeMap<String, String>> {
    let PodOwner::Template { workload, template } = ctx.index.pod_owner(pod, namespace) else { return None };
    let spec = pod.spec.as_ref().filter(|_| is_unrecorded_pod(ctx, pod, &workload, &template))?;
    new_workload(ctx, namespace, spec)
}

/// Whether a Pod is of a Deployment that exists and is not recorded yet, by its very template.
pub(crate) fn is_unrecorded_pod(ctx: &ServerContext, pod: &Pod, workload: &WorkloadRef, template: &str) -> bool {
    let Some(deployment) = ctx.index.deployment(workload) else { return false };
    let record = ctx.index.record(workload);
    let status = record.as_ref().and_then(|record| record.status.as_ref());
    is_unrecorded(pod, template, &deployment, status)
}
