//! Installing on a cluster where workloads run: nothing stops, nothing new slips in.

use crate::{GATE, WITH_GATE, all_run, create, kubernetes, places, pod, rolled_out, until_field, within};
use tidewaiter_testkit::demo::{base, clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

#[test]
fn installation_on_a_cluster_with_running_workloads() {
    let mut lab = Lab::new(places());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "old", &bad);
    create(&lab, "fine", &good);
    lab.apply(&pod("bare", &bad)).ok();
    rolled_out(&lab, "old");
    rolled_out(&lab, "fine");
    until_field(&lab, "pod/bare", ".status.phase", "Running");
    let before = lab.field("pods", ".items[*].metadata.uid");

    lab.start_server();
    // Scanned in the background: the clean one becomes approved, the other one remains retained.
    lab.until("fine", "Approved Deployed");
    lab.until("old", "VulnerabilitiesFound Deployed");
    assert_eq!(lab.field("pods", ".items[*].metadata.uid"), before, "a Pod was restarted");
    // Restarts and scaling continue to work, with the digest that ran.
    lab.kubectl(&["scale", "deployment/old", "--replicas=2"]).ok();
    lab.kubectl(&["delete", "pods", "-l", "app=old", "--wait=false"]).ok();
    within(PATIENCE, "two new Pods run", || {
        let uids = lab.field("pods", r#".items[?(@.metadata.labels.app=="old")].metadata.uid"#);
        lab.field("deployment/old", ".status.readyReplicas") == "2" && uids.split(' ').all(|uid| !before.contains(uid))
    });
    let digest = vulnerable().build().digest();
    all_run(&lab, "old", |image| image.ends_with(&digest));
    // A restart, or a changed variable, is no rollout of an unknown image.
    let said = lab.kubectl(&["rollout", "restart", "deployment/old"]).ok();
    assert!(!said.contains("held"), "{said}");
    rolled_out(&lab, "old");
    lab.kubectl(&["set", "env", "deployment/old", "A=b"]).ok();
    rolled_out(&lab, "old");
    all_run(&lab, "old", |image| image.ends_with(&digest));
    lab.until("old", "VulnerabilitiesFound Deployed");
    // The next image is held, and so is another workload with that image.
    let next = lab.registry.push("bad", "v2", &base(&[("openssl", "3.0.2-1")]).build());
    let said = lab.kubectl(&["set", "image", "deployment/old", &format!("bad={next}")]).ok();
    assert!(said.contains("held"), "{said}");
    lab.until("old", "VulnerabilitiesFound Blocked");
    assert_eq!(lab.field("deployment/old", ".status.readyReplicas"), "2");
    create(&lab, "new", &bad);
    lab.until("new", "VulnerabilitiesFound Blocked");
}

/// Bindings that are deleted are no new installation: what starts meanwhile is not retained, and they are back at once.
#[test]
fn a_hole_in_enforcement_is_short_and_retains_nothing() {
    let lab = crate::lab();
    let image = vulnerable().build();
    let bad = lab.registry.push("bad", "v1", &image);
    let by_digest = format!("{}@{}", bad.trim_end_matches(":v1"), image.digest());
    let started = std::time::Instant::now();
    lab.admin(&["delete", "mutatingwebhookconfigurations", "tidewaiter"]).ok();
    let all = ["tidewaiter-shape", "tidewaiter-allowlist"];
    let gates: &[&str] = if kubernetes() < WITH_GATE {
        &[]
    } else {
        &["tidewaiter-gate", "tidewaiter-gate-unlisted", "tidewaiter-gate-in-force"]
    };
    if !gates.is_empty() {
        lab.admin(&["delete", GATE, "--all"]).ok();
    }
    lab.admin(&[&["delete", "validatingadmissionpolicybindings"], &all[..]].concat()).ok();
    // It may slip in, or find them back already.
    let slipped = lab.apply(&pod("slipped", &by_digest)).code == 0;
    within(std::time::Duration::from_secs(10), "the bindings are back", || {
        all.iter().all(|name| lab.admin(&["get", "validatingadmissionpolicybindings", name]).code == 0)
            && lab.admin(&["get", "mutatingwebhookconfigurations", "tidewaiter"]).code == 0
            && gates.iter().all(|name| {
                let said = lab.admin(&["get", GATE, "-o", "name"]).text;
                said.lines().filter(|line| line.ends_with(&format!("/{name}"))).count() == 2
            })
    });
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    within(PATIENCE, "it is reported", || {
        std::fs::read_to_string(lab.log()).unwrap().contains("what started meanwhile was not decided")
            && lab
                .admin(&["get", "events", "-n", "tidewaiter-system", "-o", "yaml"])
                .ok()
                .contains("EnforcementInterrupted")
    });
    let list = lab.field("imageallowlist/images", ".spec.digests");
    assert!(!list.contains(&image.digest()), "{slipped} {list}");
    within(PATIENCE, "another one waits", || lab.apply(&pod("next", &bad)).code == 0);
    assert!(lab.field("pod/next", ".spec.schedulingGates").contains("tidewaiter.dev/image-scan"));
}

/// A registration that somebody narrows, so that it concerns nothing, is as bad as one that is deleted, and less easily seen.
#[test]
fn what_narrows_a_registration_is_undone() {
    let lab = crate::lab();
    let interrupted = || std::fs::read_to_string(lab.log()).unwrap().contains("what started meanwhile was not decided");
    // The server's own changes are no interruption.
    for (mode, operator) in [("Warn", "In"), ("Enforce", "NotIn")] {
        lab.policy(&format!(r#"{{"spec":{{"mode":"{mode}"}}}}"#));
        let path = ".spec.matchResources.namespaceSelector.matchExpressions[0].operator";
        until_field(&lab, "validatingadmissionpolicybinding/tidewaiter-shape", path, operator);
    }
    assert!(!interrupted());
    let none = r#"{"matchLabels":{"no":"such"}}"#;
    let never = r#"[{"name":"never","expression":"false"}]"#;
    let mut narrowed = vec![
        ("mutatingwebhookconfiguration/tidewaiter", "/webhooks/0/matchConditions", never),
        ("mutatingwebhookconfiguration/tidewaiter", "/webhooks/1/objectSelector", none),
        ("validatingadmissionpolicy/tidewaiter-records", "/spec/matchConditions", never),
        (
            "validatingadmissionpolicy/tidewaiter-shape",
            "/spec/matchConstraints/resourceRules/0/resourceNames",
            r#"["no"]"#,
        ),
        (
            "validatingadmissionpolicy/tidewaiter-allowlist",
            "/spec/matchConstraints/excludeResourceRules",
            r#"[{"apiGroups":["*"],"apiVersions":["*"],"operations":["*"],"resources":["*"]}]"#,
        ),
        ("validatingadmissionpolicybinding/tidewaiter-shape", "/spec/matchResources/objectSelector", none),
        (
            "validatingadmissionpolicybinding/tidewaiter-namespace-labels",
            "/spec/paramRef",
            r#"{"name":"no-such","parameterNotFoundAction":"Allow"}"#,
        ),
    ];
    if kubernetes() >= WITH_GATE {
        narrowed.push((
            "mutatingadmissionpolicybinding/tidewaiter-gate",
            "/spec/matchResources/namespaceSelector/matchLabels",
            r#"{"no":"such"}"#,
        ));
    }
    let state = |object: &str| lab.admin(&["get", object, "-o", "jsonpath={.spec}{.webhooks}"]).ok();
    let before: Vec<String> = narrowed.iter().map(|(object, ..)| state(object)).collect();
    for (object, path, value) in &narrowed {
        let patch = format!(r#"[{{"op":"add","path":"{path}","value":{value}}}]"#);
        let said = lab.admin(&["patch", object, "--type=json", "-p", &patch]).ok();
        assert!(!said.contains("no change"), "{said}");
    }
    within(PATIENCE, "everything is as it was", || {
        narrowed.iter().zip(&before).all(|((object, ..), before)| state(object) == *before)
    });
    within(PATIENCE, "it is reported", interrupted);
}

/// What cannot be named by digest yet is said, and retained once its node reports it.
#[test]
fn a_pod_that_still_pulls_is_retained_later() {
    let mut lab = Lab::new(places());
    let image = vulnerable().build();
    let name = format!("{}/late:v1", lab.registry.host());
    lab.apply(&pod("late", &name)).ok();
    within(PATIENCE, "the Pod has a node", || !lab.field("pod/late", ".spec.nodeName").is_empty());
    lab.start_server();
    within(PATIENCE, "it is named", || {
        let events = lab.admin(&["get", "events", "-o", "yaml"]).ok();
        events.contains("NotRetained") && events.contains("has not reported the image of container c yet")
    });
    lab.registry.push("late", "v1", &image);
    until_field(&lab, "pod/late", ".status.phase", "Running");
    within(PATIENCE, "it is retained", || {
        let list = lab.field("imageallowlist/images", ".spec.digests");
        list.contains(&image.digest()) && list.contains("retained")
    });
}
