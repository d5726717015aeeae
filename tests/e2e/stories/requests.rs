//! What the gate costs the API server: the requests of the server's account, counted in the audit log.

use crate::{create, lab, pod_images, rolled_out, within};
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
