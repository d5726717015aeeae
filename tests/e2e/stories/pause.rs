//! Users cannot end a hold, and their own pauses remain theirs.

use crate::{create, lab, rolled_out, until_field};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::Lab;

fn paused(lab: &Lab, name: &str) -> bool {
    lab.field(&format!("deployment/{name}"), ".spec.paused") == "true"
}

#[test]
fn users_cannot_resume_a_hold() {
    let lab = lab();
    let bad = lab.registry.push("app", "bad", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    let refused = lab.kubectl(&["rollout", "resume", "deployment/app"]).refused();
    assert!(
        refused.contains("held until its images are approved") && refused.contains("kubectl scan status"),
        "{refused}"
    );
    for (kind, patch) in [
        ("merge", r#"{"spec":{"paused":null}}"#),
        ("merge", r#"{"spec":{"paused":false}}"#),
        ("json", r#"[{"op":"remove","path":"/spec/paused"}]"#),
        ("json", r#"[{"op":"replace","path":"/spec/paused","value":false}]"#),
    ] {
        lab.kubectl(&["patch", "deployment/app", &format!("--type={kind}"), "-p", patch]).refused();
        assert!(paused(&lab, "app"), "{kind} {patch}");
    }
    // Removing the annotation of the hold in the same request changes nothing: it is kept paused with a warning.
    let both = r#"{"spec":{"paused":null},"metadata":{"annotations":null}}"#;
    let said = lab.kubectl(&["patch", "deployment/app", "--type=merge", "-p", both]).ok();
    assert!(said.contains("kept paused"), "{said}");
    assert!(paused(&lab, "app"));
    // A PUT without `paused`, as Helm and Terraform send it, is kept paused with a warning.
    let manifest =
        lab.kubectl(&["create", "deployment", "app", &format!("--image={bad}"), "--dry-run=client", "-o", "json"]).ok();
    let said = lab.cluster.with_input(&["replace", "-f", "-"], &manifest).ok();
    assert!(said.contains("kept paused"), "{said}");
    assert!(paused(&lab, "app"));
    // Server-side apply by force is refused like a patch: it asks for nothing but the end of the hold.
    let applied = manifest.replacen(r#""replicas": 1,"#, r#""replicas": 1, "paused": false,"#, 1);
    assert_ne!(applied, manifest);
    let refused =
        lab.cluster.with_input(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &applied).refused();
    assert!(refused.contains("held until its images are approved"), "{refused}");
    assert!(paused(&lab, "app"));
    // Scaling is not a rollout.
    lab.kubectl(&["scale", "deployment/app", "--replicas=3"]).ok();
    assert!(paused(&lab, "app"));
}

#[test]
fn a_users_own_pause_survives_the_release() {
    let lab = lab();
    let good = lab.registry.push("app", "good", &clean().build());
    let next = lab.registry.push("app", "next", &tidewaiter_testkit::demo::distinct("next"));
    // From before the hold.
    create(&lab, "app", &good);
    rolled_out(&lab, "app");
    lab.kubectl(&["rollout", "pause", "deployment/app"]).ok();
    lab.kubectl(&["set", "image", "deployment/app", &format!("app={next}")]).ok();
    until_field(&lab, "deployment/app", r#".metadata.annotations.tidewaiter\.dev/held-for"#, "");
    lab.until("app", "Approved RollingOut");
    assert!(paused(&lab, "app"));
    lab.kubectl(&["rollout", "resume", "deployment/app"]).ok();
    rolled_out(&lab, "app");
    // From the manifest itself.
    let manifest = lab
        .kubectl(&["create", "deployment", "own", &format!("--image={good}"), "--dry-run=client", "-o", "json"])
        .ok();
    let manifest = manifest.replacen(r#""replicas": 1,"#, r#""replicas": 1, "paused": true,"#, 1);
    lab.apply(&manifest).ok();
    lab.until("own", "Approved RollingOut");
    until_field(&lab, "deployment/own", r#".metadata.annotations.tidewaiter\.dev/held-for"#, "");
    assert!(paused(&lab, "own"));
    lab.kubectl(&["rollout", "resume", "deployment/own"]).ok();
    rolled_out(&lab, "own");
}
