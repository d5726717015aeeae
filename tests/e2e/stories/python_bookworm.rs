//! A real image judged with real feeds: every package seen, and what is not covered said.

use crate::{create, places};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tidewaiter_testkit::lab::Lab;
use tidewaiter_testkit::layout;

/// Vulnerabilities of the image's Python packages, by the PyPA's advisories.
const EXPECTED: [&str; 0] = [];

#[test]
fn python_on_bookworm() {
    let places = places();
    let shared = places.root.join("../shared");
    if !shared.is_dir() {
        println!("skipped: there is no ../shared with the image and the feeds");
        return;
    }
    let mut lab = Lab::new(places);
    build_database(&lab, &shared.join("feeds"));
    lab.start_server();
    let image = layout::read(&shared.join("images/python-bookworm"));
    let image = lab.registry.push("python", "bookworm", &image);
    create(&lab, "app", &image);
    lab.until("app", "ScanFailed Blocked");

    let said = lab.kubectl(&["scan", "report", &image, "-o", "json"]).ok();
    let report: Value = serde_json::from_str(&said).unwrap();
    let packages = report["packages"].as_array().unwrap();
    let of = |kind: &str| packages.iter().filter(|p| p["type"] == kind).collect::<Vec<_>>();
    assert_eq!((of("deb").len(), of("pypi").len()), (99, 145));
    assert_eq!(of("pypi").iter().filter(|p| p["vendored"] == true).count(), 3);
    let found: BTreeSet<&str> =
        report["findings"].as_array().unwrap().iter().map(|f| f["vulnerability"].as_str().unwrap()).collect();
    assert_eq!(found, BTreeSet::from(EXPECTED), "{found:#?}");
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("Debian:12"), "{gaps}");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("incomplete") && status.contains("Debian:12"), "{status}");
    assert_eq!(lab.field("imagescans", ".items[0].status.reason"), "Incomplete");
    assert_eq!(lab.kubectl(&["get", "pods", "-o", "name"]).ok(), "");
}

/// The PyPA's advisories, complete for PyPI; nothing for Debian.
fn build_database(lab: &Lab, feeds: &Path) {
    let toml = lab.cluster.dir().join("feeds.toml");
    let pypa = feeds.join("pypi-pypa.tar.zst");
    let text = format!(
        "[[feed]]\nname = \"pypa\"\nformat = \"osv\"\npath = \"{}\"\necosystems = [\"PyPI\"]\nrates = true\n",
        pypa.display()
    );
    fs::write(&toml, text).unwrap();
    fs::remove_file(lab.database()).unwrap();
    lab.build_database(&toml);
}
