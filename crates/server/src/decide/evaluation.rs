//! What the scans of a revision's images say.

use super::images;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewaiter_core::Reason;
use tidewaiter_core::image::{Digest, Platform, Reference};
use tidewaiter_core::policy::Outcome;
use tidewaiter_core::severity::Severity;
use tidewaiter_core::status::{EvaluatedImage, ImageStatus};
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::ImageScanStatus;
use tidewaiter_crd::workload_scan::{Container, Decision, GivenApproval, Revision, WorkloadScanStatus};

/// The ImageScans of a namespace that concern a revision, and the platforms that must be scanned.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownScans {
    by_image: BTreeMap<String, Arc<ImageScan>>,
    platforms: Vec<Platform>,
    /// Image string → pinned image of what is approved in the namespace.
    approved: BTreeMap<String, String>,
}

impl KnownScans {
    /// Collects scans by the image that their spec names.
    pub(crate) fn new(scans: impl IntoIterator<Item = Arc<ImageScan>>, platforms: Vec<Platform>) -> Self {
        let by_image = scans.into_iter().map(|scan| (scan.spec.image.clone(), scan)).collect();
        KnownScans { by_image, platforms, approved: BTreeMap::new() }
    }

    /// Whether a registry or the scanner cannot be asked, so that what the namespace approved by the same image strings counts.
    pub(crate) fn lacks_registry(&self) -> bool {
        self.by_image.values().any(|scan| scan.status.as_ref().is_some_and(is_unreachable))
    }

    /// The same, with what is approved in the namespace: image string → pinned image.
    pub(crate) fn with_approved(self, approved: BTreeMap<String, String>) -> Self {
        KnownScans { approved, ..self }
    }

    /// The scan of an image reference.
    pub(crate) fn get(&self, image: &str) -> Option<&ImageScan> {
        self.by_image.get(image).map(|scan| &**scan)
    }
}

/// What is known of all images of a revision.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Evaluation {
    /// One for each container.
    pub(crate) facts: Vec<EvaluatedImage>,
    /// Container name → pinned image, for those with a result.
    pub(crate) pins: BTreeMap<String, String>,
    /// One line for each container that is not simply clean.
    pub(crate) lines: Vec<String>,
    /// Reasons of the policy against the images that it does not allow.
    pub(crate) reasons: Vec<String>,
    /// The worst severity of their findings.
    pub(crate) severity: Option<Severity>,
    /// The approval that lets them run all the same.
    pub(crate) break_glass: Option<GivenApproval>,
    /// Who approved, as long as more people must.
    pub(crate) approved_by: Option<String>,
    /// Whose approvals it had that have ended.
    pub(crate) ended: Option<String>,
}

impl Evaluation {
    /// The same, where a person overrides policy, or the people who must approve. Every image has a digest: the approval names
    /// them.
    pub(crate) fn overridden(mut self, by: &GivenApproval, skips_people: bool) -> Self {
        if !skips_people && self.facts.iter().all(|fact| fact.allowed && fact.scan != ImageStatus::ScanFailed) {
            return self;
        }
        self.facts
            .iter_mut()
            .for_each(|fact| *fact = EvaluatedImage { scan: ImageStatus::NoVulnerabilities, allowed: true });
        self.break_glass = Some(by.clone());
        self
    }

    /// The same, with containers whose digests are approved.
    pub(crate) fn with_approved(mut self, pins: BTreeMap<String, String>) -> Self {
        let approved = EvaluatedImage { scan: ImageStatus::NoVulnerabilities, allowed: true };
        self.facts.extend(pins.iter().map(|_| approved));
        self.pins.extend(pins);
        self
    }
}

/// Evaluates the images of a revision; `record` is its workload's, for digests that were approved before.
pub(crate) fn evaluate(revision: &Revision, record: &WorkloadScanStatus, known: &KnownScans) -> Evaluation {
    let mut all = Evaluation::default();
    let mut is_unrated = false;
    for (name, container) in &revision.containers {
        let scan = known.get(&scanned_image(container, revision.decision, known));
        let status = scan.and_then(|scan| valid_status(container, revision.decision, scan, &known.platforms));
        let one = match (revision.decision, &container.pinned) {
            // What started in audit mode has no pin yet.
            (Decision::Held, _) | (Decision::Retained, None) => {
                let pin = approved_pin(name, container, record).map(|pin| (pin, UNREACHABLE));
                let elsewhere = || known.approved.get(&container.image).map(|pin| (pin.clone(), UNREACHABLE_NEW));
                evaluate_new(container, status.as_ref(), || pin.or_else(elsewhere))
            }
            _ => evaluate_running(container, status.as_ref()),
        };
        if let Some(pinned) = one.pinned {
            all.pins.insert(name.clone(), pinned);
        }
        all.facts.push(one.fact);
        all.severity = all.severity.max(status.as_ref().and_then(worst));
        is_unrated |= !one.fact.allowed && status.as_ref().is_some_and(is_held_for_unrated);
        if let Some(line) = one.line {
            all.lines.push(format!("{name} ({}): {line}", container.image));
        }
        if !one.fact.allowed {
            all.reasons.extend(status.iter().flat_map(|s| s.reasons.clone()));
        }
    }
    // Only the highest rating is no less than what is unknown.
    all.severity = all.severity.filter(|severity| !is_unrated || *severity == Severity::Critical);
    all
}

