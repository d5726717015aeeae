//! What an ImageScan needs next, and the statuses that it gets.

use super::exception;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::finding::{Counts, Finding};
use tidewaiter_core::image::{Platform, Reference};
use tidewaiter_core::policy::{Outcome, Policy, Verdict};
use tidewaiter_core::report::Report;
use tidewaiter_core::status::ImageStatus;
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{ImageScanStatus, PlatformResult};
use tidewaiter_crd::workload_scan::{Decision, WorkloadScanStatus};

/// Pause after a first failure, doubled by each further one in a row: most registries are back within a minute.
const RETRY: Duration = Duration::from_secs(30);
/// Doublings at most, which makes 32 minutes: an image that is pushed late should not wait for hours.
const MAX_DOUBLINGS: u32 = 6;
/// Longest pause that a registry is believed: limits of public ones are per six hours at most.
const MAX_REQUESTED: Duration = Duration::from_secs(6 * 3600);
/// A finished scan that no workload uses is deleted after this long: what is deployed every night is not read every night.
const UNUSED_AGE: SignedDuration = SignedDuration::from_hours(24);
/// Shortest requeue of a scan that may become unused.
const MIN_EXPIRY_PAUSE: Duration = Duration::from_secs(3600);
/// Reasons in the object, of which etcd limits the size; the report holds all.
const MAX_REASONS: usize = 20;

/// The platforms to scan: those of the nodes, then those that the ImageScan asks for. Users can add platforms and never
/// remove one, so that nothing runs unscanned.
pub(crate) fn platforms(scan: &ImageScan, nodes: &[Platform]) -> Vec<Platform> {
    let requested = scan.spec.platforms.iter().filter_map(|p| p.parse().ok());
    let added: Vec<Platform> = requested.filter(|p| !nodes.contains(p)).collect();
    nodes.iter().cloned().chain(added).collect()
}

/// Whether the status is of this generation, this database and these platforms. A failure counts until its retry is due.
pub(crate) fn is_current(scan: &ImageScan, platforms: &[Platform], database: &str, now: Timestamp) -> bool {
    let Some(status) = &scan.status else { return false };
    let valid = if has_failed(status) {
        age(status, now).is_some_and(|age| age.as_secs() < retry_after(status).as_secs().cast_signed())
    } else {
        covers(status, platforms)
    };
    status.is_final(generation(scan)) && status.database.as_deref() == Some(database) && valid
}

/// Whether a status has a result of this generation for all of these platforms, of whatever database.
pub(crate) fn has_result(scan: &ImageScan, status: &ImageScanStatus, platforms: &[Platform]) -> bool {
    status.is_final(generation(scan)) && status.digest.is_some() && covers(status, platforms)
}

fn covers(status: &ImageScanStatus, platforms: &[Platform]) -> bool {
    platforms.iter().all(|platform| status.node_platforms.contains(&platform.to_string()))
}

fn generation(scan: &ImageScan) -> i64 {
    scan.metadata.generation.unwrap_or_default()
}

/// Whether a scan ended without a result. An incomplete report is a result although its image status is `ScanFailed`.
pub(crate) fn has_failed(status: &ImageScanStatus) -> bool {
    status.image_status == ImageStatus::ScanFailed && status.digest.is_none()
}

/// Pause from a failure to the next attempt: not before the registry accepts requests again.
pub(crate) fn retry_after(status: &ImageScanStatus) -> Duration {
    let doublings = status.failures.unwrap_or_default().saturating_sub(1).min(MAX_DOUBLINGS);
    let requested = Duration::from_secs(status.retry_after_seconds.unwrap_or_default().into());
    (RETRY * 2_u32.pow(doublings)).max(requested.min(MAX_REQUESTED))
}

fn age(status: &ImageScanStatus, now: Timestamp) -> Option<SignedDuration> {
    let finished = status.finished.as_ref()?.timestamp()?;
    // Whole seconds of both, as the object is compared by people.
    Some(SignedDuration::from_secs(now.as_second() - finished.as_second()))
}

/// What to do with a current ImageScan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// Requeue it after this long.
    Requeue(Duration),
    /// Delete it together with its reports.
    Delete,
}

