//! A new workload about whose images everything is known already: it needs no hold.
//!
//! The answer is the controller's own: the revision that it would record is evaluated by the same functions, with the runs that
//! it would ask for. A decision that differs later, because a policy or a scan changed in between, is one about a workload
//! that runs: nothing here is remembered.

use super::approval::Approvals;
use super::evaluation::{KnownScans, evaluate};
use super::holdable::Holdable as _;
use super::images;
use super::revision::re_evaluate;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use std::collections::BTreeMap;
use tidewaiter_core::status::Approval;
use tidewaiter_crd::policy::ApprovalMode;
use tidewaiter_crd::workload_scan::{Container, Decision, Revision, ScanRef, WorkloadScanStatus};

/// The revision of a new workload, as its controller would record it; `run_of` is the run of an image's scan that answers for a
/// new workload and has ended.
pub(crate) fn revision_of_new(wanted: BTreeMap<String, String>, run_of: impl Fn(&str) -> Option<ScanRef>) -> Revision {
    let container = |(name, image): (String, String)| {
        let scan = run_of(&image);
        (name, Container { image, pinned: None, scan })
    };
    Revision { containers: wanted.into_iter().map(container).collect(), ..Revision::default() }
}

/// Name → pinned image of a new workload's revision that policy approves by itself. Where people approve there is nothing to
/// know: a workload that does not exist yet was approved by nobody.
pub(crate) fn pins_of_new(
    mut revision: Revision,
    scans: &KnownScans,
    approval: ApprovalMode,
) -> Option<BTreeMap<String, String>> {
    let state = match approval {
        ApprovalMode::Automatic => Approval::Automatic,
        ApprovalMode::Manual => Approval::Awaited,
    };
    let approvals = Approvals { state, given: Vec::new(), skips_people: false };
    let evaluation = evaluate(&revision, &WorkloadScanStatus::default(), scans);
    re_evaluate(&mut revision, &evaluation, &approvals, true);
    let pins = revision.pins();
    (revision.decision == Decision::Approved && pins.len() == revision.containers.len()).then_some(pins)
}

/// Whether a Pod is the first of a Deployment that was created a moment ago and is not recorded yet: of its present template,
/// without anything that was injected. `record` is that of the Deployment. Its controller records what it runs, and follows
/// it from then on; of nothing else that runs unrecorded would anybody see a new finding.
pub(crate) fn is_unrecorded(
    pod: &Pod,
    template: &str,
    deployment: &Deployment,
    record: Option<&WorkloadScanStatus>,
) -> bool {
    let is_new = record.is_none_or(|record| record.revisions.is_empty());
    let lives = deployment.metadata.deletion_timestamp.is_none() && !deployment.paused() && !deployment.is_owned();
    let images = pod.spec.as_ref().map(images::of).unwrap_or_default();
    is_new && lives && deployment.revision() == template && deployment.images() == images
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{digest, image_scan, pinned, revision};
    use serde_json::{Value, from_value, json};
    use tidewaiter_core::image::Platform;

    const PLATFORM: &str = "linux/amd64";

    fn scanned(verdict: &str) -> Value {
        json!({"imageStatus": "NoVulnerabilities", "verdict": verdict, "digest": digest(1), "observedGeneration": 1,
            "nodePlatforms": [PLATFORM], "finished": "2026-01-01T00:00:00Z", "complete": true})
    }

    fn wanted(images: &[&str]) -> BTreeMap<String, String> {
        images.iter().enumerate().map(|(number, image)| (format!("c{number}"), (*image).to_owned())).collect()
    }

    #[test]
    fn policy_alone_approves_what_is_known() {
        let check =
            |images: &[&str], verdict: &str, answers: bool, platform: &str, approval, expected: Option<&[&str]>| {
                let known = KnownScans::new(
                    [image_scan("r.example/a:1", scanned(verdict))],
                    vec![platform.parse::<Platform>().unwrap()],
                );
                let run_of = |image: &str| {
                    (answers && image == "r.example/a:1").then(|| ScanRef { uid: "scan".to_owned(), generation: 1 })
                };
                let found = pins_of_new(revision_of_new(wanted(images), run_of), &known, approval);
                let found = found.as_ref().map(|pins| pins.values().map(String::as_str).collect::<Vec<_>>());
                assert_eq!(found.as_deref(), expected, "{images:?} {verdict} {answers} {platform} {approval:?}");
            };
        let (a, pin) = ("r.example/a:1", pinned("r.example/a:1", 1));
        let (automatic, manual) = (ApprovalMode::Automatic, ApprovalMode::Manual);
        check(&[a], "Pass", true, PLATFORM, automatic, Some(&[&pin]));
        check(&[a, a], "Pass", true, PLATFORM, automatic, Some(&[&pin, &pin]));
        // People approve; policy forbids it; the run is too old; another image is not known; nothing is named at all.
        check(&[a], "Pass", true, PLATFORM, manual, None);
        check(&[a], "Violated", true, PLATFORM, automatic, None);
        check(&[a], "Incomplete", true, PLATFORM, automatic, None);
        check(&[a], "Pass", false, PLATFORM, automatic, None);
        check(&[a, "r.example/b:1"], "Pass", true, PLATFORM, automatic, None);
        check(&[], "Pass", true, PLATFORM, automatic, None);
        // A node of another platform joined since.
        check(&[a], "Pass", true, "linux/arm64", automatic, None);
    }

    #[test]
    fn the_first_pods_of_a_deployment() {
        const NAMES: [&str; 2] = ["c", "d"];
        let template = |image: &str| json!({"spec": {"containers": [{"name": "c", "image": image}]}});
        let check = |change: fn(&mut Value), record: Option<&WorkloadScanStatus>, images: &[&str], expected: bool| {
            let mut object =
                json!({"metadata": {"name": "d", "uid": "u"}, "spec": {"selector": {}, "template": template("a:1")}});
            let hash = from_value::<Deployment>(object.clone()).unwrap().revision();
            change(&mut object);
            let deployment: Deployment = from_value(object).unwrap();
            let containers: Vec<Value> = images
                .iter()
                .enumerate()
                .map(|(number, image)| json!({"name": NAMES.get(number), "image": image}))
                .collect();
            let pod: Pod = from_value(json!({"metadata": {}, "spec": {"containers": containers}})).unwrap();
            assert_eq!(
                is_unrecorded(&pod, &hash, &deployment, record),
                expected,
                "{deployment:?} {record:?} {images:?}"
            );
        };
        let as_it_is = |_: &mut Value| {};
        let created = WorkloadScanStatus::default();
        let recorded = WorkloadScanStatus {
            revisions: BTreeMap::from([("h".to_owned(), revision(Decision::Held, &[]))]),
            ..WorkloadScanStatus::default()
        };
        check(as_it_is, None, &["a:1"], true);
        check(as_it_is, Some(&created), &["a:1"], true);
        // What is recorded decides, also about a template that is not.
        check(as_it_is, Some(&recorded), &["a:1"], false);
        // Something injected a container or changed an image.
        check(as_it_is, None, &["a:1", "proxy:1"], false);
        check(as_it_is, None, &["a:2"], false);
        check(as_it_is, None, &[], false);
        // Its present template is another one, it is held, it is being deleted, or another controller's.
        check(|d| d["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:2"), None, &["a:1"], false);
        check(|d| d["spec"]["paused"] = json!(true), None, &["a:1"], false);
        check(|d| d["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"), None, &["a:1"], false);
        let owner = |d: &mut Value| {
            d["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": true}]);
        };
        check(owner, None, &["a:1"], false);
    }
}
