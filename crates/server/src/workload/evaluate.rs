//! What the scans say of a revision's images.

use super::{Error, requests};
use crate::admission::images;
use crate::context::Context;
use crate::pull_secrets;
use k8s_openapi::api::core::v1::PodSpec;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewaiter_core::Reason;
use tidewaiter_core::image::{Digest, Platform, Reference};
use tidewaiter_core::policy::Outcome;
use tidewaiter_core::status::{ImageStatus, JudgedImage};
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::{self, ImageScanStatus};
use tidewaiter_crd::workload_scan::{Container, Decision, Revision, WorkloadScanStatus};

/// What is known of all images of a revision.
#[derive(Debug, Default)]
pub(crate) struct Evaluation {
    pub(crate) facts: Vec<JudgedImage>,
    /// Name → pinned image, for those that have a result.
    pub(crate) pins: BTreeMap<String, String>,
    /// One line for each container that does not simply pass.
    pub(crate) lines: Vec<String>,
    /// Sentences of what stands against them.
    pub(crate) reasons: Vec<String>,
}

/// Asks for the scans a revision lacks: none was asked for, it is gone, or its secrets did not open the registry.
pub(crate) async fn request_scans(
    ctx: &Context,
    namespace: &str,
    revision: &mut Revision,
    spec: &PodSpec,
) -> Result<(), Error> {
    let mut secrets = None;
    let decision = revision.decision;
    for container in revision.containers.values_mut() {
        let image = subject(ctx, namespace, container, decision);
        if decision == Decision::Approved && image == container.image {
            continue;
        }
        let known = scan_of(ctx, namespace, &image);
        let locked = known.as_ref().filter(|k| k.status.as_ref().is_some_and(is_locked));
        if stands(ctx, namespace, &image, container, known.as_ref()).await? && locked.is_none() {
            continue;
        }
        if secrets.is_none() {
            secrets = Some(pull_secrets::names(ctx, namespace, spec).await?);
        }
        let secrets = secrets.as_deref().unwrap_or_default();
        if locked.is_some_and(|k| secrets.iter().all(|name| k.spec.pull_secrets.contains(name))) {
            continue;
        }
        container.scan = Some(requests::scan(ctx, namespace, &image, secrets).await?);
    }
    Ok(())
}

/// Whether the scan that was asked for is still there. A store that lags behind is not believed when it shows none.
async fn stands(
    ctx: &Context,
    namespace: &str,
    image: &str,
    container: &Container,
    known: Option<&Arc<ImageScan>>,
) -> Result<bool, Error> {
    let Some(asked) = &container.scan else { return Ok(false) };
    let uid = match known {
        Some(known) => known.uid(),
        None => {
            let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), namespace);
            let found = api.get_opt(&image_scan::name(image)).await?;
            found.filter(|found| found.spec.image == image).and_then(|found| found.uid())
        }
    };
    Ok(uid.as_ref() == Some(&asked.uid))
}

fn is_locked(status: &ImageScanStatus) -> bool {
    status.reason == Some(Reason::Unauthorized)
}

/// Puts the results together.
pub(crate) fn evaluate(ctx: &Context, namespace: &str, revision: &Revision, record: &WorkloadScanStatus) -> Evaluation {
    let mut all = Evaluation::default();
    for (name, container) in &revision.containers {
        let scan = scan_of(ctx, namespace, &subject(ctx, namespace, container, revision.decision));
        let status = result(ctx, container, revision.decision, scan.as_ref());
        let status = status.as_ref();
        let one = match (revision.decision, &container.pinned) {
            // What started in audit mode has no pin yet.
            (Decision::Held, _) | (Decision::Retained, None) => judge(name, container, status, record),
            _ => recheck(container, status),
        };
        if let Some(pinned) = one.pinned {
            all.pins.insert(name.clone(), pinned);
        }
        all.facts.push(one.fact);
        if let Some(line) = one.line {
            all.lines.push(format!("{}: {line}", image_label(name, &container.image)));
        }
        if !one.fact.allowed {
            all.reasons.extend(status.iter().flat_map(|s| s.reasons.clone()));
        }
    }
    all
}

/// What is scanned for a container: its image string; for one that runs already, the digest that runs as soon as nobody
/// knows that the string still names it.
fn subject(ctx: &Context, namespace: &str, container: &Container, decision: Decision) -> String {
    let Some(pinned) = container.pinned.as_ref().filter(|_| decision != Decision::Held) else {
        return container.image.clone();
    };
    let by_name = match scan_of(ctx, namespace, &container.image) {
        None => false,
        Some(scan) => match scan.status.as_ref().and_then(|s| s.digest.as_deref()) {
            Some(digest) => images::digest(pinned) == Some(digest),
            None => {
                let asked = container.scan.as_ref().is_some_and(|asked| scan.uid().as_ref() == Some(&asked.uid));
                asked || decision == Decision::Approved
            }
        },
    };
    if by_name { container.image.clone() } else { pinned.clone() }
}

