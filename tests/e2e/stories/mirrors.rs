//! Mirrors of registries, as the nodes' containerd has them.

use crate::{create, places};
use std::path::Path;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::Lab;
use tidewaiter_testkit::registry::Registry;

#[test]
fn an_image_is_what_it_is_at_the_mirror_and_else_what_the_registry_has() {
    let mut lab = Lab::new(places());
    let mirror = Registry::start();
    let folder = format!("certs.d/127.0.0.1_{}_", lab.registry.port());
    let write = |lab: &Lab, text: &str| lab.mounted_file(&format!("{folder}/hosts.toml"), text);
    let file = write(&lab, &format!("[host.\"http://{}\"]\n", mirror.host()));
    let dir = Path::new(&file).ancestors().nth(2).unwrap().display().to_string();
    lab.start_server_with(&["--registry-config-dir", &dir]);
    // By the same tag another image: nodes run the mirror's.
    let image = lab.registry.push("app", "v1", &clean().build());
    mirror.push("app", "v1", &vulnerable().build());
    create(&lab, "mirrored", &image);
    lab.until("mirrored", "VulnerabilitiesFound Blocked");
    let only_there = lab.registry.push("own", "v1", &clean().build());
    create(&lab, "own", &only_there);
    crate::rolled_out(&lab, "own");
    // What people write meanwhile counts for the next scan; a mistake is told where the scan is.
    write(&lab, "serve = 1\n");
    create(&lab, "mistaken", &lab.registry.push("mistaken", "v1", &clean().build()));
    lab.until("mistaken", "ScanFailed Blocked");
    let status = lab.kubectl(&["scan", "status", "deployment/mistaken"]).ok();
    assert!(status.contains("hosts.toml cannot be used; see the server's log"), "{status}");
    write(&lab, "");
    lab.kubectl(&["scan", "deployment", "mistaken"]).ok();
    crate::rolled_out(&lab, "mistaken");
}