/// Whether a finding that no source rates is among the reasons: anything may be bad there.
fn is_held_for_unrated(status: &ImageScanStatus) -> bool {
    // As policy writes it: `CVE-1 (unknown: no source rates it, …`.
    let mark = format!(" ({}: ", Severity::Unknown);
    status.reasons.iter().any(|reason| reason.contains(&mark))
}

/// The worst severity that a scan found.
fn worst(status: &ImageScanStatus) -> Option<Severity> {
    let counts = status.counts?;
    Severity::WORST_FIRST.into_iter().find(|severity| counts.get(*severity) > 0)
}

/// The image reference that is scanned for a container: that of the template; for a container that already runs, the
/// pinned one as soon as it is uncertain whether the tag still names the same digest. A moved tag must neither condemn nor
/// acquit what runs.
pub(crate) fn scanned_image(container: &Container, decision: Decision, known: &KnownScans) -> String {
    let Some(pinned) = container.pinned.as_ref().filter(|_| decision != Decision::Held) else {
        return container.image.clone();
    };
    let tag_is_current =
        known.get(&container.image).is_some_and(|scan| match scan.status.as_ref().and_then(|s| s.digest.as_deref()) {
            Some(digest) => images::digest(pinned) == Some(digest),
            None => decision == Decision::Approved || is_requested(container, scan),
        });
    if tag_is_current { container.image.clone() } else { pinned.clone() }
}

/// Whether this is the ImageScan that the container's scan was requested from.
fn is_requested(container: &Container, scan: &ImageScan) -> bool {
    container.scan.as_ref().is_some_and(|requested| scan.metadata.uid.as_ref() == Some(&requested.uid))
}

/// Whether a requested scan still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestedScan {
    /// It does.
    Present,
    /// None was requested, or another ImageScan took its place.
    Absent,
    /// The index shows none. Watches lag behind: the API server must be asked.
    Unseen,
}

/// Whether the scan that was requested for a container still exists; `scan` is the one of its image.
pub(crate) fn requested_scan(container: &Container, scan: Option<&ImageScan>) -> RequestedScan {
    match (&container.scan, scan) {
        (None, _) => RequestedScan::Absent,
        (Some(_), None) => RequestedScan::Unseen,
        (Some(_), Some(scan)) if is_requested(container, scan) => RequestedScan::Present,
        (Some(_), Some(_)) => RequestedScan::Absent,
    }
}

/// Whether a scan failed because credentials were missing: other pull secrets may open the registry, or have limits of their own.
pub(crate) fn lacks_credentials(scan: &ImageScan) -> bool {
    let refused = |reason: &Reason| {
        matches!(reason, Reason::Unauthorized | Reason::CredentialProviderFailed | Reason::RateLimited)
    };
    scan.status.as_ref().is_some_and(|status| status.reason.as_ref().is_some_and(refused))
}

/// The status that is valid for a container: of the run that was requested, or a later one. While a rescan runs, the
/// completed result remains valid for those who requested it.
fn valid_status(
    container: &Container,
    decision: Decision,
    scan: &ImageScan,
    platforms: &[Platform],
) -> Option<ImageScanStatus> {
    let status = scan.status.as_ref()?;
    let generation = match (&container.scan, decision) {
        // Only the digest matters for what runs, and `evaluate_running` compares it.
        (_, Decision::Approved) => 0,
        (Some(requested), _) if is_requested(container, scan) => requested.generation,
        _ => return None,
    };
    let status = status.last_valid(generation).unwrap_or_else(|| status.clone());
    let covered = |platform: &Platform| status.node_platforms.contains(&platform.to_string());
    // A node of another platform may have joined since: the image that it would run is not scanned yet.
    if decision == Decision::Held && status.verdict.is_some() && !platforms.iter().all(covered) {
        return None;
    }
    // Without a database nothing is scanned; the message says what to do.
    let waits_for_database = status.reason.is_some() && status.image_status == ImageStatus::NotScanned;
    let has_news = status.is_final(generation) || status.image_status == ImageStatus::Scanning || waits_for_database;
    (has_news || decision == Decision::Approved).then_some(status)
}

