//! Every kind of workload, with an init container, a sidecar and a container: it runs pinned, or waits.

use crate::{lab, within};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Every kind of workload, by its manifest.
pub(crate) const KINDS: [&str; 6] = ["Pod", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"];

/// The name of a workload of a kind.
pub(crate) fn name_of(kind: &str, group: &str) -> String {
    format!("{group}-{}", kind.to_lowercase())
}

/// A workload of one Pod with an init container, a sidecar and a container of one image.
pub(crate) fn manifest(kind: &str, group: &str, image: &str) -> String {
    let name = name_of(kind, group);
    let containers = format!(
        r#""initContainers":[{{"name":"init","image":"{image}"}},{{"name":"sidecar","image":"{image}","restartPolicy":"Always"}}],
        "containers":[{{"name":"c","image":"{image}"}}]"#
    );
    let labels = format!(r#""labels":{{"app":"{name}","group":"{group}"}}"#);
    let template = |more: &str| format!(r#""template":{{"metadata":{{{labels}}},"spec":{{{more}{containers}}}}}"#);
    let selected = format!(r#""selector":{{"matchLabels":{{"app":"{name}"}}}},{}"#, template(""));
    let job = template(r#""restartPolicy":"Never","#);
    let (version, spec) = match kind {
        "Pod" => ("v1", containers),
        "StatefulSet" => ("apps/v1", format!(r#""serviceName":"{name}",{selected}"#)),
        "Job" => ("batch/v1", job),
        "CronJob" => ("batch/v1", format!(r#""schedule":"0 0 1 1 *","jobTemplate":{{"spec":{{{job}}}}}"#)),
        _ => ("apps/v1", selected),
    };
    format!(r#"{{"apiVersion":"{version}","kind":"{kind}","metadata":{{"name":"{name}",{labels}}},"spec":{{{spec}}}}}"#)
}

/// Creates a workload of each kind with this image.
pub(crate) fn create_all(lab: &Lab, group: &str, image: &str) {
    for kind in KINDS {
        lab.apply(&manifest(kind, group, image)).ok();
    }
    run_cron_job(lab, group, "run");
}

/// Starts a run of the CronJob, as its schedule does.
pub(crate) fn run_cron_job(lab: &Lab, group: &str, run: &str) {
    let from = format!("--from=cronjob/{}", name_of("CronJob", group));
    lab.kubectl(&["create", "job", &format!("{group}-{run}"), &from]).ok();
}

/// Lines `PHASE NODE GATES IMAGES` of the Pods that a selector finds.
pub(crate) fn pods(lab: &Lab, selector: &str) -> Vec<String> {
    let line = r#"{range .items[*]}{.status.phase} {.spec.nodeName} {.spec.schedulingGates[*].name} {.spec.initContainers[*].image} {.spec.containers[*].image}{"\n"}{end}"#;
    let said = lab.kubectl(&["get", "pods", "-l", selector, "-o", &format!("jsonpath={line}")]).ok();
    said.lines().map(str::to_owned).collect()
}

/// Whether so many Pods are there, and each of them has a node and runs.
pub(crate) fn all_run(lab: &Lab, selector: &str, count: usize) -> bool {
    let pods = pods(lab, selector);
    pods.len() == count && pods.iter().all(|pod| pod.starts_with("Running node-0  "))
}

/// Whether so many Pods are there, and each of them waits at the gate.
pub(crate) fn all_wait(lab: &Lab, selector: &str, count: usize) -> bool {
    let pods = pods(lab, selector);
    pods.len() == count && pods.iter().all(|pod| pod.starts_with("Pending  tidewaiter.dev/image-scan "))
}

#[test]
fn every_kind_runs_pinned_or_waits() {
    let lab = lab();
    let approved = clean().build();
    let good = lab.registry.push("good", "v1", &approved);
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create_all(&lab, "good", &good);
    within(PATIENCE, "all kinds run", || all_run(&lab, "group=good", KINDS.len()));
    let pinned = format!("{good}@{}", approved.digest());
    for pod in pods(&lab, "group=good") {
        assert!(pod.ends_with(&format!(" {pinned} {pinned} {pinned}")), "{pod}");
    }
    create_all(&lab, "bad", &bad);
    for kind in KINDS {
        let workload = format!("{kind}/{}", name_of(kind, "bad"));
        within(PATIENCE, &format!("{workload} is blocked"), || {
            let said = lab.kubectl(&["scan", "status", &workload]).text;
            said.contains("VulnerabilitiesFound") && said.contains("Blocked")
        });
    }
    // What is held as an object has no Pods; those of the others wait.
    let waiting = ["Pod", "StatefulSet", "DaemonSet"];
    within(PATIENCE, "the others wait", || all_wait(&lab, "group=bad", waiting.len()));
    lab.comes_to_rest();
    assert!(all_wait(&lab, "group=bad", waiting.len()) && all_run(&lab, "group=good", KINDS.len()));
}
