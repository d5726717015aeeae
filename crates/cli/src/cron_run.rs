//! Runs: Jobs that have the record of their CronJob, and may be of another template than its present one.

use crate::built_in::{BuiltInKind, PartialPodSpec};
use crate::cluster::Cluster;
use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;
use std::collections::BTreeMap;
use tidewaiter_core::policy::Outcome;
use tidewaiter_core::status::{Approval, DeploymentStatus, EvaluatedImage, ImageStatus, RolloutProgress, derive};
use tidewaiter_crd::names::HELD;
use tidewaiter_crd::workload_scan::{Decision, Revision, WorkloadScanStatus};
use tidewaiter_crd::{ImageScan, WorkloadScan};

/// What one image of a run has: its container, the image, its ImageScan.
type ScannedImage<'a> = (&'a str, &'a str, Option<&'a ImageScan>);

/// Returns the record of a CronJob as it is about one of its runs: with the run's revision as the current one, and its state.
pub(crate) async fn record_of(
    cluster: &Cluster,
    mut record: WorkloadScan,
    job: &DynamicObject,
) -> Result<WorkloadScan> {
    let cron_job = format!("cronjob/{}", record.spec.name);
    let Some(status) = &mut record.status else { return Ok(record) };
    let found = revision_of(status, job).with_context(|| format!("reading job/{}", job.name_any()))?;
    let Some(hash) = found.map(str::to_owned) else { return Ok(record) };
    let revision = status.revisions.get(&hash).cloned().unwrap_or_default();
    if status.current.as_ref() != Some(&hash) {
        let mut scans = Vec::new();
        for (name, container) in &revision.containers {
            scans.push((name.as_str(), container.image.as_str(), cluster.scan(&container.image).await?));
        }
        let images: Vec<ScannedImage<'_>> = scans.iter().map(|(n, i, scan)| (*n, *i, scan.as_ref())).collect();
        show(status, &cron_job, &revision, &images, progress(job));
    }
    // A held Job is marked with a name of its own for its images.
    let name = job.metadata.annotations.as_ref().and_then(|all| all.get(HELD)).unwrap_or(&hash).clone();
    status.revisions.insert(name.clone(), revision);
    status.current = Some(name);
    Ok(record)
}

/// The revision that a Job is of, by its images. Of several templates with the same ones, that whose decision agrees with the
/// Job, the present one first.
fn revision_of<'a>(status: &'a WorkloadScanStatus, job: &DynamicObject) -> serde_json::Result<Option<&'a str>> {
    let Some(spec) = BuiltInKind::Job.pod_spec(job)? else { return Ok(None) };
    let wanted = images(&spec);
    let marked = job.metadata.annotations.iter().flatten().any(|(key, _)| key == HELD);
    let is_held = marked && job.data.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or_default();
    let is_same = |revision: &Revision| {
        revision.containers.iter().map(|(name, container)| (name, &container.image)).eq(wanted.iter())
    };
    let rank = |hash: &String, revision: &Revision| {
        ((revision.decision == Decision::Held) == is_held, status.current.as_ref() == Some(hash))
    };
    let same = status.revisions.iter().filter(|(_, revision)| is_same(revision));
    Ok(same.max_by_key(|(hash, revision)| rank(hash, revision)).map(|(hash, _)| hash.as_str()))
}

/// Name → image of what a Pod of this spec runs or mounts, as revisions name it.
fn images(spec: &PartialPodSpec) -> BTreeMap<String, String> {
    let containers = spec.containers().map(|c| (c.name.clone(), c.image.clone().unwrap_or_default()));
    let volumes = spec.image_volumes();
    let volumes = volumes.map(|(name, image)| (format!("volume/{name}"), image.unwrap_or_default().to_owned()));
    containers.chain(volumes).collect()
}

/// How far a Job is: it has no Pod until it is released.
fn progress(job: &DynamicObject) -> RolloutProgress {
    let started = job.data.pointer("/status/startTime").is_some_and(Value::is_string);
    if started { RolloutProgress::Complete } else { RolloutProgress::Running }
}

