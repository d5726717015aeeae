//! The server is away for a minute, in a cluster of Kubernetes 1.36 or later: the API server itself pins approved images and gates
//! all others, and whatever waits moves within 30 s of the server's return.

use crate::every_kind::{KINDS, all_run, all_wait, create_all, manifest, pods, run_cron_job};
use crate::{WITH_GATE, create, has, lab, pod, pod_images, rolled_out, until_field, within};
use std::time::{Duration, Instant};
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Seconds that the server is away, where a minute is not asked for.
const AWAY_SECONDS: &str = "TIDEWAITER_AWAY_SECONDS";
/// What is promised after its return.
const RETURN: Duration = Duration::from_secs(30);

fn away() -> Duration {
    let seconds = std::env::var(AWAY_SECONDS).map_or(60, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// Whether the API server can gate; else the story is skipped.
#[track_caller]
fn is_gated_by_the_api_server() -> bool {
    has(WITH_GATE, "MutatingAdmissionPolicies")
}

#[track_caller]
fn until_listed(lab: &Lab, image: &str) {
    within(PATIENCE, "the list has the image by its tag", || {
        lab.field("imageallowlist/images", ".spec.images").contains(&format!(r#""{image}":"#))
    });
}

#[test]
fn a_minute_without_the_server() {
    if !is_gated_by_the_api_server() {
        return;
    }
    let mut lab = lab();
    let (approved, fresh) = (clean().build(), distinct("fresh"));
    let good = lab.registry.push("good", "v1", &approved);
    let new = lab.registry.push("new", "v1", &fresh);
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create_all(&lab, "old", &good);
    within(PATIENCE, "all kinds run", || all_run(&lab, "group=old", KINDS.len()));
    until_listed(&lab, &good);
    lab.kill_server();
    let gone = Instant::now();

    // Pods of approved images restart by tag, pinned; so do new ones of their namespace.
    lab.kubectl(&["scale", "deployment/old-deployment", "--replicas=2"]).ok();
    lab.kubectl(&["delete", "pods", "-l", "group=old", "--wait"]).ok();
    lab.apply(&manifest("Pod", "old", &good)).ok();
    run_cron_job(&lab, "old", "again");
    // Of the runs, the Job and the first run of the CronJob make another Pod, too.
    within(PATIENCE, "approved images run", || all_run(&lab, "group=old", KINDS.len() + 2));
    create_all(&lab, "more", &good);
    within(PATIENCE, "new workloads of approved images run", || all_run(&lab, "group=more", KINDS.len()));
    let pinned = format!("{good}@{}", approved.digest());
    for pod in [pods(&lab, "group=old"), pods(&lab, "group=more")].concat() {
        assert!(pod.ends_with(&format!(" {pinned} {pinned} {pinned}")), "{pod}");
    }

    // Everything else waits, whatever made it, and however it names its image.
    create_all(&lab, "new", &new);
    create_all(&lab, "bad", &bad);
    let digest = format!("{new}@{}", fresh.digest());
    lab.apply(&pod("new-digest", &digest)).ok();
    lab.apply(&pod("bad-digest", &format!("{bad}@{}", vulnerable().build().digest()))).ok();
    within(PATIENCE, "the others wait", || {
        [("group=new", KINDS.len()), ("group=bad", KINDS.len()), ("app=new-digest", 1), ("app=bad-digest", 1)]
            .iter()
            .all(|(selector, count)| all_wait(&lab, selector, *count))
    });
    nothing_else_starts(&lab, &good, &bad);
    std::thread::sleep(away().saturating_sub(gone.elapsed()));
    assert!(all_wait(&lab, "group=new", KINDS.len()) && all_wait(&lab, "group=bad", KINDS.len()));
    lab.kubectl(&["delete", "pods", "-l", "app=old-deployment", "--wait"]).ok();
    within(PATIENCE, "at its end approved images restart", || all_run(&lab, "app=old-deployment", 2));

    let returned = Instant::now();
    lab.start_server();
    within(RETURN.saturating_sub(returned.elapsed()), "everything clean runs within 30 s", || {
        all_run(&lab, "group=new", KINDS.len()) && pods(&lab, "app=new-digest")[0].starts_with("Running")
    });
    println!("everything moves {:?} after the start of the server", returned.elapsed());
    within(PATIENCE, "what is vulnerable is blocked", || {
        let said = lab.kubectl(&["scan", "status", "daemonset/bad-daemonset"]).text;
        said.contains("VulnerabilitiesFound") && said.contains("Blocked")
    });
    lab.comes_to_rest();
    for line in [pods(&lab, "group=bad"), pods(&lab, "app=bad-digest")].concat() {
        assert!(line.starts_with("Pending  tidewaiter.dev/image-scan "), "{line}");
    }
    // What ran meanwhile runs on.
    assert!(all_run(&lab, "group=more", KINDS.len()));
}

/// Neither marks nor other fields of a Pod get around the gate.
fn nothing_else_starts(lab: &Lab, good: &str, bad: &str) {
    let placed = pod("placed", bad).replace(r#""spec":{"#, r#""spec":{"nodeName":"node-0","#);
    lab.apply(&placed).refused();
    let mirror = placed.replace(r#""labels""#, r#""annotations":{"kubernetes.io/config.mirror":"x"},"labels""#);
    lab.cluster.apply(&mirror).refused();
    let labelled = pod("labelled", good).replace(r#""app":"labelled""#, r#""tidewaiter.dev/gated":"true""#);
    lab.apply(&labelled).refused();
    let volume = pod("volume", good)
        .replace(r#""spec":{"#, &format!(r#""spec":{{"volumes":[{{"name":"v","image":{{"reference":"{bad}"}}}}],"#));
    lab.apply(&volume).refused();
    for mark in ["listed", "unlisted", "done", "other"] {
        let name = format!("marked-{mark}");
        let marked = pod(&name, bad)
            .replace(r#""labels""#, &format!(r#""annotations":{{"tidewaiter.dev/unreviewed":"{mark}"}},"labels""#));
        lab.apply(&marked).ok();
        assert!(all_wait(lab, &format!("app={name}"), 1), "{mark}");
        assert_eq!(lab.field(&format!("pod/{name}"), r".metadata.annotations.tidewaiter\.dev/unreviewed"), "");
    }
    // A node named by the Pod is no reason to refuse what is approved.
    let placed = pod("placed", good).replace(r#""spec":{"#, r#""spec":{"nodeName":"node-0","#);
    lab.apply(&placed).ok();
    within(PATIENCE, "it runs", || all_run(lab, "app=placed", 1));
    // An image volume is pinned as containers are.
    let volume = pod("volume", good)
        .replace(r#""spec":{"#, &format!(r#""spec":{{"volumes":[{{"name":"v","image":{{"reference":"{good}"}}}}],"#));
    lab.apply(&volume).ok();
    assert!(lab.field("pod/volume", ".spec.volumes[0].image.reference").starts_with(&format!("{good}@sha256:")));
}

/// A namespace that the server has not seen has no list: its Pods wait, too.
#[test]
fn a_namespace_that_is_made_while_the_server_is_away() {
    if !is_gated_by_the_api_server() {
        return;
    }
    let mut lab = lab();
    let good = lab.registry.push("good", "v1", &clean().build());
    lab.kill_server();
    lab.new_namespace("young");
    create_all(&lab, "new", &good);
    within(PATIENCE, "they wait", || all_wait(&lab, "group=new", KINDS.len()));
    let returned = Instant::now();
    lab.start_server();
    within(RETURN.saturating_sub(returned.elapsed()), "they run within 30 s", || {
        all_run(&lab, "group=new", KINDS.len())
    });
}

/// A tag names what was approved last; what is retained only is not started by it.
#[test]
fn a_tag_that_moved_and_one_that_is_retained() {
    if !is_gated_by_the_api_server() {
        return;
    }
    let mut lab = Lab::new(crate::places());
    let old = lab.registry.push("old", "v1", &vulnerable().build());
    create(&lab, "retained", &old);
    rolled_out(&lab, "retained");
    lab.start_server();
    let tag = lab.registry.push("app", "v1", &distinct("one"));
    create(&lab, "app", &tag);
    rolled_out(&lab, "app");
    let second = distinct("two");
    lab.registry.push("app", "v1", &second);
    lab.kubectl(&["rollout", "restart", "deployment/app"]).ok();
    within(PATIENCE, "the second one runs", || {
        let images = pod_images(&lab, "app");
        images.len() == 1 && images[0].ends_with(&second.digest())
    });
    within(PATIENCE, "the list has the second one", || {
        lab.field("imageallowlist/images", ".spec.images").contains(&second.digest())
    });
    lab.until("retained", "VulnerabilitiesFound Deployed");
    lab.kill_server();
    lab.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    until_field(&lab, "deployment/app", ".status.readyReplicas", "2");
    assert!(pod_images(&lab, "app").iter().all(|image| image.ends_with(&second.digest())));
    lab.kubectl(&["scale", "deployment/retained", "--replicas=2"]).ok();
    within(PATIENCE, "a Pod waits", || pods(&lab, "app=retained").iter().any(|pod| pod.contains("image-scan")));
    assert_eq!(lab.field("deployment/retained", ".status.readyReplicas"), "1");
    let returned = Instant::now();
    lab.start_server();
    within(RETURN.saturating_sub(returned.elapsed()), "it restarts within 30 s", || {
        lab.field("deployment/retained", ".status.readyReplicas") == "2"
    });
}

/// The server holds connections and answers nothing: the API server waits for it, at most twice three seconds for a Pod.
#[test]
fn a_server_that_hangs() {
    if !is_gated_by_the_api_server() {
        return;
    }
    let lab = lab();
    let good = lab.registry.push("good", "v1", &clean().build());
    let new = lab.registry.push("new", "v1", &distinct("new"));
    create(&lab, "app", &good);
    rolled_out(&lab, "app");
    until_listed(&lab, &good);
    lab.freeze_server();
    let asked = Instant::now();
    let said = lab.apply(&pod("known", &good));
    let took = asked.elapsed();
    println!("a Pod is created in {took:?}");
    assert_eq!(said.code, 0, "after {took:?}: {}\n{}", said.text, gate(&lab));
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(12), "{took:?}");
    within(PATIENCE, "it runs", || all_run(&lab, "app=known", 1));
    lab.apply(&pod("unknown", &new)).ok();
    assert!(all_wait(&lab, "app=unknown", 1));
    let returned = Instant::now();
    lab.thaw_server();
    within(RETURN.saturating_sub(returned.elapsed()), "it runs within 30 s", || all_run(&lab, "app=unknown", 1));
}

/// What the API server has of its gate, to tell why it did not act.
fn gate(lab: &Lab) -> String {
    let kinds = "mutatingadmissionpolicies,mutatingadmissionpolicybindings,imageallowlists";
    lab.kubectl(&["get", kinds, "-o", "yaml"]).text
}