/// The ImageScan of an image string. Users may make ImageScans, so its name alone proves nothing.
fn scan_of(ctx: &Context, namespace: &str, image: &str) -> Option<Arc<ImageScan>> {
    let named = ctx.index.images.get(&ObjectRef::new(&image_scan::name(image)).within(namespace));
    named.filter(|scan| scan.spec.image == image)
}

fn image_label(name: &str, image: &str) -> String {
    format!("{name} ({image})")
}

/// The status that counts for a container: of the run that was asked for, or a later one. While a newer run is under
/// way, what stood before still counts for those who asked for it.
fn result(
    ctx: &Context,
    container: &Container,
    decision: Decision,
    scan: Option<&Arc<ImageScan>>,
) -> Option<ImageScanStatus> {
    let scan = scan?;
    let status = scan.status.as_ref()?;
    let generation = match (&container.scan, decision) {
        (_, Decision::Approved) => 0,
        (Some(asked), _) if scan.uid().as_ref() == Some(&asked.uid) => asked.generation,
        _ => return None,
    };
    let status = status.standing(generation).unwrap_or_else(|| status.clone());
    // A node of another platform may have joined since: what it would run is not judged yet.
    let judged = |platform: &Platform| status.node_platforms.contains(&platform.to_string());
    if decision == Decision::Held && status.verdict.is_some() && !ctx.index.platforms().iter().all(judged) {
        return None;
    }
    // No database: nothing runs, and the message says what to do.
    let waits = status.reason.is_some() && status.image_status == ImageStatus::NotScanned;
    let told = status.is_final(generation) || status.image_status == ImageStatus::Scanning || waits;
    (told || decision == Decision::Approved).then_some(status)
}

struct One {
    fact: JudgedImage,
    pinned: Option<String>,
    line: Option<String>,
}

/// A held image: what its scan says.
fn judge(name: &str, container: &Container, status: Option<&ImageScanStatus>, record: &WorkloadScanStatus) -> One {
    let Some(status) = status else {
        let fact = JudgedImage { scan: ImageStatus::NotScanned, allowed: false };
        return One { fact, pinned: None, line: Some("waits for its scan".to_owned()) };
    };
    if is_unreachable(status)
        && let Some(pinned) = earlier_pin(name, container, record)
    {
        // Its bytes were judged before; the registry only cannot say whether the tag moved.
        let fact = JudgedImage { scan: ImageStatus::NoVulnerabilities, allowed: true };
        return One { fact, pinned: Some(pinned), line: Some(UNREACHABLE.to_owned()) };
    }
    let allowed = status.verdict == Some(Outcome::Pass);
    let fact = JudgedImage { scan: status.image_status, allowed };
    let pinned = status.digest.as_deref().and_then(|digest| pin(&container.image, digest));
    let clean = status.image_status == ImageStatus::NoVulnerabilities;
    One { fact, pinned, line: (!clean).then(|| status.message.clone()) }
}

/// An approved or retained image: only a result for the very digest that runs counts.
fn recheck(container: &Container, status: Option<&ImageScanStatus>) -> One {
    let running = container.pinned.as_deref().and_then(images::digest);
    let same = status.filter(|s| s.verdict.is_some() && s.digest.as_deref() == running);
    let fact = match same {
        Some(status) => JudgedImage { scan: status.image_status, allowed: status.verdict == Some(Outcome::Pass) },
        None => JudgedImage { scan: ImageStatus::NotScanned, allowed: true },
    };
    let unreachable = status.is_some_and(is_unreachable);
    let line = match same.filter(|s| s.image_status != ImageStatus::NoVulnerabilities) {
        Some(status) => Some(status.message.clone()),
        None => unreachable.then(|| UNREACHABLE.to_owned()),
    };
    One { fact, pinned: container.pinned.clone(), line }
}

const UNREACHABLE: &str = "the registry cannot be reached: the old digest stays";

fn is_unreachable(status: &ImageScanStatus) -> bool {
    status.reason == Some(Reason::RegistryUnreachable)
}

fn earlier_pin(name: &str, container: &Container, record: &WorkloadScanStatus) -> Option<String> {
    let approved = record.revisions.values().filter(|r| r.decision == Decision::Approved);
    let mut same = approved.filter_map(|r| r.containers.get(name)).filter(|c| c.image == container.image);
    same.find_map(|c| c.pinned.clone())
}

/// `docker.io/library/x:1@sha256:…`: fully qualified, the tag kept.
fn pin(image: &str, digest: &str) -> Option<String> {
    let reference: Reference = image.parse().ok()?;
    let digest: Digest = digest.parse().ok()?;
    Some(reference.pinned(&digest).to_string())
}