/// Makes a status that of a revision that is not the CronJob's present one.
fn show(
    status: &mut WorkloadScanStatus,
    cron_job: &str,
    revision: &Revision,
    images: &[ScannedImage<'_>],
    progress: RolloutProgress,
) {
    let facts: Vec<EvaluatedImage> = images.iter().map(|(_, _, scan)| fact(*scan)).collect();
    let derived = derive(&facts, Approval::Awaited, RolloutProgress::Running);
    let (image, deployment, says) = match revision.decision {
        Decision::Approved => (ImageStatus::Approved, released(progress), "every image is approved".to_owned()),
        Decision::Retained => (derived.image, released(progress), "it may run, and is not approved".to_owned()),
        Decision::Held => (derived.image, derived.deployment, format!("held: {}", lines(images))),
    };
    (status.image_status, status.deployment_status) = (image, deployment);
    status.message = format!("a run of an earlier template of {cron_job}: {says}");
    // Those are the CronJob's.
    status.transitions.clear();
}

fn released(progress: RolloutProgress) -> DeploymentStatus {
    match progress {
        RolloutProgress::Running => DeploymentStatus::RollingOut,
        RolloutProgress::Complete => DeploymentStatus::Deployed,
    }
}

fn fact(scan: Option<&ImageScan>) -> EvaluatedImage {
    match scan.and_then(|scan| scan.status.as_ref()) {
        Some(status) => EvaluatedImage { scan: status.image_status, allowed: status.verdict == Some(Outcome::Pass) },
        None => EvaluatedImage { scan: ImageStatus::NotScanned, allowed: false },
    }
}

fn lines(images: &[ScannedImage<'_>]) -> String {
    let line = |(name, image, scan): &ScannedImage<'_>| {
        let message = scan.and_then(|scan| scan.status.as_ref()).map(|status| status.message.as_str());
        format!("{name} ({image}): {}", message.unwrap_or("waits for its scan"))
    };
    images.iter().map(line).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn status(current: &str, revisions: &[(&str, &str, &str)]) -> WorkloadScanStatus {
        let revision = |(hash, decision, image): &(&str, &str, &str)| {
            ((*hash).to_owned(), json!({"decision": decision, "containers": {"c": {"image": image}}}))
        };
        let revisions: serde_json::Map<String, Value> = revisions.iter().map(revision).collect();
        from_value(json!({"imageStatus": "Approved", "deploymentStatus": "Deployed", "current": current,
            "message": "every image is approved", "revisions": revisions,
            "transitions": [{"time": "2026-01-01T00:00:00Z", "imageStatus": "Approved", "deploymentStatus": "Deployed"}]}))
        .unwrap()
    }

    fn job(image: &str, held: bool) -> DynamicObject {
        let annotations = if held { json!({HELD: "job-1"}) } else { json!({}) };
        from_value(json!({"metadata": {"annotations": annotations}, "spec": {"suspend": held,
            "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}))
        .unwrap()
    }

    #[test]
    fn the_revision_of_a_run() {
        let check = |revisions: &[(&str, &str, &str)], image: &str, held: bool, expected: Option<&str>| {
            let status = status("now", revisions);
            assert_eq!(revision_of(&status, &job(image, held)).unwrap(), expected, "{revisions:?} {image} {held}");
        };
        check(&[("now", "Approved", "b"), ("before", "Held", "a")], "a", true, Some("before"));
        check(&[("now", "Approved", "b"), ("before", "Approved", "a")], "a", false, Some("before"));
        check(&[("now", "Approved", "b"), ("before", "Held", "a")], "b", false, Some("now"));
        // The same images in both templates.
        check(&[("now", "Held", "a"), ("before", "Approved", "a")], "a", false, Some("before"));
        check(&[("now", "Held", "a"), ("before", "Approved", "a")], "a", true, Some("now"));
        check(&[("now", "Held", "a"), ("before", "Held", "a")], "a", true, Some("now"));
        // Started while the server was away.
        check(&[("now", "Approved", "b"), ("before", "Held", "a")], "a", false, Some("before"));
        check(&[("now", "Approved", "b")], "a", true, None);
    }

    #[test]
    fn what_a_run_of_an_earlier_template_shows() {
        let check = |decision: &str, scan: Value, progress: RolloutProgress, expected: (&str, &str, &str)| {
            let mut status = status("now", &[("now", "Approved", "b"), ("before", decision, "a")]);
            let scan: Option<ImageScan> = (!scan.is_null()).then(|| {
                from_value(json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ImageScan", "metadata": {},
                    "spec": {"image": "a"}, "status": scan}))
                .unwrap()
            });
            let revision = status.revisions["before"].clone();
            show(&mut status, "cronjob/app", &revision, &[("c", "a", scan.as_ref())], progress);
            let (image, deployment) = (status.image_status.to_string(), status.deployment_status.to_string());
            assert_eq!((image.as_str(), deployment.as_str()), (expected.0, expected.1), "{decision}");
            assert!(status.message.ends_with(expected.2), "{}", status.message);
            assert!(status.message.starts_with("a run of an earlier template of cronjob/app: "));
            assert!(status.transitions.is_empty());
        };
        let found = json!({"imageStatus": "VulnerabilitiesFound", "verdict": "Violated", "message": "1 critical"});
        let clean = json!({"imageStatus": "NoVulnerabilities", "verdict": "Pass", "message": "none"});
        let (waits, has_started) = (RolloutProgress::Running, RolloutProgress::Complete);
        check("Held", found.clone(), waits, ("VulnerabilitiesFound", "Blocked", "held: c (a): 1 critical"));
        check("Held", clean.clone(), waits, ("NoVulnerabilities", "PendingApproval", "held: c (a): none"));
        check("Held", Value::Null, waits, ("NotScanned", "Created", "held: c (a): waits for its scan"));
        check("Approved", clean.clone(), waits, ("Approved", "RollingOut", "approved"));
        check("Approved", clean, has_started, ("Approved", "Deployed", "approved"));
        check("Retained", found, has_started, ("VulnerabilitiesFound", "Deployed", "not approved"));
    }

    #[test]
    fn every_image_of_a_run() {
        let spec: PartialPodSpec = from_value(json!({"containers": [{"name": "c", "image": "a"}],
            "initContainers": [{"name": "i", "image": "b"}],
            "volumes": [{"name": "v", "image": {"reference": "d"}}, {"name": "w", "emptyDir": {}}]}))
        .unwrap();
        let expected = [("c", "a"), ("i", "b"), ("volume/v", "d")].map(|(n, i)| (n.to_owned(), i.to_owned()));
        assert_eq!(images(&spec), BTreeMap::from(expected));
    }
}
