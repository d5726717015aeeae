//! Helm while a release is held: the same values again and again, a fixed image, and back.

use crate::{lab, places, rolled_out, until_field};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::{gitops, skip};

const DEPLOYMENT: &str = "deployment/app";

/// A chart of one Deployment.
fn chart(folder: &Path) -> PathBuf {
    let chart = folder.join("chart");
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: app\nversion: 1.0.0\n").unwrap();
    let deployment = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {app: {{ .Release.Name }}}
spec:
  replicas: 1
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
      - name: app
        image: {{ .Values.image }}
"#;
    fs::write(chart.join("templates/deployment.yaml"), deployment).unwrap();
    chart
}

/// A release of the chart, of a developer.
struct Release<'a> {
    lab: &'a Lab,
    helm: &'a Path,
    chart: String,
}

impl Release<'_> {
    /// `helm ARGS`, which must succeed.
    #[track_caller]
    fn helm(&self, args: &[&str]) -> String {
        run(self.lab.tool(self.helm).args(args)).ok()
    }

    /// `helm upgrade app`.
    #[track_caller]
    fn upgrade(&self, image: &str, more: &[&str]) -> String {
        let image = format!("image={image}");
        let mut args = vec!["upgrade", "app", &self.chart, "--set", &image];
        args.extend(more);
        self.helm(&args)
    }

    /// Generation, pause and image of the Deployment.
    fn state(&self) -> String {
        let paths = ".metadata.generation} {.spec.paused} {.spec.template.spec.containers[0].image";
        self.lab.field(DEPLOYMENT, paths)
    }
}

fn a_release_is_held_and_fixed(helm: &Path) {
    let lab = lab();
    let bad = lab.registry.push("app", "bad", &vulnerable().build());
    let good = lab.registry.push("app", "good", &clean().build());
    let release = Release { lab: &lab, helm, chart: chart(lab.cluster.dir()).display().to_string() };
    let said = release.helm(&["install", "app", &release.chart, "--set", &format!("image={bad}")]);
    assert!(said.contains("STATUS: deployed"), "{said}");
    lab.until("app", "VulnerabilitiesFound Blocked");

    // The same values: nothing changes, nothing is released, and the pause is ours.
    let held = release.state();
    assert!(held.ends_with(&format!(" true {bad}")), "{held}");
    for _ in 0..3 {
        let said = release.upgrade(&bad, &[]);
        assert!(said.contains("STATUS: deployed") && !said.contains("pause"), "{said}");
        assert_eq!(release.state(), held);
    }
    lab.until("app", "VulnerabilitiesFound Blocked");
    // A paused Deployment is ready for Helm, although nothing runs.
    let began = Instant::now();
    release.upgrade(&bad, &["--wait", "--timeout=50s"]);
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    assert_eq!((release.state(), crate::pod_images(&lab, "app")), (held, vec![]));

    release.upgrade(&good, &["--wait", "--timeout=50s"]);
    rolled_out(&lab, "app");
    assert_eq!(lab.field(DEPLOYMENT, ".spec.paused"), "");

    // A release that is blocked is taken back; what ran serves all the time.
    release.upgrade(&bad, &[]);
    lab.until("app", "VulnerabilitiesFound Blocked");
    crate::all_run(&lab, "app", |image| image.starts_with(&good));
    release.helm(&["rollback", "app"]);
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    crate::all_run(&lab, "app", |image| image.starts_with(&good));

    release.helm(&["uninstall", "app"]);
    until_field(&lab, DEPLOYMENT, ".metadata.name", "");
    crate::within(PATIENCE, "its Pods are gone", || crate::pod_images(&lab, "app").is_empty());
}

#[test]
fn a_release_of_helm_4_is_held_and_fixed() {
    a_release_is_held_and_fixed(&gitops::helm_4(&places().root));
}

#[test]
fn a_release_of_helm_3_is_held_and_fixed() {
    match gitops::helm_3(&places().root) {
        Some(helm) => a_release_is_held_and_fixed(&helm),
        None => skip::skipped("helm::a_release_of_helm_3_is_held_and_fixed", "needs cargo xtask gitops --helm3"),
    }
}
