//! Installation by Kustomize: one command, and no file of `deploy/` is edited.

use crate::chart::{objects, of_manifests, without_image};
use crate::places;
use std::fs;
use tidewaiter_testkit::lab::Lab;
use tidewaiter_testkit::readme;

const IMAGES: &str = "jsonpath={.spec.template.spec.containers[*].image}";

#[test]
fn one_command_with_an_image_of_ones_own() {
    let lab = Lab::fresh(places());
    let folder = lab.cluster.dir().join("own");
    fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(lab.root().join("deploy"), lab.cluster.dir().join("deploy")).unwrap();
    let script = readme::script(&lab.root().join("docs/install.md"), "kustomize").replace("0.1.0", "0.2.0");
    lab.shell(&folder, &script).ok();
    let images = lab.admin(&["get", "deployment", "tidewaiter", "-n", "tidewaiter-system", "-o", IMAGES]).ok();
    assert_eq!(images, ["registry.example/tidewaiter:0.2.0"; 3].join(" "));
    // Exit code 1 where an object would change.
    assert_eq!(lab.shell(&folder, "kubectl diff -k .").ok(), "");
    // Every object of the manifests, and nothing else.
    let made = objects(&lab, &lab.shell(&folder, "kubectl kustomize .").ok());
    let made: Vec<_> = made.into_iter().map(|(name, object)| (name, without_image(object))).collect();
    let manifests: Vec<_> =
        of_manifests(&lab).into_iter().map(|(name, object)| (name, without_image(object))).collect();
    assert_eq!(made, manifests);
}
