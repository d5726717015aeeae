//! A new database changes only the reports of images that its differences concern, and needs no registry for that.

use crate::{create, lab, rolled_out, within};
use std::fs;
use std::path::PathBuf;
use tidewaiter_testkit::demo::base;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// The demo's feeds, in which curl below this version is critical, too. Returns the `feeds.toml`.
pub(crate) fn feeds(lab: &Lab, fixed: &str) -> PathBuf {
    let feeds = lab.cluster.dir().join("feeds");
    fs::create_dir_all(feeds.join("advisories")).unwrap();
    for record in fs::read_dir(lab.root().join("demo/advisories")).unwrap() {
        let record = record.unwrap();
        fs::copy(record.path(), feeds.join("advisories").join(record.file_name())).unwrap();
    }
    let record = format!(
        r#"{{"id":"CVE-2026-0001","modified":"2026-11-01T00:00:00Z","affected":[{{"package":{{"ecosystem":"Debian:99","name":"curl"}},
        "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}],
        "severity":[{{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}}"#
    );
    fs::write(feeds.join("advisories/CVE-2026-0001.json"), record).unwrap();
    let toml = fs::read_to_string(lab.root().join("demo/feeds.toml")).unwrap();
    fs::write(feeds.join("feeds.toml"), toml).unwrap();
    feeds.join("feeds.toml")
}

/// Builds a database of them.
fn database(lab: &Lab, fixed: &str) {
    lab.build_database(&feeds(lab, fixed));
}

/// One field of the ImageScan of an image.
pub(crate) fn scan(lab: &Lab, image: &str, field: &str) -> String {
    lab.field("imagescans", &format!(".items[?(@.spec.image==\"{image}\")].{field}"))
}

#[test]
fn only_concerned_reports_change() {
    let mut lab = lab();
    let push = |name: &str, packages: &[(&str, &str)]| lab.registry.push(name, "v1", &base(packages).build());
    let (curl, other) = (push("curl", &[("curl", "9.0")]), push("other", &[("wget", "9.0"), ("curl", "11.0")]));
    for (name, image) in [("curl", &curl), ("other", &other)] {
        create(&lab, name, image);
        rolled_out(&lab, name);
    }
    let first = scan(&lab, &curl, "status.database");
    let finished = scan(&lab, &other, "status.finished");
    // The inventories are stored: nothing is pulled again.
    lab.registry.down();
    database(&lab, "10.0");
    within(PATIENCE, "the concerned image is critical", || scan(&lab, &curl, "status.verdict") == "Violated");
    within(PATIENCE, "both are of the new database", || {
        let now = scan(&lab, &curl, "status.database");
        now != first && scan(&lab, &other, "status.database") == now
    });
    assert_eq!(scan(&lab, &other, "status.finished"), finished, "its report did not change");
    let log = fs::read_to_string(lab.log()).unwrap();
    assert!(log.contains("changes 1 of 2 inventories (1 re-matched)"), "{log}");
    let report = lab.kubectl(&["scan", "report", &curl]).ok();
    assert!(report.contains("CVE-2026-0001"), "{report}");
    let report = lab.kubectl(&["scan", "report", &other, "-o", "json"]).ok();
    assert!(report.contains(&scan(&lab, &other, "status.database")), "{report}");

    // A database that was replaced while the server was down is found when it is back.
    lab.kill_server();
    database(&lab, "8.0");
    lab.start_server();
    within(PATIENCE, "curl is good again", || scan(&lab, &curl, "status.verdict") == "Pass");
    assert_eq!(scan(&lab, &other, "status.finished"), finished, "its report did not change");
}
