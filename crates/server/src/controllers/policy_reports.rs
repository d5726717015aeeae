//! Writes a policy report of each workload, for tools that show such reports; off unless the administrator wants it
//! (`docs/policy-reports.md`).
//!
//! One task looks at all records, not one for each: what is written follows from many objects, and nobody waits for it. What a
//! report follows from is compared first, which reads nothing; then what it would say with what is written.

mod failures;
mod inputs;
mod reading;
mod writer;
mod written;

use crate::context::ServerContext;
use crate::decide::workload_report::{ReportApi, WorkloadReport, WorstResults, scanned_images, workload_report};
use inputs::{PolicyOfNamespace, ReportInput};
use jiff::Timestamp;
use reading::ImageReading;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewaiter_crd::WorkloadScan;
use writer::ReportWriter;
use written::WrittenKey;

pub(crate) use writer::resource;

/// Pause between two looks at what is there: who installs the definitions waits that long, and who deletes a report for the next.
const LOOK_PAUSE: Duration = Duration::from_secs(60);
/// Changes in a row are one: a scan, its verdict and the decision follow each other.
const SETTLE_PAUSE: Duration = Duration::from_secs(2);

/// Keeps the reports of all workloads, and removes those of an API that is not wanted any more, until the process ends.
pub(super) async fn follow(ctx: Arc<ServerContext>) {
    let wanted = |api: &ReportApi| api.is_wanted(ctx.settings.policy_reports);
    let (wanted, others): (Vec<ReportApi>, Vec<ReportApi>) = ReportApi::ALL.into_iter().partition(wanted);
    let mut writers: Vec<ReportWriter> = wanted.into_iter().map(ReportWriter::new).collect();
    let mut leftovers: Vec<ReportWriter> = others.into_iter().map(ReportWriter::new).collect();
    loop {
        let looked = Instant::now();
        leftovers = remove_leftovers(&ctx, leftovers).await;
        if writers.is_empty() && leftovers.is_empty() {
            return;
        }
        look(&ctx, &mut writers).await;
        write_changed(&ctx, &mut writers).await;
        while changed(&ctx, looked + LOOK_PAUSE).await {
            write_changed(&ctx, &mut writers).await;
        }
    }
}

/// Removes what an earlier setting wrote; returns those of which something may be left.
async fn remove_leftovers(ctx: &ServerContext, leftovers: Vec<ReportWriter>) -> Vec<ReportWriter> {
    let mut remaining = Vec::new();
    for mut writer in leftovers {
        if !writer.remove_all(ctx).await {
            remaining.push(writer);
        }
    }
    remaining
}

/// Looks what is written, and removes the reports of what is not a workload any more, or is excluded.
async fn look(ctx: &ServerContext, writers: &mut [ReportWriter]) {
    if writers.is_empty() {
        return;
    }
    let records = ctx.index.workloads.state();
    let exist: BTreeSet<WrittenKey> = records.iter().filter(|r| is_reported(ctx, r)).map(|r| key(r)).collect();
    for writer in writers {
        writer.look(ctx, &exist).await;
        writer.remove_others(ctx, &exist).await;
    }
}

/// Whether something changed before this moment; then all of it, mostly.
async fn changed(ctx: &ServerContext, until: Instant) -> bool {
    tokio::select! {
        () = ctx.queues.reported.notified() => {
            tokio::time::sleep(SETTLE_PAUSE).await;
            Instant::now() < until
        }
        () = tokio::time::sleep_until(until.into()) => false,
    }
}

/// Writes the reports that say something else than before.
async fn write_changed(ctx: &Arc<ServerContext>, writers: &mut [ReportWriter]) {
    let mut policies: HashMap<String, Arc<PolicyOfNamespace>> = HashMap::new();
    for record in ctx.index.workloads.state().iter().filter(|record| is_reported(ctx, record)) {
        let namespace = record.metadata.namespace.as_deref().unwrap_or_default();
        let of_namespace = || Arc::new(PolicyOfNamespace::of(ctx, namespace));
        let policy = policies.entry(namespace.to_owned()).or_insert_with(of_namespace);
        let Some(input) = ReportInput::of(ctx, record, policy) else { continue };
        let (key, version) = (key(record), input.version());
        let mut due: Vec<&mut ReportWriter> =
            writers.iter_mut().filter(|writer| writer.is_due(&key, version)).collect();
        if due.is_empty() {
            continue;
        }
        // One that lacks a scan, or a report, is written when it has it: that changes a record.
        let Some(report) = report_of(ctx, &input, policy).await else { continue };
        for writer in &mut due {
            writer.write(ctx, &key, version, &report).await;
        }
    }
    writers.iter().for_each(|writer| writer.show(&ctx.metrics));
}

async fn report_of(
    ctx: &Arc<ServerContext>,
    input: &ReportInput<'_>,
    policy: &Arc<PolicyOfNamespace>,
) -> Option<WorkloadReport> {
    let (namespace, now) = (&input.workload.namespace, Timestamp::now());
    let known = ctx.index.known_scans(namespace, input.revision);
    let mut worst = WorstResults::default();
    for image in scanned_images(input.revision, &known)? {
        let reading = ImageReading { namespace: namespace.clone(), image, policy: Arc::clone(policy), now };
        worst.add_all(reading.results(ctx).await?);
    }
    Some(workload_report(&input.workload, worst))
}

/// Whether a workload has a report: as long as it is there and its namespace is not excluded.
fn is_reported(ctx: &ServerContext, record: &WorkloadScan) -> bool {
    super::concerns(record, ctx)
}

fn key(record: &WorkloadScan) -> WrittenKey {
    let metadata = &record.metadata;
    WrittenKey {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}
