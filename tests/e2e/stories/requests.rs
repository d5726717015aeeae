//! What the gate costs the API server: the requests of the server's account, counted in the audit log.

use crate::{create, lab, pod, pod_images, rolled_out, until_field, within};
use std::collections::BTreeSet;
use std::time::Duration;
use tidewaiter_testkit::audit::ApiRequest;
use tidewaiter_testkit::demo::distinct;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Requests for one Deployment, from its creation until its record says `Deployed`: record, its first status, ImageScan, its
/// result, decision, condition, Event, list, release, Pod, `Deployed`.
const PER_DEPLOYMENT: usize = 11;
/// Requests for a Pod that takes the place of another one: nothing is decided. It may start gated, while the API server
/// does not know the list yet.
const PER_POD: usize = 1;
/// How long the API server may take to know a new list: until then Pods start gated.
const LIST_IS_NEW: Duration = Duration::from_secs(6);

/// What is asked for while something is done, and until the server rests.
fn requests(lab: &Lab, act: impl FnOnce()) -> Vec<ApiRequest> {
    let before = lab.requests_about("default").len();
    act();
    lab.comes_to_rest();
    lab.requests_about("default").split_off(before)
}

#[track_caller]
fn at_most(limit: usize, what: &str, found: &[ApiRequest]) {
    let listed: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.len() <= limit, "{what}: {} requests, at most {limit}:\n{}", found.len(), listed.join("\n"));
}

#[test]
fn a_deployment_costs_eleven_requests_and_a_restarted_pod_one() {
    let lab = lab();
    // The list of the namespace is made when the server starts.
    lab.comes_to_rest();
    let mut counted = 0;
    for name in ["first", "second", "third", "fourth", "fifth"] {
        let image = lab.registry.push(name, "v1", &distinct(name));
        let found = requests(&lab, || {
            create(&lab, name, &image);
            lab.until(name, "Approved Deployed");
        });
        println!("{name}: {} requests", found.len());
        // On a busy machine a scan takes so long that people are told of it.
        if found.iter().filter(|request| request.resource == "imagescans/status").count() == 1 {
            at_most(PER_DEPLOYMENT, name, &found);
            counted += 1;
        }
        if counted == 2 {
            break;
        }
    }
    assert!(counted > 0, "each of five scans took more than a second");
    // The Pod of the first one is replaced.
    std::thread::park_timeout(LIST_IS_NEW);
    let pods = || lab.kubectl(&["get", "pods", "-l", "app=first", "-o", "name"]).ok();
    let old = pods();
    let found = requests(&lab, || {
        lab.kubectl(&["delete", "pods", "-l", "app=first", "--wait"]).ok();
        within(PATIENCE, "another Pod is there", || !pods().is_empty() && pods() != old);
        rolled_out(&lab, "first");
    });
    println!("a Pod: {} requests", found.len());
    at_most(PER_POD, "a Pod that takes the place of another one", &found);
    assert_eq!(lab.statuses("first"), "Approved Deployed");
}

/// A new workload takes what the tag was a moment ago; a restart asks the registry again.
#[test]
fn workloads_of_one_image_need_one_scan() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &distinct("one"));
    let by_digest = format!("{}@{}", image.trim_end_matches(":v1"), distinct("one").digest());
    let runs =
        |image: &str| lab.field("imagescans", &format!(r#".items[?(@.spec.image=="{image}")].metadata.generation"#));
    for (name, image) in [("a", &image), ("b", &image), ("c", &image), ("d", &by_digest), ("e", &by_digest)] {
        create(&lab, name, image);
        lab.until(name, "Approved Deployed");
        assert_eq!(runs(image), "1", "{name}");
    }
    let next = distinct("two");
    lab.registry.push("app", "v1", &next);
    lab.kubectl(&["rollout", "restart", "deployment/b"]).ok();
    within(PATIENCE, "the restarted one runs what the tag names now", || {
        pod_images(&lab, "b").iter().any(|image| image.ends_with(&next.digest()))
    });
    rolled_out(&lab, "b");
    assert_eq!(runs(&image), "2");
    // By a digest nothing can have changed.
    lab.kubectl(&["rollout", "restart", "deployment/d"]).ok();
    rolled_out(&lab, "d");
    assert_eq!(runs(&by_digest), "1");
}

/// Jobs and Pods without a controller are new each time: each takes what the tag was a moment ago.
#[test]
fn jobs_and_pods_of_one_image_need_one_scan() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &distinct("one"));
    lab.apply(&pod("first", &image)).ok();
    until_field(&lab, "pod/first", ".status.phase", "Running");
    let job = |name: &str| {
        lab.kubectl(&["create", "job", name, &format!("--image={image}")]).ok();
        format!("batch.kubernetes.io/job-name={name}")
    };
    let single = |name: &str| {
        lab.apply(&pod(name, &image)).ok();
        format!("app={name}")
    };
    let pods = [job("second"), job("third"), single("fourth"), single("fifth")];
    let runs = |selector: &String| {
        lab.kubectl(&["get", "pods", "-l", selector, "-o", "jsonpath={.items[*].status.phase}"]).text == "Running"
    };
    within(PATIENCE, "all run", || pods.iter().all(runs));
    assert_eq!(lab.field("imagescans", ".items[*].metadata.generation"), "1");
}

/// The writes of webhooks, policies and bindings that succeeded: resource and name.
fn written(lab: &Lab) -> Vec<String> {
    let all = lab.requests_about("").into_iter();
    let ours = all.filter(|request| request.group == "admissionregistration.k8s.io" && request.is_write());
    let ours = ours.filter(|request| request.code < 300);
    ours.map(|request| format!("{}/{}", request.resource, request.name)).collect()
}

#[test]
fn registrations_are_written_once_and_then_where_they_differ() {
    let lab = lab();
    lab.comes_to_rest();
    let at_start = written(&lab);
    let each: BTreeSet<&String> = at_start.iter().collect();
    assert!(each.len() == at_start.len() && each.len() > 10, "{at_start:#?}");
    // One is deleted, and another one changed: they are written, and all others read.
    let read = || lab.requests_about("").iter().filter(|request| request.verb == "get").count();
    let before = read();
    let (deleted, changed) = ("tidewaiter-records", "tidewaiter-approvals");
    // The API server merges this list, and refuses Warn with Deny.
    let patch = r#"{"spec":{"validationActions":["Warn"]}}"#;
    lab.admin(&["patch", "validatingadmissionpolicybinding", changed, "--type=merge", "-p", patch]).ok();
    lab.admin(&["delete", "validatingadmissionpolicybinding", deleted]).ok();
    for name in [deleted, changed] {
        let actions = || lab.field(&format!("validatingadmissionpolicybinding/{name}"), ".spec.validationActions");
        within(PATIENCE, &format!("{name} is as it was"), || actions() == r#"["Deny"]"#);
    }
    lab.comes_to_rest();
    let mut again = written(&lab).split_off(at_start.len());
    again.sort();
    assert_eq!(again, [changed, deleted].map(|name| format!("validatingadmissionpolicybindings/{name}")));
    assert!(read() - before >= each.len(), "{} of {}", read() - before, each.len());
}
