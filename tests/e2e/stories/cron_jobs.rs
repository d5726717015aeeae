//! CronJobs are decided about once, as objects; their Jobs are runs of what was decided.

use crate::{lab, until_field, within};
use std::thread::sleep;
use std::time::Duration;
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Longer than a minute, which is the shortest time between two runs.
const SCHEDULED: Duration = Duration::from_secs(62);

/// A CronJob; `more` are further fields of its spec.
fn manifest(name: &str, image: &str, schedule: &str, more: &str) -> String {
    format!(
        r#"{{"apiVersion":"batch/v1","kind":"CronJob","metadata":{{"name":"{name}"}},"spec":{{{more}"schedule":"{schedule}",
        "jobTemplate":{{"spec":{{"template":{{"metadata":{{"labels":{{"app":"{name}"}}}},"spec":{{"restartPolicy":"Never",
        "containers":[{{"name":"c","image":"{image}"}}]}}}}}}}}}}}}"#
    )
}

const NEVER: &str = "0 0 1 1 *";

fn suspended(lab: &Lab, name: &str) -> bool {
    lab.field(&format!("cronjob/{name}"), ".spec.suspend") == "true"
}

/// Waits for words of `kubectl scan status`.
#[track_caller]
fn until_status(lab: &Lab, workload: &str, words: &str) {
    within(PATIENCE, &format!("{workload} is {words}"), || {
        let said = lab.kubectl(&["scan", "status", workload]).text;
        words.split(' ').all(|word| said.contains(word))
    });
}

/// Names of the Jobs that a CronJob made.
fn jobs_of(lab: &Lab, name: &str) -> Vec<String> {
    let all = lab.field("jobs", ".items[*].metadata.name");
    all.split_whitespace().filter(|job| job.starts_with(&format!("{name}-"))).map(str::to_owned).collect()
}

