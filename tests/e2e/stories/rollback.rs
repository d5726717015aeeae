//! Waiting for a decision, and back from a blocked one.

use crate::{all_run, create, lab, rolled_out};
use tidewaiter_testkit::demo::{clean, vulnerable};

#[test]
fn back_from_a_blocked_template() {
    let lab = lab();
    let good = lab.registry.push("app", "v1", &clean().build());
    let bad = lab.registry.push("app", "v2", &vulnerable().build());
    create(&lab, "app", &good);
    lab.kubectl(&["scan", "wait", "deployment/app", "--timeout=60s"]).ok();
    rolled_out(&lab, "app");
    lab.kubectl(&["set", "image", "deployment/app", &format!("app={bad}")]).ok();
    let blocked = lab.kubectl(&["scan", "wait", "deployment/app", "--timeout=60s"]);
    assert_eq!(blocked.code, 1, "{}", blocked.text);
    assert!(blocked.text.contains("kubectl scan rollback deployment/app"), "{}", blocked.text);
    // kubectl's own way is closed.
    lab.kubectl(&["rollout", "undo", "deployment/app"]).refused();
    let said = lab.kubectl(&["scan", "rollback", "deployment/app"]).ok();
    assert!(said.contains("deployment/app rolled back to revision 1") && said.contains("rolling out"), "{said}");
    assert_eq!(lab.field("deployment/app", ".spec.paused"), "");
    lab.kubectl(&["scan", "wait", "deployment/app", "--timeout=60s"]).ok();
    rolled_out(&lab, "app");
    all_run(&lab, "app", |image| image.starts_with(&good));
    let said = lab.kubectl(&["scan", "rollback", "deployment/app"]).refused();
    assert!(said.contains("never ran another template"), "{said}");
    let said = lab.kubectl(&["scan", "rollback", "deployment/app", "--to-revision=7"]).refused();
    assert!(said.contains("there is no revision 7; there are: 1"), "{said}");
    let said = lab.kubectl(&["scan", "rollback", "statefulset/app"]).refused();
    assert!(said.contains("kubectl rollout undo statefulset/app"), "{said}");
}
