//! What enforcement would hold, of what the cluster knows: pure.

use crate::render;
use crate::terminal::printable;
use kube::ResourceExt as _;
use std::collections::HashMap;
use tidewaiter_core::policy::Outcome;
use tidewaiter_crd::workload_scan::Container;
use tidewaiter_crd::{ImageScan, WorkloadScan};

/// ImageScans by namespace and the image that they name.
pub(super) type ScansByImage<'a> = HashMap<(String, &'a str), &'a ImageScan>;

/// Finds ImageScans by namespace and image.
pub(super) fn by_image(scans: &[ImageScan]) -> ScansByImage<'_> {
    scans.iter().map(|scan| ((scan.namespace().unwrap_or_default(), scan.spec.image.as_str()), scan)).collect()
}

/// The scan of a container's image: of its tag, which the next rollout resolves, else of the digest that runs.
pub(super) fn scan_of<'a>(namespace: &str, container: &Container, scans: &ScansByImage<'a>) -> Option<&'a ImageScan> {
    let of = |image: &String| scans.get(&(namespace.to_owned(), image.as_str())).copied();
    of(&container.image).or_else(|| container.pinned.as_ref().and_then(of))
}

/// Why an image would be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HoldCause {
    Violated,
    Incomplete,
    NotScanned,
}

/// A workload with an image that would be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WouldHold {
    namespace: String,
    workload: String,
    image: String,
    cause: HoldCause,
    why: String,
}

/// What enforcement would hold, by namespace and workload.
pub(super) fn would_hold(workloads: &[WorkloadScan], scans: &ScansByImage<'_>) -> Vec<WouldHold> {
    let mut all: Vec<WouldHold> = workloads.iter().flat_map(|workload| of_workload(workload, scans)).collect();
    all.sort_by(|a, b| (&a.namespace, &a.workload, &a.image).cmp(&(&b.namespace, &b.workload, &b.image)));
    all.dedup();
    all
}

fn of_workload(workload: &WorkloadScan, scans: &ScansByImage<'_>) -> Vec<WouldHold> {
    let namespace = workload.namespace().unwrap_or_default();
    let name = format!("{}/{}", workload.spec.kind.lowercase(), workload.spec.name);
    let containers =
        workload.status.iter().filter_map(|status| status.current_revision()).flat_map(|r| r.containers.values());
    let held = containers.filter_map(|container| {
        let (cause, why) = cause(scan_of(&namespace, container, scans))?;
        let image = container.image.clone();
        Some(WouldHold { namespace: namespace.clone(), workload: name.clone(), image, cause, why })
    });
    held.collect()
}

/// Why an image with this scan would be held; `None`: it would not.
fn cause(scan: Option<&ImageScan>) -> Option<(HoldCause, String)> {
    let Some(status) = scan.and_then(|scan| scan.status.as_ref()) else {
        return Some((HoldCause::NotScanned, "no scan yet".to_owned()));
    };
    let message = status.message.clone();
    match status.verdict {
        Some(Outcome::Pass) => None,
        Some(Outcome::Violated) => Some((HoldCause::Violated, message)),
        Some(Outcome::Incomplete) => Some((HoldCause::Incomplete, message)),
        None => Some((HoldCause::NotScanned, format!("no result: {message}"))),
    }
}

/// The table and its sum; `known` workloads were looked at.
pub(super) fn text(held: &[WouldHold], known: usize) -> String {
    let mut rows = vec![["NAMESPACE", "WORKLOAD", "IMAGE", "WHY"].map(str::to_owned)];
    rows.extend(held.iter().map(row));
    let table = if held.is_empty() { String::new() } else { render::columns(&rows) + "\n" };
    table + &sum(held, known)
}

fn row(held: &WouldHold) -> [String; 4] {
    let why = render::short(&printable(&held.why));
    [printable(&held.namespace), printable(&held.workload), printable(&held.image), why]
}

/// Each workload counts once, by its worst image.
fn sum(held: &[WouldHold], known: usize) -> String {
    let mut worst: HashMap<(&str, &str), HoldCause> = HashMap::new();
    for one in held {
        let cause = worst.entry((&one.namespace, &one.workload)).or_insert(one.cause);
        *cause = one.cause.min(*cause);
    }
    let count = |wanted: HoldCause| worst.values().filter(|cause| **cause == wanted).count();
    match worst.len() {
        0 => format!("None of {known} known workloads would be held.\n"),
        number => format!(
            "{number} of {known} known workloads would be held at their next rollout: {} by policy, {} by incomplete reports, {} without \
             a result. Nothing that runs is stopped: it may restart and scale.\n",
            count(HoldCause::Violated),
            count(HoldCause::Incomplete),
            count(HoldCause::NotScanned),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn workload(name: &str, images: &[&str]) -> WorkloadScan {
        let containers: Value =
            images.iter().map(|image| (image.replace([':', '/'], "-"), json!({"image": image}))).collect();
        serde_json::from_value(json!({
            "apiVersion": "tidewaiter.dev/v1alpha1", "kind": "WorkloadScan",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": "1"},
            "status": {"imageStatus": "NotScanned", "deploymentStatus": "Deployed", "current": "abc",
                "revisions": {"abc": {"decision": "Retained", "containers": containers}}},
        }))
        .unwrap()
    }

    fn scan(image: &str, status: Value) -> ImageScan {
        serde_json::from_value(json!({
            "apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ImageScan", "metadata": {"name": "s", "namespace": "shop"},
            "spec": {"image": image}, "status": status,
        }))
        .unwrap()
    }

    fn scans() -> Vec<ImageScan> {
        let found = |word: &str, verdict: &str, message: &str| json!({"imageStatus": word, "verdict": verdict, "digest": "sha256:0", "message": message});
        let failed = json!({"imageStatus": "ScanFailed", "message": "the registry refused the credentials"});
        vec![
            scan("r/good:v1", found("NoVulnerabilities", "Pass", "No vulnerabilities found")),
            scan("r/bad:v1", found("VulnerabilitiesFound", "Violated", "Vulnerabilities found: 3 critical, 5 medium")),
            scan(
                "r/gap:v1",
                found("ScanFailed", "Incomplete", "No vulnerabilities found; the scan is incomplete: a gap"),
            ),
            scan("r/secret:v1", failed),
        ]
    }

    #[test]
    fn what_would_be_held_and_why() {
        let scans = scans();
        let workloads = [
            workload("web", &["r/good:v1", "r/bad:v1"]),
            workload("fine", &["r/good:v1"]),
            workload("both", &["r/gap:v1", "r/bad:v1"]),
            workload("gap", &["r/gap:v1"]),
            workload("new", &["r/new:v1"]),
            workload("secret", &["r/secret:v1"]),
        ];
        insta::assert_snapshot!(text(&would_hold(&workloads, &by_image(&scans)), workloads.len()));
        assert_eq!(
            text(&would_hold(&workloads[1..2], &by_image(&scans)), 1),
            "None of 1 known workloads would be held.\n"
        );
    }

    #[test]
    fn a_scan_of_another_namespace_says_nothing() {
        let mut scans = scans();
        scans.iter_mut().for_each(|scan| scan.metadata.namespace = Some("other".to_owned()));
        let held = would_hold(&[workload("fine", &["r/good:v1"])], &by_image(&scans));
        assert_eq!(held.iter().map(|h| h.cause).collect::<Vec<_>>(), [HoldCause::NotScanned]);
    }
}