/// Decides what to do with a current ImageScan; `used` says whether a workload uses its image.
pub(crate) fn upkeep(scan: &ImageScan, used: bool, now: Timestamp) -> Upkeep {
    if let Some(failed) = scan.status.as_ref().filter(|s| has_failed(s)) {
        return Upkeep::Requeue(retry_after(failed));
    }
    let left = match &scan.status {
        None => UNUSED_AGE,
        Some(status) => age(status, now).map_or(SignedDuration::ZERO, |age| UNUSED_AGE - age),
    };
    if !used && left <= SignedDuration::ZERO {
        return Upkeep::Delete;
    }
    Upkeep::Requeue(Duration::try_from(left).unwrap_or_default().max(MIN_EXPIRY_PAUSE))
}

/// Who waits for a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A held workload, or a person.
    Urgent,
    /// No one is waiting: the image already runs.
    Background,
}

/// The urgency of a scan; `users` are the workloads that use its image. What the server itself creates for running Pods
/// has no `rescan`; a person's scan has one, and no workload.
pub(crate) fn urgency<'a>(scan: &ImageScan, users: impl IntoIterator<Item = &'a WorkloadScanStatus>) -> Urgency {
    if scan.spec.rescan.is_none() {
        return Urgency::Background;
    }
    let mut users = users.into_iter().peekable();
    let is_held = |record: &WorkloadScanStatus| record.revisions.values().any(|r| r.decision == Decision::Held);
    if users.peek().is_none() || users.any(is_held) { Urgency::Urgent } else { Urgency::Background }
}

/// The registry of a scan's image; of what is no reference, none.
pub(crate) fn registry(scan: &ImageScan) -> String {
    scan.spec.image.parse::<Reference>().map(|image| image.registry().to_owned()).unwrap_or_default()
}

/// Whether a requested run has not begun: whoever needs one now can wait for that one, because it resolves the tag later than
/// now. One that runs may have resolved it already.
pub(crate) fn is_pending(scan: &ImageScan) -> bool {
    let generation = generation(scan);
    let begun = |s: &ImageScanStatus| s.image_status == ImageStatus::Scanning || s.observed_generation >= generation;
    !scan.status.as_ref().is_some_and(begun)
}

/// Whether the result of a running scan is still wanted; `now` is the object that its name leads to. A request for another run
/// takes nothing from this one: it begins afterwards.
pub(crate) fn is_wanted(scan: &ImageScan, now: Option<&ImageScan>) -> bool {
    now.is_some_and(|now| now.metadata.uid == scan.metadata.uid && now.metadata.deletion_timestamp.is_none())
}

/// The status while a scan runs. The completed result remains, for those who requested that one.
pub(crate) fn scanning(scan: &ImageScan) -> ImageScanStatus {
    ImageScanStatus {
        image_status: ImageStatus::Scanning,
        reason: None,
        message: "the scan is running".to_owned(),
        ..scan.status.clone().unwrap_or_default()
    }
}

/// Why a scan failed.
#[derive(Debug, Clone)]
pub(crate) struct FailedScan {
    pub(crate) reason: Reason,
    /// What happened, and what to do next.
    pub(crate) message: String,
    /// The pause that the registry asks for.
    pub(crate) retry_after: Option<Duration>,
    /// Whether anything was tried: what waits only for its registry has not failed once more.
    pub(crate) tried: bool,
}

/// What an image waits for whose registry accepts no more requests for so long. Nobody asks it before.
pub(crate) fn held_registry(registry: &str, pause: Duration) -> FailedScan {
    // In whole seconds, and not too early.
    let pause = Duration::from_secs(pause.as_secs() + u64::from(pause.subsec_nanos() > 0));
    let seconds = pause.as_secs();
    let message = format!("{registry}: rate limited: log in, or wait (it is asked again in {seconds} s)");
    FailedScan { reason: Reason::RateLimited, message, retry_after: Some(pause), tried: false }
}