#[test]
fn a_hold_skips_no_run_and_piles_up_none() {
    let lab = lab();
    let image = lab.registry.push("nightly", "v1", &vulnerable().build());
    for policy in ["Forbid", "Allow"] {
        let more = format!(r#""concurrencyPolicy":"{policy}","#);
        let said = lab.apply(&manifest(&policy.to_lowercase(), &image, "* * * * *", &more)).ok();
        assert!(said.contains("follow it with: kubectl scan status cronjob/"), "{said}");
    }
    for name in ["forbid", "allow"] {
        until_status(&lab, &format!("cronjob/{name}"), "VulnerabilitiesFound Blocked");
    }
    let events = lab.kubectl(&["events", "--for=cronjob/allow"]).ok();
    assert!(events.contains("blocked by policy"), "{events}");
    sleep(SCHEDULED);
    for name in ["forbid", "allow"] {
        assert!(suspended(&lab, name) && jobs_of(&lab, name).is_empty(), "{name}");
    }
    lab.registry.push("nightly", "v1", &clean().build());
    lab.kubectl(&["scan", "image", &image]).ok();
    for name in ["forbid", "allow"] {
        lab.kubectl(&["scan", "wait", &format!("cronjob/{name}"), "--timeout=60s"]).ok();
        // The run that was missed last, at once.
        within(Duration::from_secs(20), "a run", || !jobs_of(&lab, name).is_empty());
        assert!(!suspended(&lab, name));
        let digest = clean().build().digest();
        within(PATIENCE, "its Pod runs", || {
            crate::pod_images(&lab, name).iter().any(|image| image.ends_with(&format!("@{digest}")))
        });
    }
    // One more may have been due since.
    assert!(jobs_of(&lab, "allow").len() <= 2, "{:?}", jobs_of(&lab, "allow"));
    // One decision for all runs.
    let kinds = lab.field("workloadscans", ".items[*].spec.kind");
    assert_eq!(kinds, "CronJob CronJob");
}

#[test]
fn the_same_manifest_changes_nothing_and_a_changed_one_is_held() {
    let lab = lab();
    let good = lab.registry.push("nightly", "good", &clean().build());
    let bad = lab.registry.push("nightly", "bad", &vulnerable().build());
    let next = lab.registry.push("nightly", "next", &distinct("next"));
    let apply = |image: &str| {
        let args = ["apply", "--server-side", "--field-manager=helm", "-f", "-"];
        lab.cluster.with_input(&args, &manifest("app", image, NEVER, ""))
    };
    apply(&good).ok();
    apply(&good).ok();
    until_status(&lab, "cronjob/app", "Approved Deployed");
    assert!(!suspended(&lab, "app"));
    // A Job that a person makes of it is a run, too: it starts at once and has no record.
    lab.kubectl(&["create", "job", "by-hand", "--from=cronjob/app"]).ok();
    until_field(&lab, "job/by-hand", ".status.active", "1");
    let said = lab.kubectl(&["scan", "status", "job/by-hand"]).ok();
    assert!(said.contains("Approved"), "{said}");
    for _ in 0..3 {
        let said = apply(&bad).ok();
        assert!(!said.contains("pause"), "{said}");
    }
    until_status(&lab, "cronjob/app", "VulnerabilitiesFound Blocked");
    let refused = lab.kubectl(&["patch", "cronjob/app", "-p", r#"{"spec":{"suspend":false}}"#]).refused();
    assert!(refused.contains("cronjob/app is held until its images are approved"), "{refused}");
    // What runs goes on; a run of the blocked template does not start, and is released with it.
    lab.kubectl(&["create", "job", "waiting", "--from=cronjob/app"]).ok();
    assert_eq!(lab.field("job/waiting", ".spec.suspend"), "true");
    assert_eq!(lab.field("job/by-hand", ".status.active"), "1");
    lab.registry.push("nightly", "bad", &distinct("fixed"));
    lab.kubectl(&["scan", "image", &bad]).ok();
    until_field(&lab, "job/waiting", ".status.active", "1");
    until_field(&lab, "cronjob/app", ".spec.suspend", "false");
    // And the user's own suspension, in the manifest.
    let own = manifest("app", &next, NEVER, r#""suspend":true,"#);
    lab.cluster.with_input(&["apply", "--server-side", "--field-manager=helm", "-f", "-"], &own).ok();
    until_status(&lab, "cronjob/app", "Approved its user suspended it");
    assert!(suspended(&lab, "app"));
    apply(&next).ok();
    until_field(&lab, "cronjob/app", ".spec.suspend", "false");
    assert_eq!(lab.field("workloadscans", ".items[*].spec.kind"), "CronJob");
}

/// What a run was made of is decided about, although its CronJob does not need it any more.
#[test]
fn a_run_of_a_superseded_template() {
    let lab = lab();
    let first = lab.registry.push("nightly", "first", &vulnerable().build());
    let next = lab.registry.push("nightly", "next", &clean().build());
    lab.apply(&manifest("app", &first, NEVER, "")).ok();
    until_status(&lab, "cronjob/app", "VulnerabilitiesFound Blocked");
    lab.kubectl(&["create", "job", "early", "--from=cronjob/app"]).ok();
    lab.apply(&manifest("app", &next, NEVER, "")).ok();
    until_status(&lab, "cronjob/app", "Approved Deployed");
    assert_eq!(lab.field("job/early", ".spec.suspend"), "true");
    let said = lab.kubectl(&["scan", "status", "job/early"]).ok();
    assert!(said.contains("Blocked") && said.contains("an earlier template of cronjob/app"), "{said}");
    assert!(!said.contains("Approved"), "{said}");
    lab.kubectl(&["scan", "wait", "job/early", "--timeout=60s"]).refused();
    lab.registry.push("nightly", "first", &distinct("fixed"));
    lab.kubectl(&["scan", "image", &first]).ok();
    until_field(&lab, "job/early", ".status.active", "1");
    until_status(&lab, "job/early", "Approved earlier template");
}

/// The same, where the run started while the server was away: its Pod waits, and with it every later run.
#[test]
fn a_started_run_of_a_superseded_template() {
    let mut lab = lab();
    let first = lab.registry.push("nightly", "first", &vulnerable().build());
    let next = lab.registry.push("nightly", "next", &clean().build());
    lab.apply(&manifest("app", &first, NEVER, r#""concurrencyPolicy":"Forbid","#)).ok();
    until_status(&lab, "cronjob/app", "VulnerabilitiesFound Blocked");
    lab.kill_server();
    lab.kubectl(&["create", "job", "early", "--from=cronjob/app"]).ok();
    lab.apply(&manifest("app", &next, NEVER, r#""concurrencyPolicy":"Forbid","#)).ok();
    lab.start_server();
    until_status(&lab, "cronjob/app", "Approved Deployed");
    assert_ne!(lab.field("job/early", ".status.ready"), "1");
    lab.registry.push("nightly", "first", &distinct("fixed"));
    lab.kubectl(&["scan", "image", &first]).ok();
    within(Duration::from_secs(90), "the Pod starts", || lab.field("job/early", ".status.ready") == "1");
}

#[test]
fn a_person_approves_a_cron_job_once() {
    let lab = lab();
    lab.approval("Manual");
    let image = lab.registry.push("nightly", "v1", &clean().build());
    lab.apply(&manifest("manual", &image, NEVER, "")).ok();
    until_status(&lab, "cronjob/manual", "PendingApproval kubectl scan approve cronjob/manual");
    lab.lead(&["scan", "approve", "cj/manual"]).ok();
    until_field(&lab, "cronjob/manual", ".spec.suspend", "false");
    for name in ["one", "two"] {
        lab.kubectl(&["create", "job", name, "--from=cronjob/manual"]).ok();
        until_field(&lab, &format!("job/{name}"), ".status.active", "1");
    }
}

/// What existed before, with the webhook away, is suspended by the server.
#[test]
fn a_cron_job_that_was_created_while_the_server_was_away() {
    let mut lab = lab();
    let image = lab.registry.push("nightly", "v1", &vulnerable().build());
    lab.kill_server();
    lab.apply(&manifest("late", &image, NEVER, "")).ok();
    lab.start_server();
    until_status(&lab, "cronjob/late", "VulnerabilitiesFound Blocked");
    until_field(&lab, "cronjob/late", ".spec.suspend", "true");
    lab.kill_server();
    assert!(lab.uninstall().ok().contains("done"));
    assert!(!suspended(&lab, "late"));
    // The field is nobody's: whoever applies another value has no conflict.
    let own = manifest("late", &image, NEVER, r#""suspend":true,"#);
    lab.cluster.with_input(&["apply", "--server-side", "--field-manager=helm", "-f", "-"], &own).ok();
    assert!(suspended(&lab, "late"));
}

/// A namespace that is excluded keeps nothing held; a user's own suspension remains.
#[test]
fn a_namespace_that_is_excluded_later() {
    let mut lab = lab();
    let image = lab.registry.push("nightly", "v1", &vulnerable().build());
    lab.new_namespace("apart");
    lab.apply(&manifest("app", &image, NEVER, "")).ok();
    lab.apply(&manifest("own", &image, NEVER, r#""suspend":true,"#)).ok();
    crate::create(&lab, "web", &image);
    for workload in ["cronjob/app", "cronjob/own", "deployment/web"] {
        until_status(&lab, workload, "VulnerabilitiesFound Blocked");
    }
    assert!(suspended(&lab, "app") && lab.field("deployment/web", ".spec.paused") == "true");
    lab.kill_server();
    let excluded = ["--exclude-namespace", "kube-system", "--exclude-namespace", "apart"];
    // An upgrade may bring a longer list, so that the list alone is not enough.
    lab.start_server_with(&excluded);
    let log = std::fs::read_to_string(lab.log()).unwrap();
    assert!(
        log.contains("apart is on the list of excluded namespaces, and enforced until now: enforced further"),
        "{log}"
    );
    assert!(suspended(&lab, "app") && lab.field("deployment/web", ".spec.paused") == "true");
    let events = lab.admin(&["get", "events", "-n", "tidewaiter-system", "-o", "yaml"]).ok();
    assert!(events.contains("ExclusionNotApplied"), "{events}");
    lab.kill_server();
    lab.start_server_with(&[&excluded[..], &["--exclude-enforced-namespaces"]].concat());
    until_field(&lab, "cronjob/app", ".spec.suspend", "false");
    until_field(&lab, "deployment/web", ".spec.paused", "");
    let held = r".metadata.annotations.tidewaiter\.dev/held-for";
    until_field(&lab, "cronjob/own", held, "");
    assert!(suspended(&lab, "own"));
    // Later suspensions are nobody else's business.
    within(PATIENCE, "the hold is forgotten", || {
        !lab.field("workloadscans", ".items[*].status.pausedByServer").contains("true")
    });
    lab.kubectl(&["patch", "cronjob/app", "-p", r#"{"spec":{"suspend":true}}"#]).ok();
    sleep(Duration::from_secs(2));
    assert!(suspended(&lab, "app"));
}

/// A stolen token of the server's suspends and resumes, and changes no image.
#[test]
fn the_servers_account_changes_no_template() {
    let lab = lab();
    let image = lab.registry.push("nightly", "v1", &clean().build());
    lab.apply(&manifest("app", &image, NEVER, "")).ok();
    until_status(&lab, "cronjob/app", "Approved Deployed");
    crate::create(&lab, "web", &image);
    crate::rolled_out(&lab, "web");
    let namespace = lab.field("cronjob/app", ".metadata.namespace");
    // `kubectl patch` reads the object first, which the server itself has no need to.
    lab.admin(&["create", "clusterrole", "reader", "--verb=get", "--resource=deployments,cronjobs"]).ok();
    let account = "--serviceaccount=tidewaiter-system:tidewaiter";
    lab.admin(&["create", "clusterrolebinding", "reader", "--clusterrole=reader", account]).ok();
    let as_server = |object: &str, patch: &str| {
        let account = "--as=system:serviceaccount:tidewaiter-system:tidewaiter";
        lab.admin(&["patch", object, "-n", &namespace, account, "--type=json", "-p", patch])
    };
    let pod = "containers/0/image";
    for (object, path) in [
        ("cronjob/app", format!("/spec/jobTemplate/spec/template/spec/{pod}")),
        ("deployment/web", format!("/spec/template/spec/{pod}")),
    ] {
        let patch = format!(r#"[{{"op":"replace","path":"{path}","value":"evil"}}]"#);
        let said = as_server(object, &patch).refused();
        assert!(said.contains("tidewaiter changes no template"), "{said}");
    }
    as_server("cronjob/app", r#"[{"op":"replace","path":"/spec/suspend","value":true}]"#).ok();
}