struct ImageEvaluation {
    fact: EvaluatedImage,
    pinned: Option<String>,
    line: Option<String>,
}

/// Evaluates an image that does not run yet: its scan decides. Where nobody can be asked, it is what was `approved` by
/// the same image string, with the text that says so.
fn evaluate_new(
    container: &Container,
    status: Option<&ImageScanStatus>,
    approved: impl FnOnce() -> Option<(String, &'static str)>,
) -> ImageEvaluation {
    let Some(status) = status else {
        let fact = EvaluatedImage { scan: ImageStatus::NotScanned, allowed: false };
        let pinned = own_digest(&container.image);
        return ImageEvaluation { fact, pinned, line: Some("waits for its scan".to_owned()) };
    };
    if let Some(away) = unreachable(status)
        && let Some((pinned, line)) = approved()
    {
        // These bytes were approved before; nobody can say now whether the tag moved.
        let fact = EvaluatedImage { scan: ImageStatus::NoVulnerabilities, allowed: true };
        return ImageEvaluation { fact, pinned: Some(pinned), line: Some(format!("{away}; {line}")) };
    }
    let fact = EvaluatedImage { scan: status.image_status, allowed: status.verdict == Some(Outcome::Pass) };
    let scanned = status.digest.as_deref().and_then(|digest| pin(&container.image, digest));
    let pinned = scanned.or_else(|| own_digest(&container.image));
    let clean = status.image_status == ImageStatus::NoVulnerabilities;
    ImageEvaluation { fact, pinned, line: (!clean).then(|| status.message.clone()) }
}

/// Evaluates an approved or retained image: only a result for the very digest that runs counts. Without one it stays
/// allowed: what was approved does not become forbidden because a scan is outstanding.
fn evaluate_running(container: &Container, status: Option<&ImageScanStatus>) -> ImageEvaluation {
    let running = container.pinned.as_deref().and_then(images::digest);
    let same = status.filter(|s| s.verdict.is_some() && s.digest.as_deref() == running);
    let fact = match same {
        Some(status) => EvaluatedImage { scan: status.image_status, allowed: status.verdict == Some(Outcome::Pass) },
        None => EvaluatedImage { scan: ImageStatus::NotScanned, allowed: true },
    };
    let line = match same.filter(|s| s.image_status != ImageStatus::NoVulnerabilities) {
        Some(status) => Some(status.message.clone()),
        None => status.and_then(unreachable).map(|away| format!("{away}; {UNREACHABLE}")),
    };
    ImageEvaluation { fact, pinned: container.pinned.clone(), line }
}

const UNREACHABLE: &str = "the approved digest continues to be used";
const UNREACHABLE_NEW: &str = "the digest that is approved for this image in the namespace is used";

/// Who cannot be asked what an image is, and so says nothing against it.
fn unreachable(status: &ImageScanStatus) -> Option<&'static str> {
    match status.reason.as_ref()? {
        Reason::RegistryUnreachable | Reason::RateLimited => Some("the registry cannot be reached"),
        Reason::ScannerUnreachable => Some("the scanner cannot be reached"),
        _ => None,
    }
}

fn is_unreachable(status: &ImageScanStatus) -> bool {
    unreachable(status).is_some()
}

fn approved_pin(name: &str, container: &Container, record: &WorkloadScanStatus) -> Option<String> {
    let approved = record.revisions.values().filter(|r| r.decision == Decision::Approved && !r.overrides_policy());
    let mut same = approved.filter_map(|r| r.containers.get(name)).filter(|c| c.image == container.image);
    same.find_map(|c| c.pinned.clone())
}

/// The pin of an image that is named by its digest: which bytes are meant is known without a scan.
fn own_digest(image: &str) -> Option<String> {
    pin(image, images::digest(image)?)
}

/// `docker.io/library/x:1@sha256:…`: fully qualified, with the tag, which tells people what the digest is.
pub(crate) fn pin(image: &str, digest: &str) -> Option<String> {
    let reference: Reference = image.parse().ok()?;
    let digest: Digest = digest.parse().ok()?;
    Some(reference.pinned(&digest).to_string())
}

#[cfg(test)]
#[path = "evaluation_tests.rs"]
mod tests;