/// The status after a failure.
pub(crate) fn failed(
    scan: &ImageScan,
    failure: FailedScan,
    database: Option<String>,
    now: Timestamp,
) -> ImageScanStatus {
    let generation = generation(scan);
    // A new request implies a fix, so the back-off restarts.
    let before = scan.status.as_ref().filter(|s| s.observed_generation == generation).and_then(|s| s.failures);
    ImageScanStatus {
        image_status: ImageStatus::ScanFailed,
        observed_generation: generation,
        failures: Some(before.unwrap_or_default().saturating_add(u32::from(failure.tried))),
        retry_after_seconds: failure.retry_after.map(|pause| u32::try_from(pause.as_secs()).unwrap_or(u32::MAX)),
        reason: Some(failure.reason),
        message: failure.message,
        database,
        finished: Some(now.into()),
        ..ImageScanStatus::default()
    }
}

/// The status without a database; `None` when nothing changes: a result remains valid, and a reason is said once.
pub(crate) fn without_database(scan: &ImageScan, why: String) -> Option<ImageScanStatus> {
    let status = scan.status.as_ref();
    if status.is_some_and(|s| s.is_final(generation(scan)) && s.digest.is_some()) {
        return None;
    }
    let new = ImageScanStatus { reason: Some(Reason::NoDatabase), message: why, ..ImageScanStatus::default() };
    let said = status.is_some_and(|s| s.reason == new.reason && s.message == new.message);
    (!said).then_some(new)
}

/// The status after a scan, without what follows from policy.
pub(crate) fn finished(
    scan: &ImageScan,
    platforms: &[Platform],
    digest: String,
    results: Vec<PlatformResult>,
    database: String,
    now: Timestamp,
) -> ImageScanStatus {
    ImageScanStatus {
        observed_generation: generation(scan),
        digest: Some(digest),
        node_platforms: platforms.iter().map(ToString::to_string).collect(),
        platforms: results,
        database: Some(database),
        finished: Some(now.into()),
        ..ImageScanStatus::default()
    }
}

/// The status after a re-match: of another database, with the same or new reports.
pub(crate) fn rematched(
    old: &ImageScanStatus,
    platforms: Vec<PlatformResult>,
    database: &str,
    now: Timestamp,
) -> ImageScanStatus {
    // Unchanged reports are not news: `finished` says since when the findings are what they are.
    let finished = if platforms == old.platforms { old.finished.clone() } else { Some(now.into()) };
    ImageScanStatus { database: Some(database.to_owned()), platforms, finished, ..old.clone() }
}

/// Fills in what follows from the reports by a policy at a time (the database ages).
pub(crate) fn with_verdict(
    status: ImageScanStatus,
    reports: &[Report],
    criteria: &Policy,
    now: Timestamp,
) -> ImageScanStatus {
    let Verdict { outcome, mut reasons, .. } = criteria.compile().decide_all(reports, now);
    reasons.truncate(MAX_REASONS);
    let counts = merged_counts(reports);
    let exceptions = exception::used(reports);
    let found = match exceptions.as_slice() {
        [] => counts.sentence(),
        names => format!("{}, others are excepted by {}", counts.sentence(), names.join(", ")),
    };
    let (reason, message) = match outcome {
        Outcome::Incomplete => {
            (Some(Reason::Incomplete), format!("{found}; the scan is incomplete: {}", reasons.join("; ")))
        }
        _ => (None, found),
    };
    ImageScanStatus {
        image_status: ImageStatus::of(outcome, counts),
        reason,
        message,
        counts: Some(counts),
        complete: reports.iter().all(|r| r.complete),
        verdict: Some(outcome),
        reasons,
        exceptions,
        ..status
    }
}

/// Counts each (vulnerability, package, version) once, on however many platforms it is.
fn merged_counts(reports: &[Report]) -> Counts {
    let mut all: BTreeMap<(&str, &str, &str), &Finding> = BTreeMap::new();
    for finding in reports.iter().flat_map(|r| &r.findings) {
        all.insert((&finding.vulnerability, &finding.package, &finding.installed_version), finding);
    }
    Counts::of(&all.into_values().cloned().collect::<Vec<_>>())
}

#[cfg(test)]
#[path = "image_scan_tests.rs"]
mod tests;
