//! Who types `kubectl scan status ` and presses Tab is offered the workloads of the namespace: by the real kubectl, which asks the plugin.

use crate::{create, lab, places};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::clean;

#[test]
fn kubectl_completes_names_in_the_cluster() {
    let lab = lab();
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "app", &image);
    lab.until("app", "Approved Deployed");
    // A name that a shell would run: anybody who may deploy can have the server write it into an ImageScan.
    let forged = r#"{"apiVersion":"tidewaiter.dev/v1alpha1","kind":"ImageScan","metadata":{"name":"forged","namespace":"default"},
        "spec":{"image":"app$(touch${IFS}x)"}}"#;
    lab.cluster.apply(forged).ok();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("kubectl_complete-scan");
    fs::copy(places().root.join("integrations/kubectl_complete-scan"), &script).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let check = |typed: &[&str], expected: &str| {
        let mut command = lab.kubectl_command();
        let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).unwrap();
        let path =
            std::env::join_paths([folder.path().to_owned()].into_iter().chain(std::env::split_paths(path))).unwrap();
        let said = run(command.env("PATH", path).args(["__complete", "scan"]).args(typed)).ok();
        assert!(said.lines().any(|line| line == expected), "{typed:?}: {said}");
        assert!(said.contains(":4") && !said.contains('$'), "no names of files are offered: {said}");
    };
    check(&["status", ""], "deployment/app");
    check(&["deployment", "a"], "app");
    check(&["image", ""], &image);
    check(&["wait", "--namespace=default", "deploy"], "deployment/app");
    check(&["stat"], "status\tShow the decisions about workloads, and their reasons");
}
