//! A new Deployment about whose images everything is known passes: it is never paused, and its Pods start by the digest that
//! was scanned. It is recorded as any other one.

use crate::{create, lab, pod_images, rolled_out, until_field, within};
use std::time::Duration;
use tidewaiter_testkit::demo::{distinct, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// How long a digest is on the list before the API server is taken to know it.
const LISTED: Duration = Duration::from_secs(6);

/// Whether its spec was changed since its creation: a pause and its end are two changes.
fn is_as_created(lab: &Lab, name: &str) -> bool {
    lab.field(&format!("deployment/{name}"), ".metadata.generation") == "1"
}

/// An image that a Deployment of this name runs, by a list that the API server knows.
fn known(lab: &Lab, name: &str) -> String {
    let image = lab.registry.push(name, "v1", &distinct(name));
    create(lab, name, &image);
    rolled_out(lab, name);
    assert!(!is_as_created(lab, name), "the first one is held");
    std::thread::park_timeout(LISTED);
    image
}

#[test]
fn a_known_image_is_not_held() {
    let lab = lab();
    let image = known(&lab, "first");
    let said = create(&lab, "second", &image);
    assert!(!said.contains("held"), "{said}");
    rolled_out(&lab, "second");
    lab.until("second", "Approved Deployed");
    assert!(is_as_created(&lab, "second"));
    assert_eq!(pod_images(&lab, "second"), pod_images(&lab, "first"));
    let transitions = r#".items[?(@.spec.name=="second")].status.transitions[*].deploymentStatus"#;
    assert_eq!(lab.field("workloadscans", transitions), "Created RollingOut Deployed");
    // What users wait for is there, and nothing was released.
    let wait = ["wait", "--for=condition=tidewaiter.dev/ImageApproved", "deployment/second", "--timeout=30s"];
    lab.kubectl(&wait).ok();
    lab.comes_to_rest();
    assert!(is_as_created(&lab, "second"));
    let events = lab.kubectl(&["get", "events", "--field-selector", "involvedObject.name=second"]).ok();
    assert!(!events.contains("RollingOut"), "{events}");
    // Its next template is held: the registry is asked again.
    let said = lab.kubectl(&["rollout", "restart", "deployment/second"]).ok();
    assert!(said.contains("held: image scan running"), "{said}");
    rolled_out(&lab, "second");
}

/// What is missing makes a hold, whatever it is.
#[test]
fn what_is_not_known_is_held() {
    let lab = lab();
    let image = known(&lab, "first");
    let held = |name: &str, image: &str| {
        let said = create(&lab, name, image);
        assert!(said.contains("held: image scan running"), "{name}: {said}");
    };
    // Another namespace has approved nothing.
    lab.new_namespace("elsewhere");
    held("elsewhere", &image);
    lab.work_in("default");
    // The same digest by another name.
    held("moved", &lab.registry.push("moved", "v1", &distinct("first")));
    // A person must approve.
    lab.approval("Manual");
    within(PATIENCE, "the policy is known", || {
        let said =
            lab.kubectl(&["create", "deployment", "probe", &format!("--image={image}"), "--dry-run=server"]).ok();
        said.contains("held")
    });
    held("manual", &image);
    lab.until("manual", "NoVulnerabilities PendingApproval");
    lab.approval("Automatic");
    rolled_out(&lab, "manual");
    // Policy forbids it.
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    held("bad", &bad);
    lab.until("bad", "VulnerabilitiesFound Blocked");
    std::thread::park_timeout(LISTED);
    held("again", &bad);
    lab.until("again", "VulnerabilitiesFound Blocked");
    until_field(
        &lab,
        "deployment/again",
        r#".status.conditions[?(@.type=="tidewaiter.dev/ImageApproved")].status"#,
        "False",
    );
}

/// A pause of the manifest's own remains its user's, and so do copied marks of a hold end.
#[test]
fn a_pause_of_the_manifest_remains() {
    let lab = lab();
    let image = known(&lab, "first");
    let template =
        lab.kubectl(&["create", "deployment", "NAME", &format!("--image={image}"), "--dry-run=client", "-o", "json"]);
    let paused = template.ok().replacen(r#""replicas": 1,"#, r#""replicas": 1, "paused": true,"#, 1);
    lab.apply(&paused.replace("NAME", "own")).ok();
    lab.until("own", "Approved RollingOut");
    lab.comes_to_rest();
    assert_eq!(lab.field("deployment/own", ".spec.paused"), "true");
    lab.kubectl(&["rollout", "resume", "deployment/own"]).ok();
    rolled_out(&lab, "own");
    let marks = r#""metadata": {"annotations": {"tidewaiter.dev/held-for": "x"}, "#;
    lab.apply(&paused.replacen(r#""metadata": {"#, marks, 1).replace("NAME", "copied")).ok();
    rolled_out(&lab, "copied");
    until_field(&lab, "deployment/copied", r".metadata.annotations.tidewaiter\.dev/held-for", "");
}

/// The server ends between the admission of a Deployment and its record: the record follows, and what ran meanwhile is what was
/// scanned.
#[test]
fn the_server_ends_before_the_record() {
    let mut lab = lab();
    let image = known(&lab, "first");
    let scanned = pod_images(&lab, "first");
    // Whatever of the next one exists by then.
    create(&lab, "second", &image);
    lab.kill_server();
    // The tag moves to what policy forbids.
    lab.registry.push("first", "v1", &vulnerable().build());
    std::thread::park_timeout(Duration::from_secs(2));
    let meanwhile = pod_images(&lab, "second");
    assert!(meanwhile.iter().all(|image| scanned.contains(image)), "{meanwhile:?}");
    lab.start_server();
    // A new process takes nothing for known: a Deployment without a record asks the registry again.
    within(PATIENCE, "it is recorded", || {
        ["Approved Deployed", "VulnerabilitiesFound Blocked"].contains(&lab.statuses("second").as_str())
    });
    lab.comes_to_rest();
    assert!(pod_images(&lab, "second").iter().all(|image| scanned.contains(image)));
    create(&lab, "third", &image);
    lab.until("third", "VulnerabilitiesFound Blocked");
    assert_eq!(pod_images(&lab, "third"), Vec::<String>::new());
}
